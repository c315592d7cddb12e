//! Everything that runs during the tour, and the looks at it that several chapters need.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use renewd_events::Event;
use renewd_testca::{OrderSummary, TestCa};

use super::error::DemoError;
use super::follow::Follower;
use super::place::{Place, Setup};
use super::screen::Screen;
use super::visit::{Shown, visit};
use super::worker::Worker;
use crate::start::LOG;

/// The certificate's name in the configuration.
const CERTIFICATE: &str = "demo";
/// The names in it: below `.test` (RFC 6761), which nobody can own.
pub(super) const NAMES: [&str; 2] = ["demo.renewd.test", "www.demo.renewd.test"];
/// Life of a certificate. The engine first asks for renewal information within a hundredth of it:
/// here 6 s, and 4.3 s for a certificate of this name. With `--keep` it is renewed every few minutes.
const LIFE: Duration = Duration::from_secs(600);
/// `Retry-After` of renewal information: the shortest that the engine follows.
const ARI_AGAIN: Duration = Duration::from_secs(60);

/// How the tour is made.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Leave everything running at the end, and the folder for ever.
    pub keep: bool,
    /// The folder; a temporary one without it.
    pub folder: Option<PathBuf>,
    /// How to call this program, in the hints.
    pub program: String,
    /// Commands that are run on the result, for example `log verify`.
    pub run: Vec<&'static str>,
    /// Commands to try, in the hints.
    pub hints: Vec<&'static str>,
}

/// Everything that runs: dropping it kills the engine, then removes a temporary folder (the fields
/// are dropped in their order).
#[derive(Debug)]
pub struct Stage {
    /// The engine's process.
    pub(super) worker: Worker,
    /// Where the reader of its log is.
    pub(super) follower: Follower,
    /// Its folder.
    pub(super) place: Place,
    /// The CA.
    pub(super) ca: TestCa,
    /// Where the certificate is served.
    pub(super) site: SocketAddr,
    /// Where the status page is.
    pub(super) admin: SocketAddr,
    /// stdout.
    pub(super) screen: Screen,
    /// How to call this program, in the hints.
    pub(super) program: String,
}

impl Stage {
    /// Starts the CA, then the engine.
    pub(super) async fn open(options: &Options) -> Result<Self, DemoError> {
        let place = match &options.folder {
            Some(folder) => Place::kept(folder)?,
            None if options.keep => Place::temporary()?.keep(),
            None => Place::temporary()?,
        };
        let [site, responder, admin] = free_addresses()?;
        let ca = TestCa::start(renewd_testca::Options {
            http01_target: responder,
            lifetime: LIFE,
            ari_retry_after: ARI_AGAIN,
            ..renewd_testca::Options::default()
        })
        .await
        .map_err(DemoError::io("start", "the CA on 127.0.0.1"))?;
        place.furnish(&Setup {
            ca: &ca.directory_url(),
            ca_root: ca.root_pem(),
            certificate: CERTIFICATE,
            names: &NAMES,
            site,
            responder,
            admin,
        })?;
        let worker = Worker::start(&place.config(), &place.lines())?;
        let follower = Follower::new(place.state().join(LOG));
        let stage = Self {
            worker,
            follower,
            place,
            ca,
            site,
            admin,
            screen: Screen::new(),
            program: options.program.clone(),
        };
        stage.introduce();
        Ok(stage)
    }

    fn introduce(&self) {
        let (minutes, screen) = (LIFE.as_secs() / 60, &self.screen);
        screen.title(
            "renewd demo: no certificate, a first one, a renewed one, on this machine alone",
        );
        let directory = self.ca.directory_url();
        screen.note(&format!("CA           {directory} (small and strict, in this process)"));
        screen.note(&format!("certificate  {}, for {minutes} minutes", NAMES.join(", ")));
        screen.note(&format!("served at    https://{}", self.site));
        screen.note(&format!("folder       {}", self.place.folder().display()));
    }

    /// Another process in place of one that is gone.
    pub(super) fn start_again(&mut self) -> Result<(), DemoError> {
        self.worker = Worker::start(&self.place.config(), &self.place.lines())?;
        Ok(())
    }

    /// Prints events until one satisfies `reached`.
    pub(super) async fn until(
        &mut self,
        what: &'static str,
        reached: impl FnMut(&Event) -> bool,
    ) -> Result<(), DemoError> {
        let (worker, screen) = (&mut self.worker, &self.screen);
        self.follower.until(what, worker, screen, reached).await
    }

    /// The one order that the CA has.
    pub(super) fn only_order(&self) -> Result<OrderSummary, DemoError> {
        let orders = self.ca.orders();
        match (self.ca.counts().new_order, orders.as_slice()) {
            (1, [order]) => Ok(order.clone()),
            (requests, orders) => Err(DemoError::Book {
                what: format!(
                    "one order was promised; {requests} newOrder requests made {orders:?}"
                ),
            }),
        }
    }

    /// Prints what the engine does for as long as it runs; why it ended is the result.
    pub async fn watch(&mut self) -> DemoError {
        self.follower.watch(&mut self.worker, &self.screen).await
    }

    /// A clean end of everything.
    ///
    /// # Errors
    /// When the engine does not end by itself; it is killed then.
    pub async fn close(self) -> Result<(), DemoError> {
        let Self { worker, mut follower, place, ca, screen, program, .. } = self;
        screen.chapter("The end (SIGTERM)");
        let stopped = worker.stop().await;
        follower.rest(&screen);
        ca.shutdown().await;
        if place.is_kept() {
            screen.note(&format!("kept: {}", place.folder().display()));
        } else {
            screen.note("Nothing is left behind. To keep it running and look at it:");
            screen.note(&format!("{} demo --keep", program));
        }
        stopped
    }

    /// A visitor's handshake, printed.
    pub(super) async fn visit(&self) -> Result<Shown, DemoError> {
        let [name, ..] = NAMES;
        let shown = visit(self.site, name, self.ca.issuer_root_pem()).await?;
        let (site, screen) = (self.site, &self.screen);
        screen
            .holds(&format!("TLS handshake with {site} as {name}, verified against the CA's root"));
        screen.note(&format!("   names        {}", shown.names.join(", ")));
        screen.note(&format!("   valid        {} to {}", shown.not_before, shown.not_after));
        screen.note(&format!("   issuer       {}", shown.issuer));
        screen.note(&format!("   serial       {}", shown.serial));
        screen.note(&format!("   SHA-256      {}", shown.fingerprint));
        Ok(shown)
    }
}

/// Three ports of 127.0.0.1 that are free now. Somebody could take one in between; then the engine
/// says so, and who.
fn free_addresses() -> Result<[SocketAddr; 3], DemoError> {
    let failed = || DemoError::io("find", "a free port of 127.0.0.1");
    let hold = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    // Held until all are chosen: no port twice.
    let held = [hold().map_err(failed())?, hold().map_err(failed())?, hold().map_err(failed())?];
    let [site, responder, admin] = held.each_ref().map(TcpListener::local_addr);
    Ok([site.map_err(failed())?, responder.map_err(failed())?, admin.map_err(failed())?])
}
