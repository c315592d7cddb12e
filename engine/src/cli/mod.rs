//! Commands of the binary: text in, text and exit code out.

pub mod config_check;
pub mod exit;
pub mod explain;
pub mod init;
