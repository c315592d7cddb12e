//! The body of an answer as faults may bend it: in pieces, slowly, too long, cut short.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

/// Padding is made in pieces of this size, so an answer of any length needs little memory.
const PAD_BYTES: u64 = 16 * 1024;

/// A body with a known length.
#[derive(Debug)]
pub(crate) struct Shaped {
    rest: Bytes,
    /// Spaces still to come after `rest`.
    pad: u64,
    /// Bytes of a piece and the wait before each.
    drip: Option<(usize, Duration)>,
    sleep: Option<Pin<Box<Sleep>>>,
    end: End,
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    /// The connection breaks, but first what was written must leave: hyper flushes when the body
    /// has nothing to give, and throws its buffer away when the body fails.
    FlushThenBreak,
    Break,
}

impl Shaped {
    /// The body as it is.
    pub(crate) fn plain(body: Bytes) -> Self {
        Self { rest: body, pad: 0, drip: None, sleep: None, end: End::Whole }
    }

    /// In pieces of `bytes`, one each `every`.
    pub(crate) fn dripping(body: Bytes, bytes: usize, every: Duration) -> Self {
        Self { drip: Some((bytes.max(1), every)), ..Self::plain(body) }
    }

    /// Half of it, then the connection breaks.
    pub(crate) fn truncated(mut body: Bytes) -> Self {
        body.truncate(body.len() / 2);
        Self { end: End::FlushThenBreak, ..Self::plain(body) }
    }

    /// Followed by spaces up to `bytes` in all.
    pub(crate) fn oversized(body: Bytes, bytes: u64) -> Self {
        let length = u64::try_from(body.len()).unwrap_or(u64::MAX);
        Self { pad: bytes.saturating_sub(length), ..Self::plain(body) }
    }

    fn next_piece(&mut self) -> Option<Bytes> {
        if !self.rest.is_empty() {
            let piece = self.drip.map_or(self.rest.len(), |(bytes, _)| bytes);
            return Some(self.rest.split_to(piece.min(self.rest.len())));
        }
        if self.pad == 0 {
            return None;
        }
        let piece = self.pad.min(PAD_BYTES);
        self.pad -= piece;
        Some(Bytes::from(vec![b' '; usize::try_from(piece).unwrap_or(1)]))
    }
}

impl Body for Shaped {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some((_, every)) = self.drip
            && !self.rest.is_empty()
        {
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(every)));
            ready!(sleep.as_mut().poll(context));
            self.sleep = None;
        }
        match self.next_piece() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None => match self.end {
                End::Whole => Poll::Ready(None),
                End::FlushThenBreak => {
                    self.end = End::Break;
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
                End::Break => Poll::Ready(Some(Err(io::Error::other("scripted cut")))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.pad == 0 && self.end == End::Whole
    }

    fn size_hint(&self) -> SizeHint {
        if self.end != End::Whole {
            return SizeHint::new(); // the answer's own Content-Length says more than comes
        }
        let length = u64::try_from(self.rest.len()).unwrap_or(u64::MAX);
        SizeHint::with_exact(length.saturating_add(self.pad))
    }
}
