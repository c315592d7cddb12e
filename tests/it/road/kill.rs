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
use renewd_tests::{tls, wait};

use crate::check;
use crate::renew::call_for_renewal;

/// How late each piece of an answer comes: two dozen looks of a follower.
const LATE: Duration = Duration::from_millis(25);
/// So late that a kill surely comes before the answer.
const VERY_LATE: Duration = Duration::from_millis(400);
/// From a kill until Pebble has logged what was sent before it.
const LAST_WORDS: Duration = Duration::from_millis(40);
/// Sites at the same time: they mostly wait.
const AT_ONCE: usize = 3;
/// The responder of a new life listens after the log is open.
const RESPONDER_TIME_MAX: Duration = Duration::from_secs(20);

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
    site.passage.close();
    // What the last life sent in its last moment arrives.
    wait::for_a_while(LAST_WORDS);
    let asked_before: usize = site.pebble.requests().values().sum();
    let mut renewd = site.run().unwrap();
    renewd
        .wait_until("the responder", RESPONDER_TIME_MAX, |_| {
            site.ask_responder("/").ok()
        })
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
    let asked: usize = site.pebble.requests().values().sum();
    assert_eq!(asked, asked_before, "the CA was asked first");
    site.passage.answers_late(Duration::ZERO);
    site.passage.reopen();
    renewd
}

/// One order per renewal; or one more for a reason that is in the log before it, where the first is
/// lost for ACME itself (RFC 8555 §7.1.6: nothing leads out of `invalid`).
fn orders_are_explained(site: &Site, when: &str, renewals: usize) -> usize {
    let events = site.events();
    let requested = events.iter().filter(|e| e.name == "OrderRequested");
    for later in requested {
        // Of the same certificate, and since its last success.
        let certificate = &later.data["certificate"];
        let is_before = |e: &&Record| e.name == "OrderRequested" && e.seq < later.seq;
        let before = events
            .iter()
            .filter(is_before)
            .rfind(|e| e.data["certificate"] == *certificate);
        let Some(before) = before else { continue };
        let ends = [
            "RenewalSucceeded",
            "RenewalFailed",
            "OrderRequestUnresolved",
        ];
        let between = events
            .iter()
            .filter(|e| before.seq < e.seq && e.seq < later.seq && e.renewal == before.renewal);
        let explained = between.clone().any(|e| ends.contains(&e.name.as_str()));
        assert!(
            explained,
            "{when}: event {} without a reason before it",
            later.seq
        );
    }
    let dead = ["OrderBecameInvalid", "OrderGone"];
    let dead = events
        .iter()
        .filter(|e| dead.contains(&e.name.as_str()))
        .count();
    let made = site.pebble.orders_made();
    let lost = format!("{when}: {dead} orders ended without a certificate");
    assert_eq!(made, renewals + dead, "{lost}");
    made
}

/// Everything that must hold at the end.
fn went_well(site: &Site, wanted: &Wanted, mut renewd: Process, when: &str) -> usize {
    site.wait_for(&mut renewd, "RenewalSucceeded", 1)
        .unwrap_or_else(|cause| panic!("{when}: {cause}"));
    check::is_served(site, wanted);
    let made = orders_are_explained(site, when, 1);
    assert!(made <= 2, "{when}: {made} orders");
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

/// Lives until the renewal is over; each of the first ends at an instant that nobody chose.
fn killed_at_random(certificates: usize, seed: u64) {
    let mut wanted = Vec::new();
    for number in 0..certificates {
        let domain = format!("c{number}.random.test");
        wanted.push(Wanted::new(&format!("c{number}"), &[&domain]).unwrap());
    }
    let site = Site::start(Plan::repeatable(wanted).unwrap()).unwrap();
    site.passage.answers_late(Duration::from_millis(5));
    let mut random = Random(seed);
    let mut renewd = site.run().unwrap();
    for _ in 0..RANDOM_KILLS {
        wait::for_a_while(Duration::from_millis(random.below(RANDOM_LIFE_MS)));
        renewd.sigkill().unwrap();
        renewd = next_life(&site);
        site.passage.answers_late(Duration::from_millis(5));
    }
    let when = format!("seed {seed}");
    site.wait_for(&mut renewd, "RenewalSucceeded", certificates)
        .unwrap_or_else(|cause| panic!("{when}: {cause}"));
    for wanted in &site.plan.certificates {
        check::is_served(&site, wanted);
    }
    let made = orders_are_explained(&site, &when, certificates);
    println!("{when}: {made} orders for {certificates} certificates");
    check::stop(renewd);
    check::log_is_whole(&site);
}

/// Kills of one site at instants that nobody chose.
const RANDOM_KILLS: usize = 4;
/// The longest of those lives, in milliseconds: an unhurt order takes about this long.
const RANDOM_LIFE_MS: u64 = 400;

/// Numbers that look random and are the same for the same seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

#[test]
fn killed_at_instants_that_nobody_chose() {
    std::thread::scope(|threads| {
        for seed in [1, 2, 3] {
            threads.spawn(move || {
                killed_at_random(1, seed);
                killed_at_random(10, seed + 100);
            });
        }
    });
}

#[test]
fn killed_in_a_renewal_it_serves_the_old_certificate_before_it_asks_the_ca() {
    for step in [
        "OrderRequested",
        "ReadinessRequested",
        "FinalizationRequested",
    ] {
        let (site, wanted) = site();
        let mut renewd = site.run().unwrap();
        site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
        let first = check::is_served(&site, &wanted);
        check::stop(renewd);
        call_for_renewal(&site);
        site.passage.answers_late(LATE);
        let mut follower = Follower::from_now(&site.log()).unwrap();
        let mut renewd = site.run().unwrap();
        let moment = When::OnDisk(step.to_owned());
        assert!(kill_when(&site, &mut renewd, &mut follower, &moment).is_some());

        site.passage.close();
        let mut renewd = site.run().unwrap();
        let root = site.pebble.issuer_root_pem().unwrap();
        let address = wanted.address().unwrap();
        let served = renewd
            .wait_until("the old certificate", RESPONDER_TIME_MAX, |_| {
                tls::handshake(address, &wanted.domains[0], &root).ok()
            })
            .unwrap();
        assert_eq!(served.leaf_sha256, first.leaf_sha256, "{step}");
        site.passage.answers_late(Duration::ZERO);
        site.passage.reopen();
        site.wait_for(&mut renewd, "RenewalSucceeded", 2).unwrap();
        let second = check::is_served(&site, &wanted);
        assert_ne!(second.leaf_sha256, first.leaf_sha256, "{step}");
        orders_are_explained(&site, step, 2);
        let requested = site.events_named("OrderRequested");
        let ari_id = site.events_named("GenerationAdopted")[0]
            .text("/leaf/ari_id")
            .to_owned();
        assert!(
            requested[1..].iter().all(|e| e.text("/replaces") == ari_id),
            "{requested:?}"
        );
        check::stop(renewd);
        check::log_is_whole(&site);
    }
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
