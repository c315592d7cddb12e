//! SIGSTOP for minutes: a host that was suspended within its orders, judged from the CA's side. Longer than
//! any wait of ours, shorter than the CA keeps an authorization; our ports stay open all along.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::round;
use super::totals::Totals;
use crate::error::HarnessError;

/// After which event each host stands still: an order asked for, made, under validation, finalized, and at
/// rest with all certificates served. With three certificates the others are at other steps.
const STEPS: [&str; 5] = [
    "OrderRequested",
    "OrderCreated",
    "ReadinessRequested",
    "FinalizationRequested",
    "RenewalSucceeded",
];

/// What came of it. `Display` is the closing line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspensions {
    /// How long each host stood still.
    pub each: Duration,
    /// The sums; one round a host.
    pub totals: Totals,
}

/// Suspends five hosts at once for so long, each at another step, and judges them.
///
/// # Errors
/// When the harness itself cannot go on; what is wrong with `renewd` is in [`Totals`].
pub fn suspend(
    each: Duration,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Suspensions, HarnessError> {
    let totals = Mutex::new(Totals::default());
    let one = |step| {
        let outcome = round::run_suspended(step, each)?;
        let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
        totals.take(0, &outcome).iter().for_each(|line| progress(line));
        let (orders, certificates) = (outcome.orders, outcome.certificates);
        progress(&format!(
            "suspended at {step}: {orders} orders, {certificates} certificates, {} renewals failed",
            outcome.failures
        ));
        Ok(())
    };
    let ended: Vec<Result<(), HarnessError>> = std::thread::scope(|threads| {
        let hosts: Vec<_> =
            STEPS.map(|step| threads.spawn(move || one(step))).into_iter().collect();
        hosts.into_iter().filter_map(|host| host.join().ok()).collect()
    });
    ended.into_iter().collect::<Result<Vec<()>, _>>()?;
    let totals = totals.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Suspensions { each, totals })
}

impl Suspensions {
    /// Nothing was found, in any host.
    pub fn is_clean(&self) -> bool {
        usize::try_from(self.totals.rounds) == Ok(STEPS.len()) && self.totals.is_clean()
    }
}

impl fmt::Display for Suspensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Totals { rounds, orders, certificates, failures, .. } = self.totals;
        let Totals { second_orders, lost_keys, unanswered, .. } = self.totals;
        write!(
            f,
            "suspend: suspensions {rounds} of {} s, orders at the CA {orders}, certificates {certificates}, \
             renewals failed {failures}, unexplained second orders {second_orders}, lost keys {lost_keys}, \
             unanswered challenges {unanswered}",
            self.each.as_secs()
        )
    }
}
