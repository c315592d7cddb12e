//! The test CA against clients: a foreign one (instant-acme), and a bare one that breaks rules.
//!
//! `support` has sockets and keys, `bare` the client that breaks rules; `road` walks to a certificate; `rules` breaks
//! RFC 8555 on purpose; `renewal` is RFC 9773 and revocation; `faults` plays each fault.

#[cfg(test)]
mod bare;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod renewal;
#[cfg(test)]
mod road;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod support;
