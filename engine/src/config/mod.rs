//! The configuration file: text once in, a checked [`Config`] out, or every mistake at once.
//!
//! Read in this order: [`model`] (what a checked configuration is), [`fault`] (what can be wrong,
//! its code and its cure), [`load`] (finding and reading the file), [`raw`] (TOML with places),
//! then one file per section: [`account`], [`names`], [`certificate`], [`bind`], [`sections`].
//!
//! TOML is walked by hand and not through serde: serde stops at the first wrong type, and a person
//! who repairs a file wants to see all of it. Unknown keys are refused all the same ([`raw`]).
//!
//! Not here: secrets (only where they are kept), the wire, anything that runs later.

mod account;
mod bind;
mod ca;
mod certificate;
mod error;
mod fault;
mod load;
mod mask;
mod model;
mod names;
mod overlap;
mod raw;
mod sections;
mod sink;
mod values;

pub use ca::{CHECKED as CA_LIST_CHECKED, KNOWN as KNOWN_CAS, KnownCa};
pub use error::{ConfigError, ConfigErrors, Style};
pub use fault::Fault;
pub use model::{
    Account, Addresses, Admin, Bind, BuiltinBind, CaDirectory, CaRoot, Certificate, Config, Domain,
    Email, FilesBind, Hsts, Http, LifeLeft, Log, LogFormat, LogLevel, Reload, Renew, RenewPolicy,
    Restart, RestartMethod, RestartWhen, Telemetry, VaultKeySource,
};

pub(crate) use account::{directory as parse_ca, parse_email};
pub(crate) use error::shown;
pub(crate) use names::parse_domain;
