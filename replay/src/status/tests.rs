//! The status of certificates over hand-made logs.

use std::time::Duration;

use renewd_events::binding::BindingEvent;
use renewd_events::certificate::CertificateEvent;
use renewd_events::id::Generation;
use renewd_events::listener::ListenerEvent;
use renewd_events::order::Found;
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::schedule::Cause;

use super::*;
use crate::testlog::{Log, acme, binding, certificate, listener};

fn row(log: &Log) -> CertificateStatus {
    status(&log.facts(), &log.witnesses(), log.now()).remove(0)
}

#[test]
fn a_served_certificate_is_ok_and_says_what_comes_next() {
    let row = row(&Log::first_with_crash());
    assert_eq!((row.state, row.served, row.generation), (State::Ok, Served::Everywhere, Some(1)));
    assert_eq!(row.next.what, "renew");
    assert_eq!(row.next.why, "a share of its life is over");
    assert!(row.next.at.is_some() && row.trouble.is_none() && row.doing.is_none());
}

#[test]
fn what_is_going_on_is_read_off_the_streams() {
    let doing = |log: &Log| row(log).doing.unwrap().what;
    let mut log = Log::registered();
    assert_eq!(row(&log).state, State::First);
    log.started(200, Cause::FirstIssue, 1);
    assert_eq!(doing(&log), "waiting for the CA's answer to the order");
    log.keyed().created(1, Found::Answer);
    assert_eq!(doing(&log), "learning the challenges");
    for name in ["example.org", "www.example.org"] {
        log.published(name, renewd_events::authorization::Probe::Seen);
    }
    log.told("example.org").accepted("example.org");
    assert_eq!(doing(&log), "publishing challenges: 1 of 2 names told to the CA");
    log.told("www.example.org").accepted("www.example.org");
    assert_eq!(doing(&log), "the CA is checking 2 of 2 names by http-01");
    log.issued().deploying();
    assert_eq!(doing(&log), "putting it in place at 0.0.0.0:443");
    assert_eq!(row(&log).state, State::Renewing);
    assert_eq!(row(&log).next.at, None);
}

#[test]
fn what_a_handshake_no_longer_shows_is_not_called_served_though_it_is_put_in_place_again() {
    let mut log = Log::first_with_crash();
    let generation = Generation(1);
    let problem = Problem::new(ProblemClass::Transport, "tls", "AlertReceived(AccessDenied)");
    let address = "0.0.0.0:443".to_owned();
    log.add(binding(), BindingEvent::ServedMismatch { generation, address, problem });
    let before = row(&log);
    assert_eq!((before.state, before.served), (State::NotServed, Served::Partly));
    assert!(!before.bindings[0].served);
    let problem = Problem::new(ProblemClass::Local, "vaultKeyAbsent", "the vault has no key");
    log.add(binding(), BindingEvent::DeploymentFailed { generation, problem });
    let lost = row(&log);
    assert_eq!((lost.state, lost.served), (State::NotServed, Served::Partly));
    assert_eq!(lost.trouble.unwrap().code, "R0713");
}

#[test]
fn a_failure_shows_its_code_and_the_next_try() {
    let mut log = Log::first_with_crash();
    log.fails_over_ipv6(86_400_000, 1).fails_over_ipv6(90_000_000, 2);
    let row = row(&log);
    assert_eq!(row.state, State::Failing);
    assert!(row.state.needs_a_person());
    let trouble = row.trouble.unwrap();
    assert_eq!((trouble.code.as_str(), trouble.times), ("R0207", 2));
    assert_eq!(row.next.what, "try 3");
    assert_eq!(row.served, Served::Everywhere, "the old one stays");
}

/// A renewal that ends because the process was not there when the CA looked.
fn absent(log: &mut Log, attempt: u32) {
    use renewd_events::process::Previous;
    log.started(200, Cause::FirstIssue, attempt).keyed().created(attempt, Found::Answer);
    log.published("example.org", renewd_events::authorization::Probe::Seen).told("example.org");
    log.at(9_000).boot(Previous::Crashed).settled("example.org");
    let said = "203.0.113.7: Fetching http://example.org/.well-known/x: Connection refused";
    let problem = acme("connection", 400, said);
    log.invalid("example.org", problem.clone(), 0).failed("R0211", problem);
}

#[test]
fn a_failure_that_is_over_needs_nobody_until_it_comes_again_and_again() {
    let mut log = Log::registered();
    absent(&mut log, 1);
    let first = row(&log);
    assert_eq!((first.state.word(), first.state.needs_a_person()), ("retry", false));
    assert_eq!(first.trouble.as_ref().unwrap().code, "R0231");
    assert_eq!(log.why().state, first.state);
    let renewals = crate::fold::read(crate::renewals::Renewals::default(), &log.envelopes);
    let outcome = &renewals.rows()[0].outcome;
    assert_eq!(*outcome, crate::renewals::Outcome::Failed { code: "R0231".to_owned() });
    absent(&mut log, 2);
    assert_eq!(row(&log).state, State::Retrying);
    absent(&mut log, 3);
    let third = row(&log);
    assert_eq!((third.state, third.trouble.unwrap().code.as_str()), (State::Failing, "R0231"));
}

#[test]
fn an_order_at_a_ca_that_is_no_longer_configured_is_over_and_needs_nobody() {
    let mut log = Log::registered();
    log.started(200, Cause::FirstIssue, 1).keyed().created(1, Found::Answer);
    let problem = Problem::new(ProblemClass::Local, "account-unknown", "no longer configured");
    log.failed("R0599", problem);
    let row = row(&log);
    assert_eq!((row.state, row.trouble.unwrap().code.as_str()), (State::Retrying, "R0334"));
    let why = log.why();
    assert_eq!(why.code, Some(codes::CA_CHANGED));
    assert!(why.do_this.starts_with("nothing"), "{}", why.do_this);
}

#[test]
fn what_renewd_failed_over_is_broken_until_a_restart() {
    use renewd_events::ActorName;
    use renewd_events::id::StreamId;
    use renewd_events::process::{EngineEvent, Previous};
    for stream in [certificate().into(), crate::testlog::account().into()] {
        let mut log = Log::first_with_crash();
        let aside = |stream| EngineEvent::SubjectSetAside {
            actor: ActorName::Issuer,
            stream,
            strikes: 2,
            text: "a decision panicked".to_owned(),
        };
        log.add(StreamId::ENGINE, aside(StreamId::ENGINE));
        assert_eq!(row(&log).state, State::Ok, "that is not this certificate's");
        log.add(StreamId::ENGINE, aside(stream));
        let broken = row(&log);
        assert_eq!((broken.state, log.why().state), (State::Broken, State::Broken));
        assert_eq!(broken.trouble.unwrap().code, "R0805");
        assert!(broken.next.what.contains("started again"), "{}", broken.next.what);
        let why = log.why();
        assert_eq!((why.code, why.tries), (Some(codes::SET_ASIDE), 2));
        assert!(why.evidence[0].text.contains("panicked") && why.do_this.contains("restart"));
        log.boot(Previous::Clean);
        assert_eq!(row(&log).state, State::Ok);
    }
}

#[test]
fn the_row_and_why_give_one_code_whatever_is_wrong() {
    let renewed = Log::first_with_crash;
    let mut failed = renewed();
    failed.fails_over_ipv6(86_400_000, 1);
    let generation = Generation(1);
    let local = |kind: &str| Problem::new(ProblemClass::Local, kind, "of this host");
    let mut unserved = renewed();
    unserved.fails_over_ipv6(86_400_000, 1);
    unserved.add(
        binding(),
        BindingEvent::DeploymentFailed { generation, problem: local("vaultKeyAbsent") },
    );
    let mut held = renewed();
    held.add(
        listener(),
        ListenerEvent::ListenerFailed {
            address: "0.0.0.0:443".to_owned(),
            problem: local("addressInUse"),
            holder: None,
            needs_restart: false,
        },
    );
    let mut orphan = renewed();
    orphan.add(certificate(), CertificateEvent::CertificateOrphaned);
    for (log, code) in [
        (failed, Some("R0207")),
        (unserved, Some("R0713")),
        (held, Some("R0701")),
        (orphan, Some("R0333")),
        (renewed(), None),
    ] {
        let why = log.why();
        assert_eq!(why.code.map(|code| code.code), code);
        assert_eq!(row(&log).trouble.as_ref().map(|trouble| trouble.code.as_str()), code);
        assert_eq!(row(&log).state, why.state);
    }
}

#[test]
fn an_issue_that_is_not_served_is_a_state_of_its_own() {
    let mut log = Log::first_with_crash();
    let problem = Problem::new(ProblemClass::Local, "addressInUse", "Address already in use");
    log.add(
        listener(),
        ListenerEvent::ListenerFailed {
            address: "0.0.0.0:443".to_owned(),
            problem,
            holder: Some("nginx (pid 812)".to_owned()),
            needs_restart: false,
        },
    );
    let row = row(&log);
    assert_eq!((row.state, row.served), (State::NotServed, Served::Partly));
    assert!(!row.bindings[0].served, "an earlier handshake says nothing of a closed port");
    assert_eq!(row.next.what, "try again to listen on 0.0.0.0:443");
    assert_eq!(row.next.at, Some(log.now().after(Duration::from_secs(2))));
    assert!(row.next.why.contains("nginx (pid 812)"), "{}", row.next.why);
    let trouble = row.bindings[0].trouble.as_ref().unwrap();
    assert_eq!(trouble.code, "R0701");
    assert!(trouble.sentence.contains("nginx (pid 812)"));
}

#[test]
fn orphans_and_removed_bindings_are_told_apart() {
    let mut log = Log::first_with_crash();
    log.add(certificate(), CertificateEvent::CertificateOrphaned);
    assert_eq!(row(&log).state, State::Orphan);
    log.add(binding(), BindingEvent::BindingRemoved);
    assert_eq!(row(&log).served, Served::Nothing);
}

#[test]
fn an_account_without_terms_is_waited_for() {
    use renewd_events::account::{AccountEvent, Directory};
    let mut log = Log::registered();
    log.add(
        crate::testlog::account(),
        AccountEvent::DirectoryObserved(Directory {
            terms_url: Some("https://ca.test/terms-2".to_owned()),
            ..Directory::default()
        }),
    );
    let row = row(&log);
    assert_eq!(row.state, State::Waiting);
    assert!(row.next.why.contains("https://ca.test/terms-2"), "{}", row.next.why);
}

#[test]
fn terms_that_could_not_be_read_yet_are_not_what_is_waited_for() {
    use renewd_events::account::AccountEvent;
    let mut log = Log::configured();
    log.envelopes.pop().unwrap(); // TermsAccepted
    let problem = Problem::new(ProblemClass::Transport, "dns", "no such host");
    log.add(crate::testlog::account(), AccountEvent::DirectoryUnreachable { problem });
    assert_eq!(log.why().code, Some(codes::CA_NAME));
    assert_eq!(row(&log).trouble.unwrap().code, "R0901");
}

#[test]
fn the_json_holds_times_as_text() {
    let value = serde_json::to_value(row(&Log::first_with_crash())).unwrap();
    assert_eq!(value["state"], "ok");
    assert_eq!(value["expires"], "2027-02-21T03:10:02.114Z");
    assert_eq!(value["next"]["at"], "2027-01-22T03:10:02.114Z");
    assert_eq!(value["bindings"][0]["served"], true);
}

#[test]
fn our_own_listener_serves_only_in_the_life_that_opened_it_and_while_that_life_lasts() {
    use renewd_events::id::StreamId;
    use renewd_events::process::{EngineEvent, Previous};
    let mut log = Log::first_with_crash();
    let served = |log: &Log| {
        let row = row(log);
        (row.bindings[0].served, row.served)
    };
    assert_eq!(served(&log), (true, Served::Everywhere));
    log.boot(Previous::Crashed);
    assert_eq!(served(&log), (false, Served::Partly));
    log.listening();
    assert_eq!(served(&log), (true, Served::Everywhere));
    log.add(StreamId::ENGINE, EngineEvent::EngineStopped);
    assert_eq!(served(&log), (false, Served::Partly));
    let row = row(&log);
    assert_eq!((row.state, row.next.at), (State::NotServed, None));
    assert!(row.next.why.contains("a person must start it"), "{}", row.next.why);
    let why = crate::why::text(&log.why());
    assert!(
        why.contains("the engine is not running") && why.contains("not seen anywhere"),
        "{why}"
    );
    // Another program serves files, whether we run or not.
    log.in_files(Some("127.0.0.1:465"));
    assert_eq!(served(&log), (true, Served::Everywhere));
}

#[test]
fn what_fails_and_is_tried_again_says_when() {
    use renewd_events::account::AccountEvent;
    let down = || Problem::new(ProblemClass::Transport, "connect", "refused");
    let mut stories: Vec<(&str, Log)> = Vec::new();
    let mut log = Log::registered();
    log.started(200, Cause::FirstIssue, 1).keyed().created(1, Found::Answer).issued().deploying();
    let event = BindingEvent::DeploymentFailed { generation: Generation(1), problem: down() };
    log.add(binding(), event);
    stories.push(("try again to serve it at 0.0.0.0:443", log));
    let account = crate::testlog::account();
    let mut log = Log::configured();
    log.add(account, AccountEvent::DirectoryUnreachable { problem: down() });
    stories.push(("read the CA's directory again", log));
    let mut log = Log::registered();
    // The registration, asked for and not answered.
    let asked = log.envelopes.iter().position(|it| it.event.name() == "AccountRegistered").unwrap();
    log.envelopes.truncate(asked);
    log.add(account, AccountEvent::RegistrationUnanswered { problem: down() });
    stories.push(("register the account again", log));
    let mut log = Log::registered();
    log.envelopes.truncate(asked);
    log.add(account, AccountEvent::AccountRefused { problem: down() });
    stories.push(("register the account again", log));
    for (what, log) in stories {
        for later in [0, 1, 7, 61, 86_400] {
            let now = log.now().after(Duration::from_secs(later));
            let next = status(&log.facts(), &log.witnesses(), now).remove(0).next;
            assert_eq!(next.what, what);
            let ahead = next.at.unwrap_or_else(|| panic!("{what} after {later} s")).since(now);
            assert!(ahead <= waiting::ASKED_AGAIN_MAX, "{what}: {ahead:?}");
            assert!(next.at.unwrap() >= now);
            assert!(later > 0 || !ahead.is_zero(), "{what} is not tried without a pause");
        }
    }
}

#[test]
fn a_step_under_way_says_what_it_belongs_to() {
    let mut log = Log::registered();
    log.started(200, Cause::FirstIssue, 1).keyed().created(1, Found::Answer).issued();
    let next = row(&log).next;
    assert_eq!(next.what, "verifying with a handshake at 0.0.0.0:443");
    assert_eq!(next.why, "this renewal began because there is no certificate yet");
}

#[test]
fn files_that_no_server_is_asked_about_are_not_called_served() {
    let problem = |kind: &str, subject: &str| {
        Problem::new(ProblemClass::Transport, kind, "no").about(subject)
    };
    let mut log = Log::first_with_crash();
    let seen = |address: &str| BindingEvent::ServedVerified {
        generation: Generation(1),
        address: address.to_owned(),
        fingerprint: crate::testlog::leaf().fingerprint,
    };
    log.in_files(None).add(binding(), seen("/srv/out"));
    let said = |log: &Log| crate::sentence::sentence(&log.envelopes.last().unwrap().event);
    let expected = "files at /srv/out hold generation 1 (no `verify`: no server was asked)";
    assert_eq!(said(&log), expected);
    let files = row(&log);
    assert_eq!((files.served, files.state), (Served::OnDisk, State::Ok));
    assert_eq!((files.bindings[0].served, files.bindings[0].proof), (true, Proof::Files));
    assert!(log.why().served_now.contains("no server was asked"), "{}", log.why().served_now);
    let mismatch = |problem| BindingEvent::ServedMismatch {
        generation: Generation(1),
        address: "/srv/out".to_owned(),
        problem,
    };
    log.add(binding(), mismatch(problem("tls", "library")));
    assert!(said(&log).starts_with("files at /srv/out do not hold generation 1"), "{}", said(&log));
    let why = log.why();
    assert!(why.sentence.starts_with("The files at /srv/out do not hold"), "{}", why.sentence);

    let mut log = Log::first_with_crash();
    log.in_files(Some("127.0.0.1:465")).add(binding(), seen("127.0.0.1:465"));
    assert_eq!(said(&log), "handshake at 127.0.0.1:465 shows generation 1");
    assert_eq!(
        (row(&log).served, row(&log).bindings[0].proof),
        (Served::Everywhere, Proof::Handshake)
    );
    log.add(binding(), mismatch(problem("connect", "127.0.0.1:465")));
    let expected = "handshake at 127.0.0.1:465 does not show generation 1";
    assert!(said(&log).starts_with(expected), "{}", said(&log));
    assert!(log.why().sentence.contains("127.0.0.1:465"), "{}", log.why().sentence);
}

#[test]
fn a_ca_that_takes_no_new_accounts_waits_for_a_person_and_says_so() {
    use renewd_events::account::{AccountEvent, Directory};
    let mut log = Log::configured();
    let directory = Directory { external_account_required: true, ..Directory::default() };
    log.add(crate::testlog::account(), AccountEvent::DirectoryObserved(directory));
    let row = row(&log);
    assert_eq!((row.state, row.next.at), (State::Waiting, None));
    assert_eq!(row.next.what, "wait for a person to choose another CA");
    assert!(log.why().sentence.contains("external account binding"), "{}", log.why().sentence);
}
