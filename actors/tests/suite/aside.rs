//! A certificate that a part fails over again and again is left alone, and the log says so.

use renewd_events::Event;
use renewd_events::authorization::AuthorizationEvent;
use renewd_events::codec::{BODY_OCTETS_MAX, encode_body};
use renewd_events::id::{CertificateName, StreamId};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::process::{EngineEvent, StopReason};
use renewd_events::{ActorName, Facts};
use renewd_replay::fold::read;

use crate::world::World;

/// Words with which the verdict on a name still fits into an event, and the end of the renewal, which
/// has a code beside the same words, does not.
fn too_long() -> String {
    let size = |words: String| {
        let kind = "urn:ietf:params:acme:error:connection";
        let mut problem = Problem::new(ProblemClass::Acme, kind, "connection refused");
        problem.detail.push_str(&words);
        let problem = problem.about("bad.test");
        let invalid = AuthorizationEvent::AuthorizationBecameInvalid { problem, visits: 0 };
        encode_body(&Event::from(invalid)).map(|body| body.len())
    };
    let some = BODY_OCTETS_MAX / 2;
    let room = BODY_OCTETS_MAX - size("x".repeat(some)).unwrap();
    "x".repeat(some + room - 2)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_a_part_fails_over_twice_is_left_alone_and_the_log_says_so() {
    let world = World::new();
    world.state().failing.insert("bad.test".to_owned());
    world.state().failing_words = too_long();
    let engine = world.start(&["bad.test", "good.test"], 4, usize::MAX).await.unwrap();
    world.until("the other's success", |w| w.count("RenewalSucceeded") == 1).await;
    world.until("the record", |w| w.count("SubjectSetAside") == 1).await;
    let facts = read(Facts::default(), &world.envelopes());
    let bad = StreamId::from(CertificateName::parse("bad.test").unwrap().id());
    let aside = &facts.engine.set_aside[&(bad, ActorName::Issuer)];
    assert!(aside.strikes == 2 && aside.text.contains("octets"), "{aside:?}");
    assert_eq!(world.count("RenewalFailed"), 0);
    engine.stop(StopReason::Asked).await.unwrap();

    // The cause is gone with the next start: it begins as if nothing had been.
    world.state().failing_words.clear();
    world.state().failing.clear();
    let engine = world.start(&["bad.test", "good.test"], 4, usize::MAX).await.unwrap();
    let facts = read(Facts::default(), &world.envelopes());
    assert_eq!(facts.engine.set_aside.len(), 0);
    engine.stop(StopReason::Asked).await.unwrap();
}

#[test]
fn a_new_life_of_the_actor_or_the_process_looks_at_it_again() {
    let stream = StreamId::from(CertificateName::parse("bad.test").unwrap().id());
    let mut engine = renewd_events::process::Engine::default();
    let meta = renewd_events::samples::samples()[0].meta();
    let text = String::new();
    let actor = ActorName::Issuer;
    let aside = EngineEvent::SubjectSetAside { actor, stream, strikes: 2, text };
    engine.evolve(&meta, &aside);
    let other = EngineEvent::ActorRestarted { actor: ActorName::Clock, incarnation: 2 };
    engine.evolve(&meta, &other);
    assert_eq!(engine.set_aside.len(), 1);
    engine.evolve(&meta, &EngineEvent::ActorRestarted { actor, incarnation: 2 });
    assert!(engine.set_aside.is_empty());
}
