//! The steps of an order against the test CA, each to be asked while something is broken.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{ACCOUNT, Client, csr, durable, responder};
use renewd::acme::Bounds;
use renewd_actors::ports::CertificateAuthority;
use renewd_events::certificate::Leaf;
use renewd_events::id::Hash;
use renewd_events::order::OrderStatus;
use renewd_events::problem::Problem;
use renewd_testca::{Endpoint, FaultKind, Options, TestCa};

pub(crate) const NAME: &str = "one.renewd.test";
/// The CA issues in milliseconds; a machine may be slow.
const ISSUE_TIME_MAX: Duration = Duration::from_secs(120);

pub(crate) struct World {
    pub(crate) ca: TestCa,
    pub(crate) client: Client,
    thumbprint: Arc<Mutex<String>>,
}

/// With the product's bounds.
pub(crate) async fn world() -> World {
    bounded(Bounds::default()).await
}

/// With smaller bounds, for faults that are a wait.
pub(crate) async fn bounded(bounds: Bounds) -> World {
    let thumbprint = Arc::default();
    let http01_target = responder(Arc::clone(&thumbprint)).await;
    let options = Options { http01_target, ..Options::default() };
    let ca = TestCa::start(options).await.unwrap();
    let client = Client::new(&ca.directory_url(), ca.root_pem(), &[], bounds);
    World { ca, client, thumbprint }
}

impl World {
    async fn certificate(&self) -> (String, Leaf) {
        let port = &self.client.ca;
        let order = self.client.order(&[NAME]).await.unwrap();
        let seen = port.look_at_authorizations(ACCOUNT, &order.url, false);
        let challenge = seen.await.unwrap().remove(0).http01.unwrap();
        self.thumbprint.lock().unwrap().clone_from(&challenge.thumbprint);
        let ready = durable(challenge);
        port.make_ready(ACCOUNT, &order.url, &ready).await.unwrap();
        self.until(&order.url, OrderStatus::Ready).await;
        let (_, csr) = csr(&[NAME]);
        let intent = durable(Hash::of(&csr));
        port.finalize(ACCOUNT, &order.url, &intent, &csr).await.unwrap();
        self.until(&order.url, OrderStatus::Valid).await;
        let leaf = port.download(ACCOUNT, &order.url).await.unwrap();
        (order.url, leaf)
    }

    async fn until(&self, url: &str, status: OrderStatus) {
        let wait = async {
            loop {
                let look = self.client.ca.look_at_order(ACCOUNT, url).await.unwrap();
                if look.status >= status {
                    assert_eq!(look.status, status);
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(ISSUE_TIME_MAX, wait).await.unwrap();
    }
}

/// What is asked while the CA is broken.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Directory,
    Register,
    Order,
    Look,
    Authorizations,
    Download,
    Window,
}

impl Step {
    pub(crate) fn endpoint(self) -> Endpoint {
        match self {
            Self::Directory => Endpoint::Directory,
            Self::Register => Endpoint::NewAccount,
            Self::Order => Endpoint::NewOrder,
            Self::Look => Endpoint::Order,
            Self::Authorizations => Endpoint::Authorization,
            Self::Download => Endpoint::Certificate,
            Self::Window => Endpoint::RenewalInfo,
        }
    }

    /// Everything before it goes well, then `break_it` is called with the good chain, then it is asked.
    pub(crate) async fn asked(
        self,
        world: &World,
        break_it: impl FnOnce(&str),
    ) -> Result<(), Problem> {
        let port = &world.client.ca;
        match self {
            Self::Directory | Self::Register => {}
            Self::Order | Self::Look | Self::Authorizations | Self::Download | Self::Window => {
                world.client.register().await.unwrap();
            }
        }
        match self {
            Self::Directory => {
                break_it("");
                port.directory(ACCOUNT).await.map(drop)
            }
            Self::Register => {
                break_it("");
                world.client.register().await.map(drop)
            }
            Self::Order => {
                break_it("");
                world.client.order(&[NAME]).await.map(drop)
            }
            Self::Look => {
                let url = world.client.order(&[NAME]).await.unwrap().url;
                break_it("");
                port.look_at_order(ACCOUNT, &url).await.map(drop)
            }
            Self::Authorizations => {
                let url = world.client.order(&[NAME]).await.unwrap().url;
                break_it("");
                let seen = port.look_at_authorizations(ACCOUNT, &url, true);
                seen.await.map(drop)
            }
            Self::Download => {
                let (url, _) = world.certificate().await;
                let chain = world.client.chains.0.lock().unwrap()[0].clone();
                break_it(&chain);
                port.download(ACCOUNT, &url).await.map(drop)
            }
            Self::Window => {
                let (_, leaf) = world.certificate().await;
                break_it("");
                let asked = port.renewal_window(ACCOUNT, leaf.ari_id.as_deref().unwrap());
                asked.await.map(drop)
            }
        }
    }
}

/// Exactly this answer.
pub(crate) fn raw(status: u16, content_type: &str, body: &str) -> FaultKind {
    with(status, content_type, body, &[])
}

/// The same with headers.
pub(crate) fn with(
    status: u16,
    content_type: &str,
    body: &str,
    headers: &[(&str, &str)],
) -> FaultKind {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    FaultKind::Raw {
        status,
        content_type: content_type.to_owned(),
        body: body.as_bytes().to_vec(),
        headers: headers.iter().map(own).collect(),
    }
}
