//! Doors for tests/fuzz, behind the feature `fuzzing`: what the sockets would bring, without sockets.
//! Nothing is decided here; everything behind a door is the product's own code.

use std::sync::Arc;

use renewd_events::id::AccountId;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::acme::{AccountConfig, AccountFacts, AccountKeys, AcmeClient, ChainSink};
use crate::challenge::Responder;

pub use crate::acme::Script;
pub use crate::admin::door::AdminDoor;

/// One connection to the challenge responder.
pub async fn challenge(responder: &Responder, io: impl AsyncRead + AsyncWrite + Unpin) {
    responder.connection(io).await;
}

/// A client of one account whose CA is a function.
pub fn acme_client(
    account: (AccountId, &AccountConfig),
    keys: &Arc<dyn AccountKeys>,
    chains: Arc<dyn ChainSink>,
    facts: &Arc<AccountFacts>,
    script: Script,
) -> AcmeClient {
    AcmeClient::scripted(account, keys, (chains, facts), script)
}
