//! placeholder

pub mod bind;
pub mod challenge;
pub mod host;
pub mod vault;
