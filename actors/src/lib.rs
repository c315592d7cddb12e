//! Who decides.

pub mod ports;
