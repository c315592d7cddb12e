//! The CA's side of a round against the log's side: what must never happen, counted.

use std::collections::{BTreeMap, BTreeSet};

use renewd_events::WallMs;
use renewd_events::id::CertificateId;

use super::door::Visit;
use super::ledger::Ledger;
use super::story::{Ordered, Story, Token};

/// Keys before the newest that renewd keeps (`old_keys.rs` in engine/src/vault).
const KEYS_KEPT: u32 = 3;

/// Where a challenge lies (RFC 8555 §8.3).
const CHALLENGES: &str = "/.well-known/acme-challenge/";

/// One life of the process: from its start until it was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) began: WallMs,
    pub(super) over: WallMs,
}

/// What was found; each of the three has its number and a sentence for each case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    pub(super) second_orders: u64,
    pub(super) lost_keys: u64,
    pub(super) unanswered: u64,
    /// What was found, in words; also what has no number of its own.
    pub(super) complaints: Vec<String>,
}

/// All that is known about a round.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    pub(super) ca: &'a Ledger,
    pub(super) log: &'a Story,
    pub(super) visits: &'a [Visit],
    pub(super) lives: &'a [Life],
    /// Names of the certificates' keys that lie in the vault.
    pub(super) vault: &'a BTreeSet<String>,
}

impl Evidence<'_> {
    /// Judges all of it.
    pub(super) fn judge(&self) -> Findings {
        let mut findings = Findings::default();
        self.orders(&mut findings);
        self.keys(&mut findings);
        self.challenges(&mut findings);
        findings
    }

    /// Each order at the CA belongs to a renewal; a certificate gets another order only when its last
    /// one was adopted, died at the CA, or can no longer be told from none.
    fn orders(&self, findings: &mut Findings) {
        let known: BTreeSet<&str> =
            self.log.orders.values().filter_map(|order| order.at_the_ca.as_deref()).collect();
        let strangers: Vec<&String> =
            self.ca.orders.iter().filter(|name| !known.contains(name.as_str())).collect();
        let unresolved = self.log.orders.values().filter(|order| order.unresolved).count();
        for stranger in strangers.iter().skip(unresolved) {
            findings.second_orders += 1;
            findings.complaints.push(format!("the log knows nothing of the CA's order {stranger}"));
        }
        for name in known {
            if !self.ca.orders.iter().any(|order| order == name) {
                findings.complaints.push(format!("the CA knows nothing of the log's order {name}"));
            }
        }
        let mut last: BTreeMap<CertificateId, &Ordered> = BTreeMap::new();
        for order in self.made() {
            let before = last.insert(order.certificate, order);
            let Some(before) = before else { continue };
            if !self.is_over(before, order) {
                findings.second_orders += 1;
                findings.complaints.push(format!(
                    "event {} asks for a second order although that of event {} was alive",
                    order.requested, before.requested
                ));
            }
        }
    }

    /// The orders that both sides know, as they were asked for.
    fn made(&self) -> Vec<&Ordered> {
        let at_the_ca =
            |order: &&Ordered| order.at_the_ca.as_ref().is_some_and(|n| self.ca.orders.contains(n));
        let mut made: Vec<&Ordered> = self.log.orders.values().filter(at_the_ca).collect();
        made.sort_by_key(|order| order.requested);
        made
    }

    fn is_over(&self, before: &Ordered, later: &Ordered) -> bool {
        let ended = before.ended.is_some_and(|seq| seq < later.requested);
        let adopted = self.log.adopted.iter().any(|(id, seq)| {
            *seq < later.requested
                && self.log.orders.get(id).is_some_and(|order| order.requested == before.requested)
        });
        ended || adopted
    }

    /// One account; and for each certificate of the CA the key that was made for it.
    fn keys(&self, findings: &mut Findings) {
        if self.ca.accounts > 1 {
            findings.lost_keys += self.ca.accounts - 1;
            findings.complaints.push(format!("the CA has {} accounts", self.ca.accounts));
        }
        for (serial, name) in &self.ca.certificates {
            let order =
                self.log.orders.values().find(|order| order.at_the_ca.as_ref() == Some(name));
            let renewal = order.and_then(|order| order.renewal);
            let key = renewal.and_then(|renewal| self.log.keys.get(&renewal));
            if !key.is_some_and(|key| self.vault.contains(key) || self.is_long_over(key)) {
                findings.lost_keys += 1;
                findings.complaints.push(format!(
                    "certificate {serial} of order {name}: its key ({key:?}) is not in the vault"
                ));
            }
        }
    }

    /// An issue adopted since has a key so much newer that renewd removes this one at a start.
    fn is_long_over(&self, key: &str) -> bool {
        let number = |key: &str| {
            let (certificate, number) = key.rsplit_once('-')?;
            Some((certificate.to_owned(), number.parse::<u32>().ok()?))
        };
        let Some((certificate, of)) = number(key) else {
            return false;
        };
        let adopted = self.log.adopted.keys().filter_map(|id| {
            let renewal = self.log.orders.get(id)?.renewal?;
            number(self.log.keys.get(&renewal)?)
        });
        adopted.filter(|(other, _)| *other == certificate).any(|(_, newer)| newer > of + KEYS_KEPT)
    }

    /// While a process was there, every fetch of a published token got its answer; and no order died
    /// without a fetch that met nobody.
    fn challenges(&self, findings: &mut Findings) {
        let mut missed: BTreeSet<&str> = BTreeSet::new();
        for visit in self.visits.iter().filter(|visit| visit.status != Some(200)) {
            let name = visit.path.strip_prefix(CHALLENGES).unwrap_or(&visit.path);
            missed.insert(name);
            let published = self.log.tokens.get(name).is_some_and(|token| open(token, visit));
            if published && (visit.status.is_some() || self.was_up(visit)) {
                findings.unanswered += 1;
                findings.complaints.push(format!("a published token was not answered: {visit:?}"));
            }
        }
        for name in &self.ca.invalid {
            let tokens = self.log.tokens.iter().filter(|(_, token)| {
                let order = self.log.orders.get(&token.order);
                order.is_some_and(|order| order.at_the_ca.as_ref() == Some(name))
            });
            let mut tokens = tokens.map(|(token, _)| token.as_str());
            if !tokens.any(|token| missed.contains(token)) {
                findings.unanswered += 1;
                findings.complaints.push(format!("order {name} died with every fetch answered"));
            }
        }
    }

    /// The whole fetch lies between a life's first event and its kill.
    fn was_up(&self, visit: &Visit) -> bool {
        self.lives.iter().any(|life| {
            let mut boots = self.log.boots.iter();
            let booted = boots.find(|at| (life.began..=life.over).contains(*at));
            booted.is_some_and(|booted| *booted <= visit.begun && visit.ended < life.over)
        })
    }
}

fn open(token: &Token, visit: &Visit) -> bool {
    token.published <= visit.begun && token.withdrawn.is_none_or(|at| visit.ended < at)
}

#[cfg(test)]
mod tests;
