//! The format of every event, held by files: a frame that was written once opens for ever.
//! `RENEWD_GOLDEN=write cargo test -p renewd-events --test golden` makes missing files; a file that
//! exists is never written again.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test ends at the first surprise; RENEWD_GOLDEN is for people"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use proptest::prelude::*;
use renewd_events::codec::{Frame, decode_body};
use renewd_events::id::StreamKind;
use renewd_events::samples::samples;
use renewd_events::{Envelope, Event};
use strum::{EnumCount, IntoEnumIterator};

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/v1")
}

/// Samples by the name of their file: `Kind-Name.bin`, then `Kind-Name-2.bin` and so on.
fn by_file() -> BTreeMap<String, Envelope> {
    let mut files = BTreeMap::new();
    for sample in samples() {
        let stem = format!("{:?}-{}", sample.event.kind(), sample.event.name());
        let name = (1..)
            .map(|number| match number {
                1 => format!("{stem}.bin"),
                _ => format!("{stem}-{number}.bin"),
            })
            .find(|name| !files.contains_key(name))
            .unwrap();
        files.insert(name, sample);
    }
    files
}

/// How many variants the events of a stream have.
fn variants(kind: StreamKind) -> usize {
    match kind {
        StreamKind::Engine => renewd_events::process::EngineEvent::COUNT,
        StreamKind::Clock => renewd_events::process::ClockEvent::COUNT,
        StreamKind::Account => renewd_events::account::AccountEvent::COUNT,
        StreamKind::Certificate => renewd_events::certificate::CertificateEvent::COUNT,
        StreamKind::Schedule => renewd_events::schedule::ScheduleEvent::COUNT,
        StreamKind::Order => renewd_events::order::OrderEvent::COUNT,
        StreamKind::Authorization => renewd_events::authorization::AuthorizationEvent::COUNT,
        StreamKind::Binding => renewd_events::binding::BindingEvent::COUNT,
        StreamKind::Listener => renewd_events::listener::ListenerEvent::COUNT,
        StreamKind::Restart => renewd_events::restart::RestartEvent::COUNT,
    }
}

#[test]
fn there_is_a_sample_of_every_event() {
    for kind in StreamKind::iter() {
        let names: BTreeSet<&str> = samples()
            .iter()
            .filter(|sample| sample.event.kind() == kind)
            .map(|sample| sample.event.name())
            .collect();
        assert_eq!(names.len(), variants(kind), "{kind:?} has samples of {names:?}");
    }
}

#[test]
fn every_event_is_written_and_read_as_it_was() {
    if std::env::var("RENEWD_GOLDEN").is_ok_and(|value| value == "write") {
        std::fs::create_dir_all(directory()).unwrap();
        for (name, sample) in by_file() {
            let path = directory().join(name);
            if !path.exists() {
                std::fs::write(path, Frame::encode(&sample).unwrap().bytes).unwrap();
            }
        }
    }
    for (name, sample) in by_file() {
        let golden = std::fs::read(directory().join(&name));
        assert!(golden.is_ok(), "{name} is missing; RENEWD_GOLDEN=write makes it");
        let golden = golden.unwrap();
        let now = Frame::encode(&sample).unwrap().bytes;
        assert!(now == golden, "{name}: this version writes other bytes");
        assert_eq!(Frame::decode(&golden).as_ref(), Ok(&sample), "{name}");
    }
}

#[test]
fn no_golden_file_is_without_its_sample() {
    let known = by_file();
    for entry in std::fs::read_dir(directory()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(known.contains_key(&name), "{name}: its sample is gone or renamed");
    }
}

fn any_sample() -> impl Strategy<Value = Envelope> {
    prop::sample::select(samples())
}

fn any_kind() -> impl Strategy<Value = StreamKind> {
    prop::sample::select(StreamKind::iter().collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_read_without_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        kind in any_kind(),
    ) {
        prop_assert!(Frame::decode(&bytes).is_err(), "a frame by chance");
        if let Ok(event) = decode_body(kind, 1, &bytes) {
            let written = renewd_events::codec::encode_body(&event).unwrap();
            let again: Event = decode_body(kind, 1, &written).unwrap();
            prop_assert_eq!(event, again);
        }
    }

    #[test]
    fn a_changed_octet_is_found(sample in any_sample(), at in any::<prop::sample::Index>(), by in 1..=255_u8) {
        let mut bytes = Frame::encode(&sample).unwrap().bytes;
        let at = at.index(bytes.len());
        *bytes.get_mut(at).unwrap() ^= by;
        prop_assert!(Frame::read(&bytes).is_err());
        prop_assert!(Frame::decode(&bytes).is_err());
    }

    #[test]
    fn a_cut_or_longer_frame_is_found(sample in any_sample(), at in any::<prop::sample::Index>()) {
        let mut bytes = Frame::encode(&sample).unwrap().bytes;
        let at = at.index(bytes.len());
        prop_assert!(Frame::decode(bytes.get(..at).unwrap()).is_err());
        bytes.push(0);
        prop_assert!(Frame::decode(&bytes).is_err());
    }

    #[test]
    fn a_record_with_any_numbers_comes_back(sample in any_sample(), seq: u64, version: u32, boot: u32, id: [u8; 16]) {
        let mut sample = sample;
        sample.seq = renewd_events::id::Seq(seq);
        sample.version = version;
        sample.boot = renewd_events::id::BootNo(boot);
        sample.stream.id = id;
        let frame = Frame::encode(&sample).unwrap();
        prop_assert_eq!(Frame::decode(&frame.bytes), Ok(sample));
    }
}

/// A text of this many octets.
fn failed_with(octets: usize) -> Event {
    renewd_events::process::EngineEvent::ActorFailed {
        actor: renewd_events::ActorName::Clock,
        incarnation: 1,
        text: "x".repeat(octets),
    }
    .into()
}

#[test]
fn the_largest_event_that_can_be_written_can_be_read() {
    use renewd_events::codec::{BODY_OCTETS_MAX, encode_body};
    let around =
        encode_body(&failed_with(BODY_OCTETS_MAX / 2)).unwrap().len() - BODY_OCTETS_MAX / 2;
    let largest = failed_with(BODY_OCTETS_MAX - around);
    let body = encode_body(&largest).unwrap();
    assert_eq!(body.len(), BODY_OCTETS_MAX);
    assert_eq!(decode_body(StreamKind::Engine, 1, &body), Ok(largest));
    assert!(encode_body(&failed_with(BODY_OCTETS_MAX - around + 1)).is_err());
}

#[test]
fn many_small_parts_can_be_read_as_they_were_written() {
    use renewd_events::codec::encode_body;
    let names = vec![String::new(); 20_000];
    let event: Event = renewd_events::account::AccountEvent::DirectoryObserved(
        renewd_events::account::Directory { profiles: names, ..Default::default() },
    )
    .into();
    let body = encode_body(&event).unwrap();
    assert_eq!(decode_body(StreamKind::Account, 1, &body), Ok(event));
}
