//! From account to chain, by a client that is not ours.

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Identifier, Key, NewOrder, OrderStatus,
};
use renewd_testca::{Counts, Options};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::pem::Pem;

use crate::support::{LOOK_EVERY, LOOKS_MAX, Responder, Transport, ca, csr};

#[tokio::test]
async fn instant_acme_walks_from_account_to_chain_with_no_request_more_than_it_needs() {
    let responder = Responder::start().await;
    let ca = ca(&responder, Options::default()).await;
    let account = account(&ca).await;
    let names = ["one.example", "two.example"];
    let identifiers = names.map(|name| Identifier::Dns(name.to_owned()));
    let mut order =
        account.new_order(&NewOrder::new(&identifiers).profile("shortlived")).await.unwrap();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.unwrap();
        assert_eq!(authorization.status, AuthorizationStatus::Pending);
        let mut challenge = authorization.challenge(ChallengeType::Http01).unwrap();
        let answer = challenge.key_authorization();
        responder.publish(&challenge.token, answer.as_str());
        challenge.set_ready().await.unwrap();
    }
    wait(&mut order, OrderStatus::Ready).await;
    order.finalize_csr(&csr(&names)).await.unwrap();
    assert_eq!(order.state().status, OrderStatus::Processing);
    assert_eq!(order.refresh().await.unwrap().status, OrderStatus::Valid);
    let chain = order.certificate().await.unwrap().unwrap();

    check_chain(&chain, ca.issuer_root_pem(), &names, Duration::from_secs(6 * 86_400));
    assert_eq!(ca.violations(), Vec::<String>::new());
    let counts = ca.counts();
    let expected = Counts {
        new_account: 1,
        new_order: 1,
        challenge: 2,
        finalize: 1,
        certificate: 1,
        directory: 1,
        authorization_look: 2,
        validations: 2,
        // these depend on its own pace and pool
        nonce: counts.nonce,
        order_look: counts.order_look,
        connections: counts.connections,
        ..Counts::default()
    };
    assert_eq!(counts, expected);
    let [order] = ca.orders().try_into().unwrap();
    assert_eq!(order.status, "valid");
    assert_eq!(order.certificate, Some(ca.certificates()[0].ari_id.clone()));
}

#[tokio::test]
async fn instant_acme_survives_nonces_refused_at_random_and_the_refusals_are_counted() {
    let responder = Responder::start().await;
    let options = Options { nonce_reject_percent: 30, ..Options::default() };
    let ca = ca(&responder, options).await;
    let mut accounts = 0;
    for _ in 0..60 {
        let (key, pkcs8) = Key::generate_pkcs8().unwrap();
        let key = (key, PrivateKeyDer::Pkcs8(pkcs8));
        let builder = Account::builder_with_http(Box::new(Transport::new(&ca)));
        // Three attempts inside the library: 2.7 % of the calls still fail.
        accounts += u64::from(builder.create_from_key(key, ca.directory_url()).await.is_ok());
    }
    let counts = ca.counts();
    assert!(counts.bad_nonce > 0, "60 registrations without one refusal: {counts:?}");
    assert_eq!(counts.new_account, accounts + counts.bad_nonce);
    assert_eq!(ca.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn the_port_is_free_again_after_shutdown() {
    let responder = Responder::start().await;
    let first = ca(&responder, Options::default()).await;
    let listen = first.address();
    first.shutdown().await;
    let second = ca(&responder, Options { listen, ..Options::default() }).await;
    assert_eq!(second.address(), listen);
    account(&second).await;
}

async fn account(ca: &renewd_testca::TestCa) -> Account {
    let (key, pkcs8) = Key::generate_pkcs8().unwrap();
    let key = (key, PrivateKeyDer::Pkcs8(pkcs8));
    let builder = Account::builder_with_http(Box::new(Transport::new(ca)));
    let (account, _) = builder.create_from_key(key, ca.directory_url()).await.unwrap();
    account
}

async fn wait(order: &mut instant_acme::Order, status: OrderStatus) {
    for _ in 0..LOOKS_MAX {
        if order.refresh().await.unwrap().status == status {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    panic!("the order did not become {status:?}");
}

/// Leaf names and life, and every signature up to the root.
fn check_chain(chain: &str, root: &str, names: &[&str], life: Duration) {
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>().unwrap();
    assert_eq!(chain.len(), 2);
    let (_, leaf) = x509_parser::parse_x509_certificate(&chain[0]).unwrap();
    let (_, intermediate) = x509_parser::parse_x509_certificate(&chain[1]).unwrap();
    let root: Pem = Pem::iter_from_buffer(root.as_bytes()).next().unwrap().unwrap();
    let root = root.parse_x509().unwrap();
    leaf.verify_signature(Some(intermediate.public_key())).unwrap();
    intermediate.verify_signature(Some(root.public_key())).unwrap();
    let alternative = leaf.subject_alternative_name().unwrap().unwrap();
    let found: Vec<String> = alternative
        .value
        .general_names
        .iter()
        .map(|name| name.to_string().replace("DNSName(", "").replace(')', ""))
        .collect();
    assert_eq!(found, names);
    let validity = leaf.validity();
    let seconds = validity.not_after.timestamp() - validity.not_before.timestamp();
    assert_eq!(u64::try_from(seconds).unwrap(), life.as_secs());
}
