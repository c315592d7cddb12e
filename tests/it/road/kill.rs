//! SIGKILL of the real process at each step of an order, and what the next life makes of it.
//!
//! Every answer of the CA comes late, so that each step lasts long enough to be hit. After the kill the
//! way to the CA is closed: the next life must answer every published token before it can ask anything.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use renewd_tests::record::Follower;

use crate::lives::{LATE, VERY_LATE, When, kill_when, next_life, site, went_well};

/// Sites at the same time: they mostly wait.
const AT_ONCE: usize = 3;
/// What came of a site whose `renewd` was killed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Killed {
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
    went_well(&site, &wanted, renewd, &when);
    Killed { ends }
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
    let musts =
        ["OrderRequested", "ReadinessRequested", "FinalizationRequested", "ChainDownloaded"];
    for must in musts {
        assert!(steps.iter().any(|step| step == must), "{steps:?}");
    }
    assert!(steps.len() >= 24, "{steps:?}");
    let kills: Vec<Vec<When>> = steps.into_iter().map(|step| vec![When::OnDisk(step)]).collect();
    let results = all(&kills, LATE);
    let ends: BTreeSet<&String> =
        results.iter().flat_map(|killed| killed.ends.iter().flatten()).collect();
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
    // That only a validator which met the dead port may cost an order is looked at in `lives`.
    for (request, killed) in requests.iter().zip(results) {
        assert!(killed.ends[0].is_some(), "{request} never came");
    }
}

#[test]
fn a_lost_answer_to_new_order_is_found_in_the_list() {
    let (site, wanted) = site();
    site.passage.lose_answers_after(site.pebble.said("Added order "));
    let mut follower = Follower::new(&site.log());
    let mut renewd = site.run().unwrap();
    let moment = When::Acted("POST /order-plz");
    let end = kill_when(&site, &mut renewd, &mut follower, &moment);
    site.passage.lose_no_answers();
    assert!(end.is_some());
    assert_eq!((site.pebble.orders_made(), site.events_named("OrderCreated").len()), (1, 0));
    let renewd = next_life(&site);
    assert_eq!(went_well(&site, &wanted, renewd, "newOrder's answer lost"), 1);
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
        vec![on_disk("FinalizationRequested"), on_disk("ChainDownloaded"), booted()],
        vec![When::Acted("POST /certZ/"), booted(), on_disk("GenerationAdopted")],
    ];
    let results = all(&kills, LATE);
    for (kill, killed) in kills.iter().zip(results) {
        assert!(killed.ends.iter().all(Option::is_some), "{kill:?}: {:?}", killed.ends);
    }
}
