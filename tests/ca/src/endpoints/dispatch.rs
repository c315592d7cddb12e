//! Which function serves a route. The caller has checked method, signature, URL and nonce.

use std::sync::Arc;

use http::Method;

use super::{
    account, ari, authorization, certificate, challenge, directory, finalize, new_order, order,
    revoke,
};
use crate::authority::Authority;
use crate::bend::Progress;
use crate::gate::Signed;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::route::Route;

/// A plain GET (or HEAD).
pub(crate) fn get(authority: &Authority, route: &Route, method: &Method) -> Result<Reply, Problem> {
    match route {
        Route::Directory => Ok(directory::show(authority)),
        Route::NewNonce => Ok(directory::new_nonce(method)),
        Route::RenewalInfo(id) => ari::show(authority, id),
        Route::RenewalInfoBase
        | Route::NewAccount
        | Route::Account(_)
        | Route::Orders(_, _)
        | Route::NewOrder
        | Route::Order(_)
        | Route::Finalize(_)
        | Route::Authorization(_)
        | Route::Challenge(_)
        | Route::Certificate(_, _)
        | Route::Revoke => Err(Problem::not_found("URL to GET")),
    }
}

/// A signed POST. A fault may want progress hidden.
pub(crate) fn post(
    authority: &Arc<Authority>,
    route: &Route,
    signed: &Signed,
    progress: Progress,
) -> Result<Reply, Problem> {
    match route {
        Route::NewAccount => account::create(authority, signed),
        Route::Account(id) => account::update(authority, signed, id),
        Route::Orders(id, from) => account::orders(authority, signed, id, *from),
        Route::NewOrder => new_order::create(authority, signed),
        Route::Order(id) => order::look(authority, signed, id, progress),
        Route::Finalize(id) => finalize::finalize(authority, signed, id, progress),
        Route::Authorization(id) => authorization::look(authority, signed, id, progress),
        Route::Challenge(id) => challenge::respond(authority, signed, id, progress),
        Route::Certificate(id, chain) => certificate::download(authority, signed, id, *chain),
        Route::Revoke => revoke::revoke(authority, signed),
        Route::Directory | Route::NewNonce | Route::RenewalInfo(_) | Route::RenewalInfoBase => {
            Err(Problem::not_found("URL to POST to"))
        }
    }
}
