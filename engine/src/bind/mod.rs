//! Puts certificates where they are served, and looks at what is served there.
//!
//! Read in this order: [`CertResolver`] (which certificate for which name), [`TlsServer`] (our own
//! HTTPS listeners), [`files`] (for other programs), [`ReloadCommand`] (telling them), `handshake`
//! (looking), [`Bindings`] (the port the actors use).
//!
//! Not here: when to deploy, and whether what was seen is right.

mod bindings;
pub mod files;
mod handshake;
mod listener;
mod reload;
mod resolver;

pub use bindings::{Bindings, Shown};
pub(crate) use listener::server_config;
pub use listener::{Page, TlsServer, status_page};
pub use reload::ReloadCommand;
pub use resolver::CertResolver;
