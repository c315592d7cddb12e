//! What happened at the CA, by its own words: Pebble's log.

use std::collections::{BTreeMap, BTreeSet};

/// The CA's side of a round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    /// Orders that were made, by Pebble's name of them, in this order.
    pub(super) orders: Vec<String>,
    /// Serial numbers issued, and for which order.
    pub(super) certificates: BTreeMap<String, String>,
    /// Orders that a failed validation ended.
    pub(super) invalid: BTreeSet<String>,
    /// Accounts that were made.
    pub(super) accounts: u64,
}

impl Ledger {
    /// Reads Pebble's log. A line that is still being written is not there yet.
    pub(super) fn read(log: &str) -> Self {
        let mut ledger = Self::default();
        for line in log.lines() {
            if let Some(order) = between(line, "Added order \"", "\" to the db") {
                ledger.orders.push(order.to_owned());
            } else if let Some(issued) = between(line, "Issued certificate serial ", "") {
                if let Some((serial, order)) = issued.split_once(" for order ") {
                    ledger.certificates.insert(serial.to_owned(), order.to_owned());
                }
            } else if let Some(order) = between(line, " order ", " set INVALID by invalid authz") {
                ledger.invalid.insert(order.to_owned());
            } else if let Some(count) = between(line, "There are now ", " accounts in memory") {
                ledger.accounts = ledger.accounts.max(count.parse().unwrap_or(0));
            }
        }
        ledger
    }
}

/// What stands between the two, in this line.
fn between<'a>(line: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(before)?;
    if after.is_empty() {
        return Some(rest.trim_end());
    }
    rest.split_once(after).map(|(middle, _)| middle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_certificates_and_ends_are_read_from_pebbles_own_lines() {
        let ledger = Ledger::read(
            "\
Pebble 2026/11/24 06:52:28 There are now 1 accounts in memory
Pebble 2026/11/24 06:52:28 Added order \"7Jz\" to the db
Pebble 2026/11/24 06:52:28 There are now 1 orders in the db
Pebble 2026/11/24 06:52:28 authz aa set INVALID by completed challenge bb
Pebble 2026/11/24 06:52:28 order 7Jz set INVALID by invalid authz aa
Pebble 2026/11/24 06:52:29 Added order \"9Kx\" to the db
Pebble 2026/11/24 06:52:29 Order 9Kx is fully authorized. Processing finalization
Pebble 2026/11/24 06:52:29 Issued certificate serial 4d2 for order 9Kx
Pebble 2026/11/24 06:52:29 Added order \"hal",
        );
        assert_eq!(ledger.orders, ["7Jz", "9Kx"]);
        assert_eq!(ledger.certificates, [("4d2".to_owned(), "9Kx".to_owned())].into());
        assert_eq!(ledger.invalid, ["7Jz".to_owned()].into());
        assert_eq!(ledger.accounts, 1);
    }
}
