//! SIGKILL of the real process at each step of an order, and what the next life makes of it.
//!
//! Every answer of the CA comes late, so that each step lasts long enough to be hit. After the kill the
//! way to the CA is closed: the next life must answer every published token before it can ask anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use renewd_tests::process::Process;
use renewd_tests::record::{Follower, Record};
use renewd_tests::site::{EVENT_TIME_MAX, Plan, Site, Wanted};
use renewd_tests::wait;

use crate::check;

/// How late each piece of an answer comes: two dozen looks of a follower.
const LATE: Duration = Duration::from_millis(25);
/// So late that a kill surely comes before the answer.
const VERY_LATE: Duration = Duration::from_millis(400);
/// Sites at the same time: they mostly wait.
const AT_ONCE: usize = 3;
/// The responder of a new life listens after the log is open.
const RESPONDER_TIME_MAX: Duration = Duration::from_secs(20);

/// Events that end an order for a reason of which a person can read: only after one of them may there
/// be another order.
const REASONS: [&str; 4] = [
    "OrderBecameInvalid",
    "OrderGone",
    "OrderRequestUnresolved",
    "RenewalFailed",
];

/// When the process is killed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum When {
    /// As soon as this event is on disk.
    OnDisk(String),
    /// As soon as Pebble has acted on this request; its answer never arrives.
    Acted(&'static str),
}

fn site() -> (Site, Wanted) {
    let wanted = Wanted::new("web", &["a.kill.test", "b.kill.test"]).unwrap();
    let plan = Plan::repeatable(vec![wanted.clone()]).unwrap();
    (Site::start(plan).unwrap(), wanted)
}

/// Kills `renewd` at this moment of the life it is in, and tells the last event of that life; `None`
/// when the moment did not come.
fn kill_when(
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
fn acted(site: &Site, request: &str) -> bool {
    match request {
        "POST /order-plz" => site.pebble.orders_made() > 0,
        _ => {
            wait::for_a_while(Duration::from_millis(20));
            true
        }
    }
}

/// The tokens that were published and not withdrawn, with their answers.
fn published(events: &[Record]) -> BTreeMap<String, String> {
    let mut tokens = BTreeMap::new();
    for event in events {
        match event.name.as_str() {
            "ChallengeChosen" => {
                let answer = format!("{}.{}", event.text("/token"), event.text("/thumbprint"));
                tokens.insert(
                    event.stream.clone(),
                    (event.text("/token").to_owned(), answer),
                );
            }
            "ChallengeWithdrawn" => drop(tokens.remove(&event.stream)),
            _ => {}
        }
    }
    tokens.into_values().collect()
}

/// Starts the next life with the way to the CA closed, and checks that every published token is
/// answered before the CA is asked anything.
fn next_life(site: &Site) -> Process {
    let tokens = published(&site.events());
    let asked_before: usize = site.pebble.requests().values().sum();
    site.passage.close();
    let mut renewd = site.run().unwrap();
    renewd
        .wait_until("the responder", RESPONDER_TIME_MAX, |_| {
            site.ask_responder("/").ok()
        })
        .unwrap();
    for (token, answer) in tokens {
        let path = format!("/.well-known/acme-challenge/{token}");
        let answered = site.ask_responder(&path).unwrap();
        assert_eq!((answered.status, answered.body), (200, answer));
    }
    let asked: usize = site.pebble.requests().values().sum();
    assert_eq!(asked, asked_before, "the CA was asked first");
    site.passage.answers_late(Duration::ZERO);
    site.passage.reopen();
    renewd
}

/// One order; or one more for a reason that is in the log before it, where the first is lost for ACME
/// itself (RFC 8555 §7.1.6: nothing leads out of `invalid`).
fn orders_are_explained(site: &Site, when: &str) -> usize {
    let events = site.events();
    let requested: Vec<usize> = (0..events.len())
        .filter(|at| events[*at].name == "OrderRequested")
        .collect();
    for pair in requested.windows(2) {
        let between = &events[pair[0]..pair[1]];
        let reason = between.iter().any(|e| REASONS.contains(&e.name.as_str()));
        assert!(reason, "{when}: a second order without a reason in the log");
    }
    let dead = ["OrderBecameInvalid", "OrderGone"];
    let dead = events
        .iter()
        .filter(|e| dead.contains(&e.name.as_str()))
        .count();
    let made = site.pebble.orders_made();
    assert_eq!(
        made,
        1 + dead,
        "{when}: {dead} orders ended without a certificate"
    );
    assert!(made <= 2, "{when}: {made} orders");
    made
}

/// Everything that must hold at the end.
fn went_well(site: &Site, wanted: &Wanted, mut renewd: Process, when: &str) -> usize {
    site.wait_for(&mut renewd, "RenewalSucceeded", 1)
        .unwrap_or_else(|cause| panic!("{when}: {cause}"));
    check::is_served(site, wanted);
    let made = orders_are_explained(site, when);
    let events = site.events();
    let accounts = events.iter().filter(|e| e.name == "AccountKeyCreated");
    assert_eq!(accounts.count(), 1, "{when}: one account key");
    check::stop(renewd);
    check::log_is_whole(site);
    made
}

/// What came of a site whose `renewd` was killed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Killed {
    /// Orders that Pebble made.
    orders: usize,
    /// The last event of each killed life; `None` where the moment never came.
    ends: Vec<Option<String>>,
}

/// One site, one kill (or several, one per life), then to the end.
fn killed_at(moments: &[When], late: Duration) -> Killed {
    let (site, wanted) = site();
    let when = format!("{moments:?}");
    site.passage.answers_late(late);
    let mut follower = Follower::new(&site.log());
    let mut renewd = site.run().unwrap();
    let mut ends = Vec::new();
    for (life, moment) in moments.iter().enumerate() {
        if life > 0 {
            follower = Follower::from_now(&site.log()).unwrap();
            renewd = next_life(&site);
            site.passage.answers_late(late);
        }
        ends.push(kill_when(&site, &mut renewd, &mut follower, moment));
    }
    let renewd = next_life(&site);
    Killed {
        orders: went_well(&site, &wanted, renewd, &when),
        ends,
    }
}

/// The kinds of events of a whole first issue, in the order of their first appearance.
fn steps() -> Vec<String> {
    let (site, wanted) = site();
    let renewd = site.run().unwrap();
    went_well(&site, &wanted, renewd, "never killed");
    let mut steps: Vec<String> = Vec::new();
    for event in site.events() {
        if event.name == "RenewalSucceeded" {
            break;
        }
        if !steps.contains(&event.name) {
            steps.push(event.name);
        }
    }
    steps
}

/// Runs all of them, some at the same time, and returns what came of each.
fn all(kills: &[Vec<When>], late: Duration) -> Vec<Killed> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(vec![Killed::default(); kills.len()]);
    std::thread::scope(|threads| {
        for _ in 0..AT_ONCE {
            threads.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(kill) = kills.get(at) else { break };
                    let result = killed_at(kill, late);
                    results.lock().unwrap()[at] = result;
                }
            });
        }
    });
    results.into_inner().unwrap()
}

#[test]
fn killed_as_soon_as_each_kind_of_event_is_on_disk() {
    let steps = steps();
    let musts = [
        "OrderRequested",
        "ReadinessRequested",
        "FinalizationRequested",
        "ChainDownloaded",
    ];
    for must in musts {
        assert!(steps.iter().any(|step| step == must), "{steps:?}");
    }
    assert!(steps.len() >= 24, "{steps:?}");
    let kills: Vec<Vec<When>> = steps
        .into_iter()
        .map(|step| vec![When::OnDisk(step)])
        .collect();
    let results = all(&kills, LATE);
    let ends: BTreeSet<&String> = results
        .iter()
        .flat_map(|killed| killed.ends.iter().flatten())
        .collect();
    println!("lives ended at: {ends:?}");
    for (kill, killed) in kills.iter().zip(&results) {
        assert!(killed.ends[0].is_some(), "the moment never came: {kill:?}");
    }
    // A kill comes a moment after its event, so several may end at the same one.
    assert!(ends.len() >= 12, "too few places were met: {ends:?}");
}

#[test]
fn killed_when_the_ca_has_acted_and_before_it_answers() {
    let requests = [
        "POST /sign-me-up",
        "POST /order-plz",
        "POST /authZ/",
        "POST /chalZ/",
        "POST /finalize-order/",
        "POST /certZ/",
    ];
    let kills: Vec<Vec<When>> = requests.iter().map(|r| vec![When::Acted(r)]).collect();
    let results = all(&kills, VERY_LATE);
    for (request, killed) in requests.iter().zip(results) {
        assert!(killed.ends[0].is_some(), "{request} never came");
        // Only a validator that met the dead port may cost an order.
        let orders = killed.orders;
        assert!(
            orders == 1 || *request == "POST /chalZ/",
            "{request}: {orders} orders"
        );
    }
}

#[test]
fn a_lost_answer_to_new_order_is_found_in_the_list() {
    let (site, wanted) = site();
    site.passage.answers_late(VERY_LATE);
    let mut follower = Follower::new(&site.log());
    let mut renewd = site.run().unwrap();
    let moment = When::Acted("POST /order-plz");
    let end = kill_when(&site, &mut renewd, &mut follower, &moment);
    assert!(end.is_some());
    assert_eq!(
        (
            site.pebble.orders_made(),
            site.events_named("OrderCreated").len()
        ),
        (1, 0)
    );
    let renewd = next_life(&site);
    assert_eq!(
        went_well(&site, &wanted, renewd, "newOrder's answer lost"),
        1
    );
    let created = site.events_named("OrderCreated");
    assert_eq!(created.len(), 1);
    assert_eq!(created[0].text("/found"), "List");
    assert!(site.pebble.count("POST /list-orderz/") > 0);
}

#[test]
fn killed_again_while_it_resumes() {
    let on_disk = |name: &str| When::OnDisk(name.to_owned());
    let booted = || on_disk("EngineBooted");
    let kills = [
        vec![on_disk("OrderRequested"), booted()],
        vec![When::Acted("POST /order-plz"), on_disk("OrderCreated")],
        vec![on_disk("FinalizationRequested"), booted(), booted()],
        vec![
            on_disk("FinalizationRequested"),
            on_disk("ChainDownloaded"),
            booted(),
        ],
        vec![
            When::Acted("POST /certZ/"),
            booted(),
            on_disk("GenerationAdopted"),
        ],
    ];
    let results = all(&kills, LATE);
    for (kill, killed) in kills.iter().zip(results) {
        assert_eq!(killed.orders, 1, "{kill:?}");
        assert!(
            killed.ends.iter().all(Option::is_some),
            "{kill:?}: {:?}",
            killed.ends
        );
    }
}
