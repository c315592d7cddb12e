//! renewd.
pub mod cli;
pub mod config;
