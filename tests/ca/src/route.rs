//! The CA's URLs: one type for parsing and for writing them.

use crate::ledger::Endpoint;

/// A URL of the CA, after scheme and authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    Directory,
    NewNonce,
    NewAccount,
    Account(String),
    /// The orders list of an account from that position on.
    Orders(String, usize),
    NewOrder,
    Order(String),
    Finalize(String),
    Authorization(String),
    Challenge(String),
    /// A chain of a certificate.
    Certificate(String, Chain),
    RenewalInfo(String),
    /// Where the identifier of a certificate is appended.
    RenewalInfoBase,
    Revoke,
}

/// Which of a certificate's chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chain {
    /// Under root A.
    Default,
    /// Under root B.
    Alternate,
}

impl Route {
    /// The route of a path with the CA's random `prefix` (nothing but the directory may be
    /// hard-coded in a client, so the other paths differ from start to start).
    pub(crate) fn parse(path: &str, query: Option<&str>, prefix: &str) -> Option<Self> {
        if path == "/directory" {
            return Some(Self::Directory);
        }
        let rest = path.strip_prefix('/')?.strip_prefix(prefix)?.strip_prefix('/')?;
        let parts: Vec<&str> = rest.split('/').collect();
        let own = |id: &str| id.to_owned();
        match parts.as_slice() {
            ["new-nonce"] => Some(Self::NewNonce),
            ["new-account"] => Some(Self::NewAccount),
            ["new-order"] => Some(Self::NewOrder),
            ["revoke"] => Some(Self::Revoke),
            ["account", id] => Some(Self::Account(own(id))),
            ["account", id, "orders"] => Some(Self::Orders(own(id), cursor(query)?)),
            ["order", id] => Some(Self::Order(own(id))),
            ["order", id, "finalize"] => Some(Self::Finalize(own(id))),
            ["authorization", id] => Some(Self::Authorization(own(id))),
            ["challenge", id] => Some(Self::Challenge(own(id))),
            ["certificate", id] => Some(Self::Certificate(own(id), Chain::Default)),
            ["certificate", id, "alternate"] => Some(Self::Certificate(own(id), Chain::Alternate)),
            ["renewal-info", id] => Some(Self::RenewalInfo(own(id))),
            _ => None,
        }
    }

    /// The path (and query) of the route.
    pub(crate) fn path(&self, prefix: &str) -> String {
        match self {
            Self::Directory => "/directory".to_owned(),
            Self::NewNonce => format!("/{prefix}/new-nonce"),
            Self::NewAccount => format!("/{prefix}/new-account"),
            Self::NewOrder => format!("/{prefix}/new-order"),
            Self::Revoke => format!("/{prefix}/revoke"),
            Self::Account(id) => format!("/{prefix}/account/{id}"),
            Self::Orders(id, 0) => format!("/{prefix}/account/{id}/orders"),
            Self::Orders(id, from) => format!("/{prefix}/account/{id}/orders?from={from}"),
            Self::Order(id) => format!("/{prefix}/order/{id}"),
            Self::Finalize(id) => format!("/{prefix}/order/{id}/finalize"),
            Self::Authorization(id) => format!("/{prefix}/authorization/{id}"),
            Self::Challenge(id) => format!("/{prefix}/challenge/{id}"),
            Self::Certificate(id, Chain::Default) => format!("/{prefix}/certificate/{id}"),
            Self::Certificate(id, Chain::Alternate) => {
                format!("/{prefix}/certificate/{id}/alternate")
            }
            Self::RenewalInfo(id) => format!("/{prefix}/renewal-info/{id}"),
            Self::RenewalInfoBase => format!("/{prefix}/renewal-info"),
        }
    }

    /// Where the request is counted and faulted.
    pub(crate) fn endpoint(&self) -> Endpoint {
        match self {
            Self::Directory => Endpoint::Directory,
            Self::NewNonce => Endpoint::NewNonce,
            Self::NewAccount => Endpoint::NewAccount,
            Self::Account(_) => Endpoint::Account,
            Self::Orders(_, _) => Endpoint::Orders,
            Self::NewOrder => Endpoint::NewOrder,
            Self::Order(_) => Endpoint::Order,
            Self::Finalize(_) => Endpoint::Finalize,
            Self::Authorization(_) => Endpoint::Authorization,
            Self::Challenge(_) => Endpoint::Challenge,
            Self::Certificate(_, _) => Endpoint::Certificate,
            Self::RenewalInfo(_) | Self::RenewalInfoBase => Endpoint::RenewalInfo,
            Self::Revoke => Endpoint::Revoke,
        }
    }

    /// Whether this is read by plain GET (all else is POST, RFC 8555 §6.3).
    pub(crate) fn is_plain_get(&self) -> bool {
        match self.endpoint() {
            Endpoint::Directory | Endpoint::NewNonce | Endpoint::RenewalInfo => true,
            Endpoint::NewAccount
            | Endpoint::Account
            | Endpoint::Orders
            | Endpoint::NewOrder
            | Endpoint::Order
            | Endpoint::Authorization
            | Endpoint::Challenge
            | Endpoint::Finalize
            | Endpoint::Certificate
            | Endpoint::Revoke
            | Endpoint::Unknown
            | Endpoint::Validation => false,
        }
    }
}

/// The position in `from=N`; without a query the start.
fn cursor(query: Option<&str>) -> Option<usize> {
    match query {
        None => Some(0),
        Some(query) => query.strip_prefix("from=")?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_read_back_from_its_own_path() {
        let id = || "x1".to_owned();
        let routes = [
            Route::Directory,
            Route::NewNonce,
            Route::NewAccount,
            Route::Account(id()),
            Route::Orders(id(), 0),
            Route::Orders(id(), 3),
            Route::NewOrder,
            Route::Order(id()),
            Route::Finalize(id()),
            Route::Authorization(id()),
            Route::Challenge(id()),
            Route::Certificate(id(), Chain::Default),
            Route::Certificate(id(), Chain::Alternate),
            Route::RenewalInfo(id()),
            Route::Revoke,
        ];
        for route in routes {
            let path = route.path("p");
            let (path, query) = match path.split_once('?') {
                Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
                None => (path, None),
            };
            let parsed = Route::parse(&path, query.as_deref(), "p");
            assert_eq!(parsed.as_ref(), Some(&route), "{path}");
        }
        assert_eq!(Route::parse("/other/new-order", None, "p"), None);
    }
}
