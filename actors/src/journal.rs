//! The only writer. One thread owns the log, commits what has gathered (group commit), folds it into
//! the shared facts, tells the observers, and then answers: state never runs ahead of the disk.
//! In a simulation the same writer is a task, so that its disk takes virtual time.
//!
//! A disk that takes no more stops every append, not the process: the log is opened again when it does
//! (`outage`).

mod batch;
mod begin;
mod group;
mod hearers;
mod outage;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use renewd_events::codec::Frame;
use renewd_events::event::NewEvent;
use renewd_events::id::BootNo;
use renewd_events::planted::{self, Bug};
use renewd_events::store::{EventStore, Head};
use renewd_events::{ActorName, Envelope, Facts};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

pub use self::batch::{AppendError, Batch};
use self::group::{Accepted, Group};
pub use self::hearers::{Announcer, Folded, Hearers, Observer};
use self::outage::{Outage, Room};
use crate::bounds::{APPENDS_WAITING_MAX, EVENTS_PER_COMMIT_MAX, SETTLE_AFTER};
use crate::ports::TimeSource;

/// Where the writer runs.
pub enum Seat {
    /// On a thread of its own: an fdatasync never holds up the actors.
    Thread,
    /// As a task of the present runtime that waits this long before each commit: a simulation, whose
    /// time stands still while anything can run, must not depend on threads.
    Task(Latency),
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Thread => "Thread",
            Self::Task(_) => "Task",
        })
    }
}

/// How long a simulated disk takes for the next commit.
type Latency = Box<dyn FnMut() -> Duration + Send>;

type Appended = Result<Vec<Arc<Envelope>>, AppendError>;

enum Request {
    Append(Batch, oneshot::Sender<Appended>),
    Begin(Box<NewEvent>, oneshot::Sender<Appended>),
    Close(oneshot::Sender<Result<(), String>>),
}

/// The way to the journal.
#[derive(Clone, Debug)]
pub struct Journal {
    requests: mpsc::Sender<Request>,
    head: watch::Receiver<Head>,
    broken: watch::Receiver<Option<String>>,
    /// It will not be written any more by this process. Set before `broken` says why.
    hopeless: Arc<AtomicBool>,
}

impl Journal {
    /// Starts the writer. It ends with [`Journal::close`], or when nobody can append any more.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    #[expect(clippy::disallowed_methods, reason = "starts the writer's task")]
    pub fn start(
        store: Box<dyn EventStore>,
        facts: Arc<RwLock<Facts>>,
        boot: BootNo,
        time: Arc<dyn TimeSource>,
        hearers: impl Into<Hearers>,
        seat: Seat,
    ) -> std::io::Result<Self> {
        let (requests, inbox) = mpsc::channel(APPENDS_WAITING_MAX);
        let (head_out, head) = watch::channel(store.head());
        let (broken_out, broken) = watch::channel(None);
        let hopeless = Arc::new(AtomicBool::new(false));
        let writer = Writer {
            store,
            facts,
            boot,
            time,
            hearers: hearers.into(),
            head: head_out,
            broken: broken_out,
            hopeless: Arc::clone(&hopeless),
            opening: None,
            outage: None,
            room: Room::default(),
            #[cfg(feature = "planted")]
            late: Vec::new(),
        };
        match seat {
            Seat::Thread => {
                // For its clock: the wait for a disk ends early when somebody appends.
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_time().build()?;
                std::thread::Builder::new()
                    .name("journal".to_owned())
                    .spawn(move || runtime.block_on(writer.run(inbox, None)))?;
            }
            Seat::Task(latency) => drop(tokio::spawn(writer.run(inbox, Some(latency)))),
        }
        Ok(Self { requests, head, broken, hopeless })
    }

    /// Hands a batch over; the answer comes when it is durable. The caller never times out: a timed-out
    /// append would be neither written nor unwritten.
    pub async fn submit(&self, batch: Batch) -> oneshot::Receiver<Appended> {
        let (reply, answer) = oneshot::channel();
        if let Err(refused) = self.requests.send(Request::Append(batch, reply)).await
            && let Request::Append(_, reply) = refused.0
        {
            drop(reply.send(Err(AppendError::ReadOnly("the journal is closed".to_owned()))));
        }
        answer
    }

    /// Appends a batch.
    ///
    /// # Errors
    /// See [`AppendError`]; nothing was appended then.
    pub async fn append(&self, batch: Batch) -> Appended {
        let answer = self.submit(batch).await;
        answer.await.unwrap_or_else(|_| Err(AppendError::ReadOnly("the journal ended".to_owned())))
    }

    /// The last durable event.
    pub fn head(&self) -> watch::Receiver<Head> {
        self.head.clone()
    }

    /// Why the log cannot be written and what to do, while that is so.
    pub fn broken(&self) -> watch::Receiver<Option<String>> {
        self.broken.clone()
    }

    /// Commits what waits, marks the clean end and gives the log back.
    ///
    /// # Errors
    /// The text of what failed.
    pub async fn close(&self) -> Result<(), String> {
        let (reply, answer) = oneshot::channel();
        let closed = || "the journal has ended before".to_owned();
        self.requests.send(Request::Close(reply)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

struct Writer {
    store: Box<dyn EventStore>,
    facts: Arc<RwLock<Facts>>,
    boot: BootNo,
    time: Arc<dyn TimeSource>,
    hearers: Hearers,
    head: watch::Sender<Head>,
    broken: watch::Sender<Option<String>>,
    hopeless: Arc<AtomicBool>,
    /// What begins this life: committed by the writer itself, once a disk that refused it takes it.
    opening: Option<NewEvent>,
    outage: Option<Outage>,
    room: Room,
    /// Acknowledged, not committed yet ([`Bug::AckBeforeCommit`]).
    #[cfg(feature = "planted")]
    late: Vec<Frame>,
}

impl Writer {
    async fn run(mut self, mut inbox: mpsc::Receiver<Request>, mut latency: Option<Latency>) {
        loop {
            let first = match self.outage.as_ref().and_then(Outage::next_try) {
                Some(at) if at <= Instant::now() => {
                    if self.guarded(Self::heal).is_break() {
                        return;
                    }
                    continue;
                }
                // Who comes meanwhile is refused at once.
                Some(at) => match tokio::time::timeout_at(at, inbox.recv()).await {
                    Ok(first) => first,
                    Err(_) => continue,
                },
                // A pause is used for what need not hold up an append.
                None if !self.store.is_settled() => {
                    match tokio::time::timeout(SETTLE_AFTER, inbox.recv()).await {
                        Ok(first) => first,
                        Err(_) => {
                            if let Err(cause) = self.store.settle() {
                                drop(self.failed(&cause));
                            }
                            continue;
                        }
                    }
                }
                None => inbox.recv().await,
            };
            let Some(first) = first else {
                return;
            };
            if let Some(latency) = &mut latency {
                tokio::time::sleep(latency()).await;
            }
            if self.guarded(|writer| writer.turn(first, &mut inbox)).is_break() {
                return;
            }
        }
    }

    /// An observer or a fold that panics leaves a log of unknown state: no more acts.
    fn guarded(&mut self, act: impl FnOnce(&mut Self) -> ControlFlow<()>) -> ControlFlow<()> {
        let done = catch_unwind(AssertUnwindSafe(|| act(self)));
        done.unwrap_or_else(|_| {
            let text = "the journal's thread panicked; restart renewd".to_owned();
            self.hopeless.store(true, Ordering::Release);
            self.broken.send_replace(Some(text));
            ControlFlow::Break(())
        })
    }

    /// One commit of what has gathered.
    fn turn(&mut self, first: Request, inbox: &mut mpsc::Receiver<Request>) -> ControlFlow<()> {
        let mut close = None;
        #[cfg(feature = "planted")]
        if !self.late.is_empty() {
            drop(self.store.commit(&std::mem::take(&mut self.late)));
        }
        let mut group = Group::new(self.store.head());
        let mut next = Some(first);
        // Take what has gathered, without waiting for more: latency stays that of one commit.
        while let Some(request) = next.take() {
            match request {
                Request::Append(batch, reply) => self.accept(&mut group, batch, reply),
                Request::Begin(event, reply) => self.begin(&mut group, *event, reply),
                Request::Close(reply) => {
                    close = Some(reply);
                    break;
                }
            }
            if group.frames.len() < EVENTS_PER_COMMIT_MAX {
                next = inbox.try_recv().ok();
            }
        }
        self.commit(group);
        let Some(reply) = close else {
            return ControlFlow::Continue(());
        };
        drop(reply.send(self.store.close().map_err(|cause| cause.to_string())));
        ControlFlow::Break(())
    }

    fn accept(&mut self, group: &mut Group, batch: Batch, reply: oneshot::Sender<Appended>) {
        if let Some(outage) = self.outage.as_mut().filter(|it| batch.wish || !it.takes_outcomes()) {
            outage.refuse();
            let cause = outage.text();
            return drop(reply.send(Err(AppendError::ReadOnly(cause))));
        }
        let mut batch = batch;
        if planted::is(Bug::VersionIgnored) && batch.actor != ActorName::Engine {
            batch.expected.clear();
            let (expected, events, late) = (Vec::new(), batch.events.clone(), oneshot::channel().0);
            if let Ok(envelopes) = self.check(group, Batch { expected, events, ..batch }) {
                group.accepted.push(Accepted { envelopes, reply: late });
            }
        }
        match self.check(group, batch) {
            Ok(envelopes) => group.accepted.push(Accepted { envelopes, reply }),
            Err(refusal) => drop(reply.send(Err(refusal))),
        }
    }

    fn check(&self, group: &mut Group, batch: Batch) -> Result<Vec<Arc<Envelope>>, AppendError> {
        let mut versions = BTreeMap::new();
        {
            let facts = self.facts.read().unwrap_or_else(PoisonError::into_inner);
            for (stream, expected) in &batch.expected {
                let durable = facts.version(*stream);
                let actual = group.versions.get(stream).copied().unwrap_or(durable);
                if actual != *expected {
                    let (stream, expected) = (*stream, *expected);
                    return Err(AppendError::Conflict { stream, expected, actual });
                }
                versions.insert(*stream, actual);
            }
            for event in &batch.events {
                let durable = facts.version(event.stream);
                versions.entry(event.stream).or_insert_with(|| {
                    group.versions.get(&event.stream).copied().unwrap_or(durable)
                });
            }
        }
        let mut head = group.head;
        if planted::is(Bug::GroupForgetsHead) {
            head = self.store.head();
        }
        let mut frames = Vec::with_capacity(batch.events.len());
        let mut envelopes = Vec::with_capacity(batch.events.len());
        let batch_len = u16::try_from(batch.events.len()).unwrap_or(u16::MAX);
        let at = self.time.now();
        for (index, new) in batch.events.into_iter().enumerate() {
            let version = versions.entry(new.stream).or_insert(0);
            *version = version.saturating_add(1);
            let envelope = Envelope {
                seq: head.seq.next(),
                stream: new.stream,
                version: *version,
                batch_index: u16::try_from(index).unwrap_or(u16::MAX),
                batch_len,
                at,
                boot: self.boot,
                actor: batch.actor,
                incarnation: batch.incarnation,
                renewal: new.renewal,
                cause: new.cause,
                trace: batch.trace,
                previous: head.hash,
                event: new.event,
            };
            let frame = Frame::encode(&envelope)?;
            head = Head { seq: frame.seq, hash: frame.hash };
            frames.push(frame);
            envelopes.push(Arc::new(envelope));
        }
        group.head = head;
        group.versions.extend(versions);
        group.frames.extend(frames);
        Ok(envelopes)
    }

    #[cfg(feature = "planted")]
    fn held_back(&mut self, mut group: Group) -> Group {
        if planted::is(Bug::AckBeforeCommit) {
            self.late = std::mem::take(&mut group.frames);
        }
        group
    }

    fn commit(&mut self, group: Group) {
        if group.frames.is_empty() {
            for accepted in group.accepted {
                drop(accepted.reply.send(Ok(accepted.envelopes)));
            }
            return;
        }
        #[cfg(feature = "planted")]
        let group = self.held_back(group);
        if let Err(cause) = self.store.commit(&group.frames) {
            let text = self.failed(&cause);
            for accepted in group.accepted {
                if let Some(outage) = &mut self.outage {
                    outage.refuse();
                }
                drop(accepted.reply.send(Err(AppendError::ReadOnly(text.clone()))));
            }
            return;
        }
        // All of the commit, before anybody hears of a part of it.
        let folded = group.accepted.iter().map(|accepted| self.fold(&accepted.envelopes));
        let folded: Vec<Vec<Folded>> = folded.collect();
        self.head.send_replace(group.head);
        // Before the observers: whom they wake must find that it may act.
        self.end_outage();
        for (accepted, folded) in group.accepted.into_iter().zip(folded) {
            self.hearers.tell(&self.facts, &folded);
            drop(accepted.reply.send(Ok(accepted.envelopes)));
        }
        self.look_at_room();
    }

    /// Folds the events and gives what each is about.
    fn fold(&self, envelopes: &[Arc<Envelope>]) -> Vec<Folded> {
        let mut facts = self.facts.write().unwrap_or_else(PoisonError::into_inner);
        let folded = envelopes.iter().map(|event| (Arc::clone(event), facts.apply(event)));
        folded.collect()
    }
}
