//! renewd inside another program: certificates for its own listeners, renewed while it runs.
//!
//! Read in this order: [`Account`] and [`Certificate`] (what is wanted), [`Builder`] (the checks
//! before anything starts), [`Renewd`] (the running engine), `http01` (a port-80 server of the host),
//! `tls` (an HTTPS listener), [`Events`] and [`CertificateStatus`] (what goes on).
//!
//! It keeps to its own state directory and its own tasks: no global state, no signal handler, no panic
//! hook, no logger, no process-wide crypto provider. Two engines on different directories live side by
//! side; a second one on the same directory is refused with [`EmbedError::AlreadyRunning`].
//!
//! ```no_run
//! use renewd::{Account, Certificate, Renewd};
//!
//! # async fn host() -> Result<(), renewd::EmbedError> {
//! let renewd = Renewd::builder()
//!     .state_dir("/var/lib/myapp/renewd")
//!     .account(Account::lets_encrypt().email("ops@example.org").terms_accepted_by_operator())
//!     .certificate(Certificate::new(["example.org", "www.example.org"]))
//!     .http01_listen("[::]:80".parse().unwrap())
//!     .start()
//!     .await?;
//! let mut events = renewd.events();
//! while let Some(event) = events.next().await {
//!     println!("{} {:?}", event.certificate, event.what);
//! }
//! # Ok(())
//! # }
//! ```

mod account;
mod builder;
mod certificate;
mod error;
mod events;
mod http01;
mod running;
mod status;
mod tls;

pub use account::Account;
pub use builder::Builder;
pub use certificate::Certificate;
pub use error::EmbedError;
pub use events::{Event, Events, What};
pub use http01::Http01Or;
pub use running::Renewd;
pub use status::CertificateStatus;
pub use tls::TlsListener;
