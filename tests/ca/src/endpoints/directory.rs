//! The directory (RFC 8555 §7.1.1) and newNonce (§7.2).

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::authority::Authority;
use crate::reply::Reply;
use crate::route::Route;

/// GET directory.
pub(super) fn show(authority: &Authority) -> Reply {
    let options = &authority.options;
    let mut directory = Map::new();
    let mut put = |name: &str, value: Value| directory.insert(name.to_owned(), value);
    put("newNonce", json!(authority.url(&Route::NewNonce)));
    put("newAccount", json!(authority.url(&Route::NewAccount)));
    put("newOrder", json!(authority.url(&Route::NewOrder)));
    put("revokeCert", json!(authority.url(&Route::Revoke)));
    if options.ari {
        put("renewalInfo", json!(authority.url(&Route::RenewalInfoBase)));
    }
    let mut meta = Map::new();
    meta.insert("externalAccountRequired".to_owned(), json!(false));
    if let Some(terms) = &authority.store().terms {
        meta.insert("termsOfService".to_owned(), json!(terms));
    }
    if !options.profiles.is_empty() {
        let profiles: Map<String, Value> = options
            .profiles
            .iter()
            .map(|(name, life)| (name.clone(), json!(format!("{} s", life.as_secs()))))
            .collect();
        meta.insert("profiles".to_owned(), Value::Object(profiles));
    }
    put("meta", Value::Object(meta));
    Reply::json(StatusCode::OK, &Value::Object(directory))
}

/// HEAD newNonce answers 200, GET 204; the nonce itself comes with every answer.
pub(super) fn new_nonce(method: &Method) -> Reply {
    if method == Method::HEAD {
        Reply::empty(StatusCode::OK)
    } else {
        Reply::empty(StatusCode::NO_CONTENT)
    }
}
