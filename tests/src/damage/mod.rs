//! Damage: real logs, damaged by chance in every way we know, opened as the engine opens them. A log is
//! opened whole or refused with a cure, never opened silently shorter; and what repair makes of a
//! refused one is a true beginning of it that names exactly what is lost.
//!
//! [`stock`] makes the logs, [`ways`] damages them, [`case`] opens and judges one, [`draw`] is the
//! seed's numbers.

pub mod case;
pub mod draw;
pub mod stock;
pub mod ways;

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use self::case::{Judged, Verdict};
use self::draw::Draw;
use self::stock::Stock;

/// One case copies half a MiB and opens some small logs: tens of milliseconds. What takes so long
/// hangs.
const CASE_TIME_MAX: Duration = Duration::from_secs(120);

/// What goes wrong while preparing; a case itself never fails this way.
pub type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// What came of all cases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many there were.
    pub cases: u64,
    /// Opened with every acknowledged event.
    pub whole: u64,
    /// Of those: the start had to mend something, and said so.
    pub mended: u64,
    /// Refused with a code that has a page with a cure.
    pub refused: u64,
    /// Opened with fewer events than were acknowledged, or other ones.
    pub shorter: u64,
    /// Anything else that must not be: panics, hangs, refusals without a cure, untrue repairs.
    pub wrong: u64,
    /// Refused, repaired without losing one event.
    pub repaired_whole: u64,
    /// Refused, repaired, and the lost events named.
    pub repaired_shorter: u64,
    /// Refused, and only a backup or an export helps.
    pub restore: u64,
    /// Events that repairs lost, in all.
    pub events_lost: u64,
    /// Refusals by code.
    pub codes: BTreeMap<String, u64>,
}

impl Counts {
    /// Nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.shorter == 0 && self.wrong == 0
    }

    fn add(&mut self, judged: &Judged) {
        self.cases = self.cases.saturating_add(1);
        let count = |it: &mut u64| *it = it.saturating_add(1);
        match &judged.verdict {
            Verdict::Whole { mended } => {
                count(&mut self.whole);
                if *mended {
                    count(&mut self.mended);
                }
            }
            Verdict::Shorter(_) => count(&mut self.shorter),
            Verdict::Wrong(_) => count(&mut self.wrong),
            Verdict::Restore { code } => {
                count(&mut self.refused);
                count(&mut self.restore);
                count(self.codes.entry(code.clone()).or_default());
            }
            Verdict::Repaired { code, lost } => {
                count(&mut self.refused);
                count(if *lost == 0 {
                    &mut self.repaired_whole
                } else {
                    &mut self.repaired_shorter
                });
                count(self.codes.entry(code.clone()).or_default());
                self.events_lost = self.events_lost.saturating_add(*lost);
            }
        }
    }

    /// The closing line.
    pub fn line(&self) -> String {
        format!(
            "damage: cases {}, opened whole {}, refused with a cure {}, opened silently shorter {}",
            self.cases, self.whole, self.refused, self.shorter
        )
    }

    /// What else is worth knowing.
    pub fn details(&self) -> String {
        let codes: Vec<String> =
            self.codes.iter().map(|(code, count)| format!("{code} {count}")).collect();
        format!(
            "opened whole: {} of them mended by the start; refused: {}; repaired without a loss {}, with the \
             lost events named {} ({} events), restore only {}; wrong {}",
            self.mended,
            codes.join(", "),
            self.repaired_whole,
            self.repaired_shorter,
            self.events_lost,
            self.restore,
            self.wrong
        )
    }
}

/// Runs the cases `first..first + count` of a seed. `tell` hears of each case that is not good, and of
/// the progress.
///
/// # Errors
/// When the logs cannot be made.
pub fn run(
    seed: u64,
    first: u64,
    count: u64,
    tell: &mut dyn FnMut(u64, Option<&str>),
) -> Result<Counts, Trouble> {
    let stock = std::sync::Arc::new(Stock::make()?);
    let mut counts = Counts::default();
    for number in first..first.saturating_add(count) {
        let judged = bounded(&stock, seed, number);
        counts.add(&judged);
        let bad = match &judged.verdict {
            Verdict::Shorter(what) => Some(format!("opened silently shorter: {what}")),
            Verdict::Wrong(what) => Some(format!("wrong: {what}")),
            Verdict::Whole { .. } | Verdict::Restore { .. } | Verdict::Repaired { .. } => None,
        };
        let bad = bad.map(|what| {
            format!(
                "case {number}: {}: {what}; repeat: --seed {seed} --only {number}",
                judged.damage
            )
        });
        tell(counts.cases, bad.as_deref());
    }
    Ok(counts)
}

/// One case in a thread of its own: a panic or a hang is a verdict too.
fn bounded(stock: &std::sync::Arc<Stock>, seed: u64, number: u64) -> Judged {
    let stock = std::sync::Arc::clone(stock);
    let (done, result) = sync_channel(1);
    let spawned = std::thread::Builder::new().name(format!("case-{number}")).spawn(move || {
        let judged = case::judge(&stock, &mut Draw::of(seed, number));
        drop(done.send(judged));
    });
    let wrong = |what: &str| Judged {
        damage: "unknown".to_owned(),
        verdict: Verdict::Wrong(what.to_owned()),
    };
    match spawned {
        Err(cause) => wrong(&format!("no thread: {cause}")),
        Ok(_thread) => match result.recv_timeout(CASE_TIME_MAX) {
            Ok(Ok(judged)) => judged,
            Ok(Err(cause)) => wrong(&format!("the case could not be prepared: {cause}")),
            Err(RecvTimeoutError::Timeout) => wrong("it hangs"),
            Err(RecvTimeoutError::Disconnected) => wrong("it panicked"),
        },
    }
}
