//! renewd.

pub mod acme;
pub mod bind;
pub mod challenge;
pub mod cli;
pub mod config;
pub mod host;
pub mod vault;
