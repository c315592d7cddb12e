//! The story, chapter by chapter. What it claims is checked against the CA's own book first.

use std::time::{Duration, SystemTime};

use renewd_events::Event;
use renewd_events::authorization::AuthorizationEvent;
use renewd_events::certificate::CertificateEvent;
use renewd_events::schedule::ScheduleEvent;
use renewd_testca::{Endpoint, Fault, FaultKind};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::error::DemoError;
use super::reading;
use super::stage::{NAMES, Options, Stage};
use super::visit::Shown;

/// The CA looks at the challenges only after this: the middle in which the engine is killed. The new
/// process must answer before; its start takes below 0.3 s, in a debug build on a busy machine 1 s.
const CA_LOOKS_AFTER: Duration = Duration::from_secs(3);
/// How long nobody is there after the kill, so that a person can see it.
const DEAD_TIME: Duration = Duration::from_millis(500);
/// The renewal window that the CA then suggests: it began an hour ago and ended a minute ago.
const WINDOW_AGO: (Duration, Duration) = (Duration::from_secs(3600), Duration::from_secs(60));

/// Makes the whole tour, prints it to stdout, and hands over what still runs. Dropping the future
/// kills the engine and removes a temporary folder.
///
/// # Errors
/// See [`DemoError`]. A broken promise (a second order, a violation of the protocol) is one.
pub async fn tour(options: &Options) -> Result<Stage, DemoError> {
    let mut stage = Stage::open(options).await?;
    killed_in_mid_order(&mut stage).await?;
    resumed(&mut stage).await?;
    stage.screen.chapter("3. What a visitor sees");
    let first = stage.visit().await?;
    renewed(&mut stage, &first).await?;
    book(&stage)?;
    read_back(&stage, options).await?;
    hints(&stage, options).await;
    Ok(stage)
}

/// Register, order, publish, tell the CA to look; then SIGKILL.
async fn killed_in_mid_order(stage: &mut Stage) -> Result<(), DemoError> {
    let names = u32::try_from(NAMES.len()).unwrap_or(u32::MAX);
    let held_up = Fault::once(Endpoint::Validation, FaultKind::Delay(CA_LOOKS_AFTER));
    stage.ca.inject(held_up.times(names));
    let pid = stage.worker.id();
    stage.screen.chapter(&format!("1. A first order (`renewd run`, pid {pid})"));
    let mut told = 0;
    stage
        .until("that the CA is told to look", |event| {
            let accepted = AuthorizationEvent::ReadinessAccepted { inferred: false };
            told += u32::from(*event == Event::Authorization(accepted));
            told == names
        })
        .await?;
    stage.worker.kill()?;
    stage.screen.cut(&format!("kill -9 {pid}: the CA is about to look, and nobody is there"));
    sleep(DEAD_TIME).await;
    Ok(())
}

/// A new process finds the order in the log and ends it.
async fn resumed(stage: &mut Stage) -> Result<(), DemoError> {
    let begun = stage.only_order()?;
    stage.start_again()?;
    let pid = stage.worker.id();
    stage.screen.chapter(&format!("2. The same order goes on (a new `renewd run`, pid {pid})"));
    stage.until("the first certificate", over_and_planned()).await?;
    let resumed = stage.only_order()?;
    if resumed.url != begun.url || resumed.certificate.is_none() {
        let what = format!("order {} was to be resumed; it has {resumed:?}", begun.url);
        return Err(DemoError::Book { what });
    }
    let url = resumed.url;
    stage
        .screen
        .holds(&format!("by the CA's own count: 1 newOrder so far, and it is valid: {url}"));
    Ok(())
}

/// The CA wants the certificate replaced early (RFC 9773).
async fn renewed(stage: &mut Stage, first: &Shown) -> Result<(), DemoError> {
    let (now, order) = (SystemTime::now(), stage.only_order()?);
    let ari_id = order.certificate.unwrap_or_default();
    let (start, end) = (now - WINDOW_AGO.0, now - WINDOW_AGO.1);
    if !stage.ca.set_renewal_window(&ari_id, start, end) {
        let what = format!("it has no certificate {ari_id}");
        return Err(DemoError::Book { what });
    }
    stage.screen.chapter("4. The CA wants it replaced now (renewal information, RFC 9773)");
    stage.screen.note(
        "The engine asks for the suggested window within a hundredth of the certificate's life.",
    );
    stage.until("the renewal", over_and_planned()).await?;
    let (orders, requests) = (stage.ca.orders(), stage.ca.counts().new_order);
    let replaces = orders.iter().filter(|order| order.replaces.as_ref() == Some(&ari_id));
    if (orders.len(), requests, replaces.count()) != (2, 2, 1) {
        let what = format!(
            "a second order was to replace {ari_id}; {requests} newOrder requests made {orders:?}"
        );
        return Err(DemoError::Book { what });
    }
    stage.screen.holds(&format!("by the CA's own count: 2 newOrder, the second replaces {ari_id}"));
    let second = stage.visit().await?;
    if second.fingerprint == first.fingerprint {
        return Err(DemoError::Handshake {
            address: stage.site.to_string(),
            cause: "it still shows the first certificate".to_owned(),
        });
    }
    let pid = stage.worker.id();
    let text = format!("another certificate, from the same process (pid {pid})");
    stage.screen.holds(&text);
    Ok(())
}

/// Reached when the renewal is over and the next one is planned.
fn over_and_planned() -> impl FnMut(&Event) -> bool {
    let mut over = false;
    move |event| {
        over |= matches!(
            event,
            Event::Certificate(CertificateEvent::RenewalSucceeded { generation: _ })
        );
        over && matches!(event, Event::Schedule(ScheduleEvent::RenewalScheduled { .. }))
    }
}

/// What the CA counted.
fn book(stage: &Stage) -> Result<(), DemoError> {
    let (counts, screen) = (stage.ca.counts(), &stage.screen);
    screen.chapter("5. The CA's own book");
    screen.note(&format!(
        "{} requests: {} newAccount, {} newOrder, {} finalize, {} certificate, {} renewal information; \
         {} validations",
        counts.requests(),
        counts.new_account,
        counts.new_order,
        counts.finalize,
        counts.certificate,
        counts.ari,
        counts.validations,
    ));
    let violations = stage.ca.violations();
    if !violations.is_empty() {
        let what =
            format!("{} violations of RFC 8555: {}", violations.len(), violations.join("; "));
        return Err(DemoError::Book { what });
    }
    screen.holds("0 violations of the protocol (RFC 8555)");
    Ok(())
}

/// Our own commands on the log of the running engine.
async fn read_back(stage: &Stage, options: &Options) -> Result<(), DemoError> {
    stage.screen.chapter("6. The log, read back");
    for command in &options.run {
        stage.screen.note(&format!("{} {command}", options.program));
        let printed = reading::read(&stage.place.config(), command).await?;
        stage.screen.quote(&printed);
    }
    page(stage).await
}

/// The status page answers; the end says how to keep it.
async fn page(stage: &Stage) -> Result<(), DemoError> {
    let (admin, screen) = (stage.admin, &stage.screen);
    let page = super::visit::page(admin).await?;
    screen.note(&format!("status page: http://{admin}/"));
    screen.quote(&page);
    Ok(())
}

/// How to look at it: only what is really there.
async fn hints(stage: &Stage, options: &Options) {
    if !options.keep {
        return;
    }
    let (screen, config) = (&stage.screen, stage.place.config());
    screen.chapter("It keeps running; Ctrl-C ends it. To look at it, in another terminal:");
    for command in &options.hints {
        let (program, config) = (&options.program, config.display());
        screen.note(&format!("{program} --config {config} {command}"));
    }
    if TcpStream::connect(stage.admin).await.is_ok() {
        screen.note(&format!("status page: http://{}/", stage.admin));
    }
}
