//! One round: a fresh host and a fresh CA, many lives that are killed, one that is not, and the
//! judgement.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use renewd_events::WallMs;
use renewd_events::id::Seq;

use super::door::{Door, now};
use super::judge::{Evidence, Findings, Life};
use super::ledger::Ledger;
use super::moment::{Draw, Moment, REST_TIME_MAX};
use super::random::Random;
use super::story::Story;
use super::watch::{Watch, since};
use crate::error::HarnessError;
use crate::ports;
use crate::process::Process;
use crate::site::{EVENT_TIME_MAX, Plan, Site, Wanted};
use crate::wait;

/// The certificates of a host: one of them with two names.
const NAMES: [&[&str]; 3] =
    [&["a.kill.test"], &["b.kill.test", "www.b.kill.test"], &["c.kill.test"]];
/// The last life: retries of a validation that met a dead process double from one second on.
const LAST_LIFE_MAX: Duration = Duration::from_secs(300);
/// The last life of another program: it may have no end to wait for.
const WORSE_LIFE_MAX: Duration = Duration::from_secs(60);
/// From a start until its listeners are open.
const SERVED_TIME_MAX: Duration = Duration::from_secs(120);
/// The drain of six actors and one commit.
const STOP_TIME_MAX: Duration = Duration::from_secs(120);
/// Answers come so late that a step is seen before the next one.
const SUSPENDED_LATE: Duration = Duration::from_millis(25);
/// A sealed key of the vault is longer than this many octets; a shorter file holds none.
const KEY_OCTETS_MIN: u64 = 64;

/// What came of a round.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) kills: u64,
    pub(super) orders: u64,
    pub(super) certificates: u64,
    /// Renewals that ended without a certificate: a kill met the CA's validator.
    pub(super) failures: u64,
    /// Renewals that somebody asked for.
    pub(super) wishes: u64,
    /// The last event of each killed life that had one.
    pub(super) ends: Vec<&'static str>,
    pub(super) findings: Findings,
    /// 1 when its Pebble hung.
    pub(super) silent: u64,
    /// Where the host's files are kept, when something was found.
    pub(super) kept: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// When the harness itself cannot go on: no Pebble, no binary, no port.
pub(super) fn run(seed: u64, kills: u64, program: Option<&Path>) -> Result<Outcome, HarnessError> {
    let mut round = Round::start(seed)?;
    if let Some(program) = program {
        round.site.host.set_binary(program);
        round.last_life_max = WORSE_LIFE_MAX;
    }
    for _ in 0..kills {
        round.live_and_die()?;
    }
    let mut outcome = round.last_life()?;
    outcome.kills = kills;
    round.keep(&mut outcome)?;
    Ok(outcome)
}

/// Runs one whose only life stands still for so long, when it has just written this event.
///
/// # Errors
/// As [`run`], and when the event does not come.
pub(super) fn run_suspended(step: &str, time: Duration) -> Result<Outcome, HarnessError> {
    let mut round = Round::start(0)?;
    round.site.passage.answers_late(SUSPENDED_LATE);
    let began = now();
    let mut renewd = round.site.run()?;
    let log = round.site.log();
    renewd.wait_until(step, EVENT_TIME_MAX, |_| {
        since(&log, Seq(1)).iter().any(|told| told.event.name() == step).then_some(())
    })?;
    renewd.suspend()?;
    // From here on a fetch meets a process that cannot answer: that is no fault of it.
    round.lives.push(Life { began, over: now() });
    let octets = round.watch.octets();
    wait::for_a_while(time);
    if round.watch.octets() != octets {
        round.complaints.push(format!("{step}: it went on while it was suspended"));
    }
    renewd.resume()?;
    round.site.passage.answers_late(Duration::ZERO);
    let mut outcome = round.settle(renewd, now())?;
    round.keep(&mut outcome)?;
    Ok(outcome)
}

struct Round {
    random: Random,
    site: Site,
    door: Door,
    watch: Watch,
    lives: Vec<Life>,
    last_life_max: Duration,
    complaints: Vec<String>,
    /// The CA does not answer any more.
    silent: bool,
}

/// A look at an order, as Pebble's log has it.
const ORDER_LOOK: &str = "POST /my-order/";
/// Looks in one life without an answer that show a CA which hangs: each ends after half a minute.
const UNANSWERED_MIN: usize = 3;

impl Round {
    /// Keeps the files when something was found.
    fn keep(&mut self, outcome: &mut Outcome) -> Result<(), HarnessError> {
        if !outcome.findings.complaints.is_empty() {
            let log = self.site.pebble.log();
            self.site.host.write("pebble.log", log)?;
            outcome.kept = Some(self.site.host.keep());
        }
        Ok(())
    }

    fn start(seed: u64) -> Result<Self, HarnessError> {
        let mut wanted = Vec::new();
        for (number, domains) in NAMES.iter().enumerate() {
            wanted.push(Wanted::new(&format!("c{number}"), domains)?);
        }
        // Pebble as it comes: five per cent of the nonces refused, half of the authorizations reused.
        let mut plan = Plan::new(wanted)?;
        plan.pebble.retry_after_order_s = 0;
        plan.pebble.retry_after_authz_s = 0;
        let [responder] = ports::free()?;
        let door = Door::open(responder)?;
        plan.responder_port = responder;
        plan.pebble.http_port = door.port();
        let site = Site::start(plan)?;
        let watch = Watch::new(&site.log());
        let random = Random::new(seed);
        Ok(Self {
            random,
            site,
            door,
            watch,
            last_life_max: LAST_LIFE_MAX,
            lives: Vec::new(),
            complaints: Vec::new(),
            silent: false,
        })
    }

    fn live_and_die(&mut self) -> Result<(), HarnessError> {
        let at_rest = self.watch.at_rest(NAMES.len());
        let life = Draw::from(&mut self.random, NAMES.len(), at_rest);
        self.site.passage.answers_late(life.late);
        let (began, octets) = (now(), self.watch.octets());
        let mut renewd = self.site.run()?;
        match &life.moment {
            Moment::After(time) => wait::for_a_while(*time),
            Moment::Commits(count, later) => {
                self.watch.commits(octets, *count, NAMES.len());
                wait::for_a_while(*later);
            }
            Moment::Asked(asked, count, later) => {
                let socket = self.site.host.state_dir().join("admin.sock");
                let rest = wait::until(REST_TIME_MAX, || {
                    let listens = || UnixStream::connect(&socket).is_ok();
                    (self.watch.at_rest(NAMES.len()) && listens()).then_some(())
                });
                if rest.is_some() {
                    self.ask_and_wait(asked, *count, *later);
                }
            }
        }
        if let Some(status) = renewd.ended() {
            self.complaints.push(format!("it ended by itself ({status}): {}", tail(&renewd)));
        }
        let over = now();
        renewd.sigkill()?;
        self.lives.push(Life { began, over });
        Ok(())
    }

    /// `renewd renew NAME` for some, while the commits are counted.
    fn ask_and_wait(&mut self, asked: &[usize], count: u64, later: Duration) {
        let (host, watch) = (&self.site.host, &mut self.watch);
        let octets = watch.octets();
        std::thread::scope(|threads| {
            for number in asked {
                threads.spawn(move || {
                    // The kill may come before its answer: that is no failure.
                    drop(host.run(&["renew", &format!("c{number}")]));
                });
            }
            watch.commits(octets, count, NAMES.len());
            wait::for_a_while(later);
        });
    }

    fn last_life(&mut self) -> Result<Outcome, HarnessError> {
        self.site.passage.answers_late(Duration::ZERO);
        let began = now();
        let renewd = self.site.run()?;
        self.settle(renewd, began)
    }

    /// Lets this life end its renewals, ends it in order, and judges.
    fn settle(&mut self, mut renewd: Process, began: WallMs) -> Result<Outcome, HarnessError> {
        let asked = self.site.pebble.count(ORDER_LOOK);
        let rest = renewd.wait_until("the end of all renewals", self.last_life_max, |_| {
            self.watch.at_rest(NAMES.len()).then_some(())
        });
        if let Err(cause) = rest {
            // Pebble locks an order and its authorizations in either order and can hang on both for
            // ever; the looks that it takes without an answer are counted then, not held against renewd.
            self.silent = self.site.pebble.count(ORDER_LOOK) >= asked + UNANSWERED_MIN;
            if !self.silent {
                self.complaints.push(cause.to_string());
            }
        }
        let envelopes = since(&self.site.log(), Seq(1));
        self.served(&envelopes);
        self.lives.push(Life { began, over: now() });
        renewd.sigterm()?;
        let status = renewd.wait_for_end(STOP_TIME_MAX)?;
        if status.code() != Some(0) {
            self.complaints.push(format!("SIGTERM ended it with {status}: {}", tail(&renewd)));
        }
        self.log_is_whole()?;
        let envelopes = since(&self.site.log(), Seq(1));
        for violation in renewd_replay::check::check(&envelopes) {
            self.complaints.push(format!("event {}: {}", violation.seq, violation.what));
        }
        Ok(self.judged(&envelopes))
    }

    /// Each certificate is served: what the log adopted last, with its key of the vault, or there would
    /// be no handshake.
    fn served(&mut self, envelopes: &[renewd_events::Envelope]) {
        let adopted = super::story::adopted_last(envelopes);
        for wanted in &self.site.plan.certificates {
            for name in &wanted.domains {
                let expected = adopted.get(&wanted.name);
                let mut last = String::new();
                // A life that found nothing to do may still be at its start.
                let served = wait::until(SERVED_TIME_MAX, || {
                    let served = self.site.handshake(wanted, name);
                    let is_it = served.as_ref().is_ok_and(|s| Some(&s.leaf_sha256) == expected);
                    last = format!("{:?}", served.map(|served| served.leaf_sha256));
                    is_it.then_some(())
                });
                if served.is_none() {
                    self.complaints.push(format!("{name}: served {last}, not {expected:?}"));
                }
            }
        }
    }

    fn log_is_whole(&mut self) -> Result<(), HarnessError> {
        let ran = self.site.host.run(&["log", "verify"])?;
        if ran.code != Some(0) || !ran.stdout.contains("order and hash chain: whole") {
            self.complaints.push(format!("log verify: {}{}", ran.stdout, ran.stderr));
        }
        Ok(())
    }

    fn judged(&mut self, envelopes: &[renewd_events::Envelope]) -> Outcome {
        let ca = Ledger::read(&self.site.pebble.log());
        let log = Story::of(envelopes);
        let (visits, vault) = (self.door.visits(), self.vault());
        let lives = &self.lives;
        let mut findings =
            Evidence { ca: &ca, log: &log, visits: &visits, lives, vault: &vault }.judge();
        findings.complaints.append(&mut self.complaints);
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        Outcome {
            kills: 0,
            orders: count(ca.orders.len()),
            certificates: count(ca.certificates.len()),
            failures: count(log.failures),
            wishes: count(log.wishes),
            ends: log.ends.clone(),
            findings,
            silent: u64::from(self.silent),
            kept: None,
        }
    }

    /// The certificates' keys in the vault, by name.
    fn vault(&self) -> BTreeSet<String> {
        let files = fs::read_dir(self.site.host.state_dir().join("vault"));
        let whole = files.into_iter().flatten().flatten().filter(|entry| {
            entry.metadata().is_ok_and(|data| data.is_file() && data.len() > KEY_OCTETS_MIN)
        });
        whole
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter_map(|name| name.strip_prefix("certificate.").map(str::to_owned))
            .collect()
    }
}

/// The last line it wrote.
fn tail(process: &Process) -> String {
    process.stderr().lines().last().unwrap_or_default().to_owned()
}
