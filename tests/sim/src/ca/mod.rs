//! The CA of the world: RFC 8555 and 9773 as a state machine behind the port, with faults.

mod authority;
mod late;
mod port;
mod problems;

pub(crate) use authority::Authority;
pub(crate) use late::Late;
pub(crate) use problems::acme;
