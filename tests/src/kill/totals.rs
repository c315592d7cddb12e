//! The sums of all rounds, and the words in which they are told.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::round::Outcome;

/// What came of all rounds. `Display` is the closing line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Times that SIGKILL was sent.
    pub kills: u64,
    /// Hosts, each with a CA of its own.
    pub rounds: u64,
    /// Orders that the CA made.
    pub orders: u64,
    /// Certificates that the CA issued.
    pub certificates: u64,
    /// Renewals that ended without a certificate, because the CA's validator met a killed process.
    pub failures: u64,
    /// Renewals that somebody asked for by `renewd renew`.
    pub wishes: u64,
    /// How often a killed life ended at which event.
    pub ends: BTreeMap<&'static str, u64>,
    /// Orders at the CA beside a live one, or unknown to the log.
    pub second_orders: u64,
    /// Certificates whose key is gone, and accounts beyond the first.
    pub lost_keys: u64,
    /// Fetches of a published token without its answer while a process was up.
    pub unanswered: u64,
    /// Everything found, these three and what has no number: a log that is not whole, a certificate
    /// that is not served, a process that ended by itself.
    pub complaints: u64,
    /// Rounds whose Pebble stopped answering for good: they end without their last renewals.
    pub silent: u64,
}

impl Totals {
    /// Adds a round; the lines are for a person, one per complaint and how to see it.
    pub(super) fn take(&mut self, seed: u64, outcome: &Outcome) -> Vec<String> {
        let findings = &outcome.findings;
        self.kills += outcome.kills;
        self.rounds += 1;
        self.orders += outcome.orders;
        self.certificates += outcome.certificates;
        self.failures += outcome.failures;
        self.wishes += outcome.wishes;
        for end in &outcome.ends {
            *self.ends.entry(end).or_default() += 1;
        }
        self.second_orders += findings.second_orders;
        self.silent += outcome.silent;
        self.lost_keys += findings.lost_keys;
        self.unanswered += findings.unanswered;
        self.complaints += u64::try_from(findings.complaints.len()).unwrap_or(u64::MAX);
        let mut lines: Vec<String> =
            findings.complaints.iter().map(|what| format!("  ! {what}")).collect();
        if let Some(kept) = &outcome.kept {
            let (kills, kept) = (outcome.kills, kept.display());
            lines.push(format!("  ! again: cargo xtask kill --count {kills} --seed {seed}"));
            lines.push(format!(
                "  ! its files: {kept} (renewd --config {kept}/renewd.toml log cat)"
            ));
        }
        lines
    }

    /// How far it is.
    pub(super) fn progress(&self, kills: u64, elapsed: Duration) -> String {
        let per_minute =
            self.kills * 60_000 / u64::try_from(elapsed.as_millis()).unwrap_or(1).max(1);
        let left = kills.saturating_sub(self.kills).checked_div(per_minute).unwrap_or(0);
        format!(
            "{} of {kills} kills, {} hosts, {} orders, {} certificates, {} renewals failed by a kill, \
             {} complaints; {per_minute} kills a minute, {left} min left",
            self.kills, self.rounds, self.orders, self.certificates, self.failures, self.complaints
        )
    }

    /// Where the killed lives ended, most often first.
    pub fn places(&self) -> String {
        let mut ends: Vec<(&str, u64)> = self.ends.iter().map(|(name, n)| (*name, *n)).collect();
        ends.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
        let all: Vec<String> = ends.iter().map(|(name, count)| format!("{name} {count}")).collect();
        format!(
            "{} renewals were asked for; {} of {} rounds ended with a Pebble that hangs; lives ended \
             at {} kinds of events: {}",
            self.wishes,
            self.silent,
            self.rounds,
            ends.len(),
            all.join(", ")
        )
    }

    /// Nothing was found.
    pub fn is_clean(&self) -> bool {
        // A Pebble that hangs is rare; often, it would be our doing.
        let silent = self.silent * 100 <= self.rounds.max(100);
        silent && self.complaints == 0 && self.second_orders + self.lost_keys + self.unanswered == 0
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "kill: kills {}, orders at the CA {}, certificates {}, unexplained second orders {}, \
             lost keys {}, unanswered challenges {}",
            self.kills,
            self.orders,
            self.certificates,
            self.second_orders,
            self.lost_keys,
            self.unanswered
        )
    }
}
