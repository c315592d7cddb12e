//! Fuzzing of everything that reads octets which others wrote. One function per target: it takes any
//! octets, and panics when a promise is broken.
//!
//! Read in this order: [`targets`] (the list), then a target: [`event_codec()`], [`mirror_segment()`],
//! [`configuration()`], [`ca_answers()`], [`challenge_request()`], [`admin_request()`]; then [`driver`]: the
//! bounded run on stable. Three ways to run them:
//!
//! - `cargo test -p renewd-fuzz`: so many inputs of a fixed seed, some seconds for each target;
//! - `cargo xtask fuzz [--seconds N] [--seed N] [TARGET [FILE]]`: longer, of another seed each time, or
//!   one input again; its last line is `fuzz: targets T, inputs N, failures F`;
//! - `libfuzzer/` on nightly, guided by coverage, for hours: its Cargo.toml says how.
//!
//! An input that fails is shrunk, kept under `regressions/TARGET`, and run first from then on.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a target panics when a promise is broken: that is its answer"
)]

pub mod admin_request;
pub mod ca_answers;
pub mod challenge_request;
pub mod configuration;
pub mod driver;
pub mod event_codec;
mod http1;
pub mod mirror_segment;
pub mod targets;

pub use admin_request::admin_request;
pub use ca_answers::ca_answers;
pub use challenge_request::challenge_request;
pub use configuration::configuration;
pub use event_codec::event_codec;
pub use mirror_segment::mirror_segment;
