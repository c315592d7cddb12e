//! The CA port on the wire: against a real Pebble (`pebble`), against a CA that misbehaves (`broken`,
//! `survived`), and with many orders at once (`many`).
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails loudly"
)]

mod broken;
mod many;
mod pebble;
mod steps;
mod support;
mod survived;
