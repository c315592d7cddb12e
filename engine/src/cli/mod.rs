//! Commands of the binary: text in, text and exit code out.

pub mod exit;
pub mod explain;
