//! What the kill tests share: ending a life at a moment, beginning the next one, and what must hold
//! at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use renewd_tests::process::Process;
use renewd_tests::record::{Follower, Record};
use renewd_tests::site::{EVENT_TIME_MAX, Plan, Site, Wanted};
use renewd_tests::wait;

use crate::check;

/// How late each piece of an answer comes: two dozen looks of a follower.
pub(crate) const LATE: Duration = Duration::from_millis(25);
/// So late that a kill surely comes before the answer.
pub(crate) const VERY_LATE: Duration = Duration::from_millis(400);
/// The responder of a new life listens after the log is open; a machine may be slow.
pub(crate) const RESPONDER_TIME_MAX: Duration = Duration::from_secs(120);

/// When the process is killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// As soon as this event is on disk.
    OnDisk(String),
    /// As soon as Pebble has acted on this request; its answer never arrives.
    Acted(&'static str),
}

pub(crate) fn site() -> (Site, Wanted) {
    let wanted = Wanted::new("web", &["a.kill.test", "b.kill.test"]).unwrap();
    let plan = Plan::repeatable(vec![wanted.clone()]).unwrap();
    (Site::start(plan).unwrap(), wanted)
}

/// Kills `renewd` at this moment of the life it is in, and tells the last event of that life; `None`
/// when the moment did not come.
pub(crate) fn kill_when(
    site: &Site,
    renewd: &mut Process,
    follower: &mut Follower,
    when: &When,
) -> Option<String> {
    let came = wait::until_soon(EVENT_TIME_MAX, || {
        let events = follower.look();
        let here = match when {
            When::OnDisk(name) => events.iter().any(|event| event.name == *name),
            When::Acted(request) => site.pebble.count(request) > 0 && acted(site, request),
        };
        let over = events.iter().any(|event| event.name == "RenewalSucceeded");
        (here || over).then_some(here)
    });
    renewd.sigkill().unwrap();
    let last = site.events().pop().map(|event| event.name);
    last.filter(|_| came == Some(true))
}

/// Pebble counts a request when it arrives; what it made of it comes a moment later.
pub(crate) fn acted(site: &Site, request: &str) -> bool {
    match request {
        "POST /order-plz" => site.pebble.orders_made() > 0,
        _ => {
            wait::for_a_while(Duration::from_millis(20));
            true
        }
    }
}

/// The tokens that were published and not withdrawn, with their answers.
pub(crate) fn published(events: &[Record]) -> BTreeMap<String, String> {
    let mut tokens = BTreeMap::new();
    for event in events {
        match event.name.as_str() {
            "ChallengeChosen" => {
                let answer = format!("{}.{}", event.text("/token"), event.text("/thumbprint"));
                tokens.insert(event.stream.clone(), (event.text("/token").to_owned(), answer));
            }
            "ChallengeWithdrawn" => drop(tokens.remove(&event.stream)),
            _ => {}
        }
    }
    tokens.into_values().collect()
}

/// Starts the next life with the way to the CA closed, and checks that every published token is
/// answered before the CA can be asked anything.
pub(crate) fn next_life(site: &Site) -> Process {
    let tokens = published(&site.events());
    site.passage.close();
    let mut renewd = site.run().unwrap();
    renewd
        .wait_until("the responder", RESPONDER_TIME_MAX, |_| site.ask_responder("/").ok())
        .unwrap();
    for (token, answer) in tokens {
        let path = format!("/.well-known/acme-challenge/{token}");
        let answered = site.ask_responder(&path).unwrap();
        if answered.status == 404 {
            // Its order had gone on before the kill: this life has withdrawn it already.
            let still = published(&site.events());
            assert!(!still.contains_key(&token), "{token} is not answered");
            continue;
        }
        assert_eq!((answered.status, answered.body), (200, answer));
    }
    site.passage.answers_late(Duration::ZERO);
    site.passage.reopen();
    renewd
}

/// One order per renewal; or one more for a reason that is in the log before it, where the first is
/// lost for ACME itself (RFC 8555 §7.1.6: nothing leads out of `invalid`). A kill may do that while the
/// CA's validator looks, however late the kill is, and nothing else may.
pub(crate) fn orders_are_explained(site: &Site, when: &str, renewals: usize) -> usize {
    let events = site.events();
    let requested = events.iter().filter(|e| e.name == "OrderRequested");
    for later in requested {
        // Of the same certificate, and since its last success.
        let certificate = &later.data["certificate"];
        let is_before = |e: &&Record| e.name == "OrderRequested" && e.seq < later.seq;
        let before =
            events.iter().filter(is_before).rfind(|e| e.data["certificate"] == *certificate);
        let Some(before) = before else { continue };
        let ends = ["RenewalSucceeded", "RenewalFailed", "OrderRequestUnresolved"];
        let between = events
            .iter()
            .filter(|e| before.seq < e.seq && e.seq < later.seq && e.renewal == before.renewal);
        let explained = between.clone().any(|e| ends.contains(&e.name.as_str()));
        assert!(explained, "{when}: event {} without a reason before it", later.seq);
    }
    let dead = ["OrderBecameInvalid", "OrderGone"];
    let dead = events.iter().filter(|e| dead.contains(&e.name.as_str())).count();
    let met = killed_under_validation(&events);
    assert!(dead <= met, "{when}: {dead} orders died, {met} kills may have met the validator");
    let made = site.pebble.orders_made();
    let lost = format!("{when}: {dead} orders ended without a certificate");
    assert_eq!(made, renewals + dead, "{lost}");
    made
}

/// Lives that ended while the CA's validator may have looked: between the request to do so and the word
/// that the order is ready.
fn killed_under_validation(events: &[Record]) -> usize {
    let lives = events.windows(2).filter(|two| two[0].boot != two[1].boot);
    let ends = lives.map(|two| two[0].seq);
    let named = |name: &'static str| events.iter().filter(move |event| event.name == name);
    let looks = |end: &u64| {
        named("ReadinessRequested").any(|asked| {
            let over = |ready: &Record| {
                ready.renewal == asked.renewal && (asked.seq..=*end).contains(&ready.seq)
            };
            asked.seq <= *end && !named("OrderBecameReady").any(over)
        })
    };
    ends.filter(looks).count()
}

/// Everything that must hold at the end.
pub(crate) fn went_well(site: &Site, wanted: &Wanted, mut renewd: Process, when: &str) -> usize {
    site.wait_for(&mut renewd, "RenewalSucceeded", 1)
        .unwrap_or_else(|cause| panic!("{when}: {cause}"));
    check::is_served(site, wanted);
    let made = orders_are_explained(site, when, 1);
    let events = site.events();
    let accounts = events.iter().filter(|e| e.name == "AccountKeyCreated");
    assert_eq!(accounts.count(), 1, "{when}: one account key");
    check::stop(renewd);
    check::log_is_whole(site);
    made
}
