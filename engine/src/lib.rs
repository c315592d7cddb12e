//! renewd as a library: certificates that renew themselves, inside a long-running program.
//!
//! Read in this order: [`settings`] (what an engine is told), [`mod@start`] (from settings to a running
//! engine), [`declare`] (settings into facts), `wire` (ports meet adapters), `again`
//! (what was served before), `awake` (what is done when the life begins); then the adapters:
//! [`acme`] (the CA), [`vault`] (keys), [`challenge`] (the http-01 responder), [`bind`] (where
//! certificates are served), [`host`] (this process); then what people touch: [`config`], [`cli`],
//! [`admin`] (page, health, metrics, commands), the
//! offline tour (`demo`), and [`embed`] for programs that have renewd inside. [`telemetry`] tells what
//! goes on.
//!
//! Not here: decisions (`renewd-actors`), facts and the log (`renewd-events`), their meaning
//! (`renewd-replay`).

pub mod acme;
pub mod admin;
mod again;
mod awake;
pub mod bind;
pub mod challenge;
pub mod cli;
pub mod config;
pub mod declare;
#[cfg(feature = "demo")]
pub mod demo;
pub mod embed;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod host;
pub mod settings;
pub mod start;
pub mod telemetry;
pub mod vault;
mod wire;

pub use embed::{Account, Certificate, EmbedError, Renewd};
pub use settings::Settings;
pub use start::{Running, StartError, start};
