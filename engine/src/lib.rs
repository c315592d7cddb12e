//! placeholder

pub mod acme;
