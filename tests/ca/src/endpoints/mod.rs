//! What each URL does; one file per resource, [`dispatch`] chooses.

mod account;
mod ari;
mod authorization;
mod certificate;
mod challenge;
mod directory;
mod dispatch;
mod finalize;
mod new_order;
mod order;
mod revoke;

pub(crate) use dispatch::{get, post};
