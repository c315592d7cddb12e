//! An issue whose key or chain is lost is replaced, and never one after the other.

use std::time::Duration;

use renewd_events::WallMs;
use renewd_events::binding::{BindingEvent, Target};
use renewd_events::certificate::{CertificateEvent, LifeLeft};
use renewd_events::id::{BindingId, Generation};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::schedule::{Cause, Schedule, ScheduleEvent};

use super::decide;
use super::plan::plan;
use super::plan_tests::{DAY, ID, NOW, certificate, context, failed};
use crate::bounds;
use crate::decision::Session;
use crate::folded_tests::Folded;

const BINDING: BindingId = BindingId([4; 16]);
const HOUR: Duration = Duration::from_secs(3600);

/// Issued, and this went wrong when it was put in place.
fn set_back(class: ProblemClass, kind: &str) -> Folded {
    let mut log = Folded::ordered(ID);
    log.say(BINDING, BindingEvent::BindingDeclared { certificate: ID, target: Target::Library });
    log.adopt(1);
    log.say(ID, CertificateEvent::RenewalSucceeded { generation: Generation(1) });
    let problem = Problem::new(class, kind, "");
    log.say(BINDING, BindingEvent::DeploymentFailed { generation: Generation(1), problem });
    log
}

fn cause(log: &Folded) -> Option<Cause> {
    let decision = decide::certificate(&log.facts, ID, &Session::default(), &context());
    let [new] = decision.records.as_slice() else { return None };
    let renewd_events::Event::Schedule(event) = &new.event else { return None };
    let ScheduleEvent::RenewalScheduled { cause, .. } = event else { return None };
    Some(*cause)
}

#[test]
fn only_what_says_that_key_or_chain_is_lost_makes_a_renewal_due() {
    for kind in ["vaultKeyAbsent", "vaultDamaged", "chainAbsent", "chainDamaged"] {
        assert_eq!(cause(&set_back(ProblemClass::Local, kind)), Some(Cause::Lost), "{kind}");
        let other = cause(&set_back(ProblemClass::Transport, kind));
        assert_eq!(other, Some(Cause::LifeLeft), "{kind}");
    }
    for kind in ["diskWrite", "diskRead", "badChain", "served-mismatch"] {
        assert_eq!(cause(&set_back(ProblemClass::Local, kind)), Some(Cause::LifeLeft), "{kind}");
    }
    let mut log = set_back(ProblemClass::Local, "vaultKeyAbsent");
    log.say(BINDING, BindingEvent::BindingRemoved);
    assert_eq!(cause(&log), Some(Cause::LifeLeft), "wanted nowhere");
    let mut log = set_back(ProblemClass::Local, "vaultKeyAbsent");
    log.say(BINDING, BindingEvent::Deployed { generation: Generation(1) });
    assert_eq!(cause(&log), Some(Cause::LifeLeft), "it was put back");
}

/// When it is replaced: it replaced another one `between` before, and that `ago`.
fn replaced(life: Duration, between: Option<Duration>, ago: Duration) -> WallMs {
    let mut it = certificate(life, LifeLeft::Share(1, 3));
    it.renewed_at = Some(NOW.before(ago));
    it.renewed_before = between.map(|between| NOW.before(ago + between));
    let planned = plan(ID, &it, true, &Schedule::default(), &context()).unwrap();
    assert_eq!((planned.cause, planned.attempt), (Cause::Lost, 1));
    planned.at
}

#[test]
fn the_first_is_replaced_at_once_and_a_vault_that_goes_on_losing_them_gets_few() {
    let long = 90 * DAY;
    assert_eq!(replaced(long, None, HOUR), NOW, "the first of all");
    assert_eq!(replaced(long, Some(7 * DAY), HOUR), NOW, "the one before lived well");
    let ago = HOUR;
    for (between, wait) in [
        (Duration::ZERO, DAY),
        (HOUR, DAY),
        (DAY, 2 * DAY),
        (2 * DAY, 3 * DAY),
        (7 * DAY - Duration::from_millis(1), 3 * DAY),
    ] {
        let at = replaced(long, Some(between), ago);
        assert_eq!(at, NOW.before(ago).after(wait), "{between:?}");
    }
    assert_eq!(replaced(long, Some(HOUR), 2 * DAY), NOW, "the wait is over");
    // A short life does not wait longer than a quarter of it; renewed in its time, not at all.
    assert_eq!(replaced(DAY, Some(HOUR), HOUR), NOW.before(HOUR).after(DAY / 4));
    assert_eq!(replaced(6 * DAY, Some(3 * DAY), HOUR), NOW);
    // A clock that was set back since says nothing.
    let ahead = certificate(long, LifeLeft::Share(1, 3));
    let mut it = ahead;
    it.renewed_at = Some(NOW.after(bounds::JUMP_MIN + HOUR));
    it.renewed_before = Some(NOW);
    let planned = plan(ID, &it, true, &Schedule::default(), &context()).unwrap();
    assert_eq!(planned.at, NOW);
}

#[test]
fn a_renewal_that_fails_waits_as_ever() {
    let mut it = failed(ProblemClass::Local, "diskWrite", None, 3);
    it.current = certificate(90 * DAY, LifeLeft::Share(1, 3)).current;
    let schedule = Schedule::default();
    let planned = plan(ID, &it, true, &schedule, &context()).unwrap();
    assert_eq!(planned.cause, Cause::Retry);
    assert_eq!(planned, plan(ID, &it, false, &schedule, &context()).unwrap());
    assert!(planned.at > NOW);
}
