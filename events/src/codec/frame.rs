//! One frame: header, optional trace context, body. Little-endian, fixed width.

use super::{BODY_OCTETS_MAX, CodecError, SCHEMA, decode_body, encode_body};
use crate::event::{Envelope, TraceContext};
use crate::id::{BootNo, Hash, RenewalId, Seq, StreamId, StreamKind};
use crate::intent::ActorName;
use crate::planted::{self, Bug};
use crate::time::WallMs;

const MAGIC: [u8; 4] = *b"RNW1";
/// Magic, length and checksum.
const PREFIX_OCTETS: usize = 12;
/// A frame without trace context and body.
pub const HEADER_OCTETS: usize = PREFIX_OCTETS + 120;
const TRACE_OCTETS: usize = 25;
/// The largest frame.
pub const FRAME_OCTETS_MAX: usize = HEADER_OCTETS + TRACE_OCTETS + BODY_OCTETS_MAX;
const FLAG_TRACE: u16 = 1;

/// The bytes of one event and what the log needs to know about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Place in the log.
    pub seq: Seq,
    /// SHA-256 of the frame before.
    pub previous: Hash,
    /// SHA-256 of these bytes.
    pub hash: Hash,
    /// Whether it is the last of its batch.
    pub last_of_batch: bool,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Frame {
    /// The frame of an envelope.
    ///
    /// # Errors
    /// [`CodecError::TooLarge`] when the event is.
    pub fn encode(envelope: &Envelope) -> Result<Self, CodecError> {
        if envelope.stream.kind != envelope.event.kind() {
            return Err(CodecError::Body(format!(
                "{} does not belong into {}",
                envelope.event.name(),
                envelope.stream
            )));
        }
        let body = encode_body(&envelope.event)?;
        let mut out = Vec::with_capacity(HEADER_OCTETS + TRACE_OCTETS + body.len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&SCHEMA.to_le_bytes());
        let flags = if envelope.trace.is_some() { FLAG_TRACE } else { 0 };
        out.extend_from_slice(&flags.to_le_bytes());
        out.extend_from_slice(&envelope.seq.0.to_le_bytes());
        out.push(envelope.stream.kind.number());
        out.extend_from_slice(&envelope.stream.id);
        out.extend_from_slice(&envelope.version.to_le_bytes());
        out.extend_from_slice(&envelope.batch_index.to_le_bytes());
        out.extend_from_slice(&envelope.batch_len.to_le_bytes());
        out.extend_from_slice(&envelope.at.0.to_le_bytes());
        out.extend_from_slice(&envelope.boot.0.to_le_bytes());
        out.push(envelope.actor.number());
        out.extend_from_slice(&envelope.incarnation.to_le_bytes());
        out.extend_from_slice(&envelope.renewal.unwrap_or_default().0);
        out.extend_from_slice(&envelope.cause.unwrap_or_default().0.to_le_bytes());
        out.extend_from_slice(&envelope.previous.0);
        out.extend_from_slice(&length(body.len())?.to_le_bytes());
        // Room for fields of later versions; readers of this version skip it unread.
        out.extend_from_slice(&[0; 8]);
        if let Some(trace) = &envelope.trace {
            out.extend_from_slice(&trace.trace);
            out.extend_from_slice(&trace.span);
            out.push(trace.flags);
        }
        out.extend_from_slice(&body);
        let total = length(out.len())?.to_le_bytes();
        write_at(&mut out, 4, &total);
        let sum = crc32fast::hash(out.get(PREFIX_OCTETS..).unwrap_or_default()).to_le_bytes();
        write_at(&mut out, 8, &sum);
        Ok(Self {
            seq: envelope.seq,
            previous: envelope.previous,
            hash: Hash::of(&out),
            last_of_batch: envelope.batch_index.saturating_add(1) == envelope.batch_len,
            bytes: out,
        })
    }

    /// The length of the frame that begins here, once its prefix is there.
    ///
    /// # Errors
    /// [`CodecError::Magic`] when no frame begins here, [`CodecError::Length`] when the length cannot be.
    pub fn length_at(bytes: &[u8]) -> Result<Option<usize>, CodecError> {
        let Some(prefix) = bytes.get(..PREFIX_OCTETS) else {
            return Ok(None);
        };
        let mut reader = Reader(prefix);
        if reader.take::<4>()? != MAGIC {
            return Err(CodecError::Magic);
        }
        let total = usize::try_from(reader.u32()?).map_err(|_| CodecError::Length)?;
        if (HEADER_OCTETS..=FRAME_OCTETS_MAX).contains(&total) {
            Ok(Some(total))
        } else {
            Err(CodecError::Length)
        }
    }

    /// Checks length and checksum of exactly one frame and reads what the chain needs.
    ///
    /// # Errors
    /// Says which check failed.
    pub fn read(bytes: &[u8]) -> Result<Self, CodecError> {
        let header = Header::read(bytes)?;
        Ok(Self {
            seq: header.seq,
            previous: header.previous,
            hash: Hash::of(bytes),
            last_of_batch: header.batch_index.saturating_add(1) == header.batch_len,
            bytes: bytes.to_vec(),
        })
    }

    /// The envelope of these bytes.
    ///
    /// # Errors
    /// Says which check failed, or which number is from the future.
    pub fn decode(bytes: &[u8]) -> Result<Envelope, CodecError> {
        let header = Header::read(bytes)?;
        let kind = StreamKind::from_number(header.kind)
            .ok_or(CodecError::Newer { what: "stream kind", number: u32::from(header.kind) })?;
        let actor = ActorName::from_number(header.actor)
            .ok_or(CodecError::Newer { what: "actor", number: u32::from(header.actor) })?;
        Ok(Envelope {
            seq: header.seq,
            stream: StreamId { kind, id: header.id },
            version: header.version,
            batch_index: header.batch_index,
            batch_len: header.batch_len,
            at: header.at,
            boot: header.boot,
            actor,
            incarnation: header.incarnation,
            renewal: (header.renewal.0 != [0; 16]).then_some(header.renewal),
            cause: (header.cause.0 != 0).then_some(header.cause),
            trace: header.trace,
            previous: header.previous,
            event: decode_body(kind, header.schema, header.body)?,
        })
    }
}

fn length(octets: usize) -> Result<u32, CodecError> {
    u32::try_from(octets).map_err(|_| CodecError::TooLarge(octets))
}

fn write_at(out: &mut [u8], at: usize, bytes: &[u8]) {
    for (to, from) in out.iter_mut().skip(at).zip(bytes) {
        *to = *from;
    }
}

struct Header<'a> {
    schema: u16,
    seq: Seq,
    kind: u8,
    id: [u8; 16],
    version: u32,
    batch_index: u16,
    batch_len: u16,
    at: WallMs,
    boot: BootNo,
    actor: u8,
    incarnation: u16,
    renewal: RenewalId,
    cause: Seq,
    previous: Hash,
    trace: Option<TraceContext>,
    body: &'a [u8],
}

impl<'a> Header<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, CodecError> {
        if Frame::length_at(bytes)? != Some(bytes.len()) {
            return Err(CodecError::Length);
        }
        let mut reader = Reader(bytes);
        reader.take::<8>()?;
        let sum = reader.u32()?;
        if crc32fast::hash(reader.0) != sum && !planted::is(Bug::SumIgnored) {
            return Err(CodecError::Checksum);
        }
        let schema = reader.u16()?;
        let flags = reader.u16()?;
        let header = Self {
            schema,
            seq: Seq(reader.u64()?),
            kind: reader.u8()?,
            id: reader.take()?,
            version: reader.u32()?,
            batch_index: reader.u16()?,
            batch_len: reader.u16()?,
            at: WallMs(reader.u64()?),
            boot: BootNo(reader.u32()?),
            actor: reader.u8()?,
            incarnation: reader.u16()?,
            renewal: RenewalId(reader.take()?),
            cause: Seq(reader.u64()?),
            previous: Hash(reader.take()?),
            trace: None,
            body: &[],
        };
        let body_len = usize::try_from(reader.u32()?).map_err(|_| CodecError::Length)?;
        reader.take::<8>()?;
        let trace = if flags & FLAG_TRACE == 0 {
            None
        } else {
            Some(TraceContext { trace: reader.take()?, span: reader.take()?, flags: reader.u8()? })
        };
        if reader.0.len() != body_len {
            return Err(CodecError::Length);
        }
        Ok(Self { trace, body: reader.0, ..header })
    }
}

/// Reads fixed-width fields off the front.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (field, rest) = self.0.split_first_chunk::<N>().ok_or(CodecError::Length)?;
        self.0 = rest;
        Ok(*field)
    }

    fn u8(&mut self) -> Result<u8, CodecError> {
        self.take::<1>().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Result<u16, CodecError> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, CodecError> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, CodecError> {
        self.take().map(u64::from_le_bytes)
    }
}
