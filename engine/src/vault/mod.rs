//! Where private keys live: one sealed file per key under the vault's directory.
//!
//! Read in this order: [`KeySource`] (where the key-encryption key comes from), `seal` (the format),
//! `durable` (how a file gets on disk), `keys` (what is made), then [`FileVault`]. Beside it
//! [`ChainStore`] keeps the certificate chains, which are no secret.
//!
//! Not here: what a key is for, and any key in clear text on disk.

mod chains;
pub(crate) mod durable;
mod error;
mod kek;
mod keys;
mod old_keys;
mod seal;
mod store;

pub use chains::ChainStore;
pub use error::VaultError;
pub use kek::{KeySource, make_key_file};
pub use store::FileVault;
