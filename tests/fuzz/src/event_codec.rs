//! A frame is read, or refused; what was read is written as it was.

use renewd_events::codec::{Frame, HEADER_OCTETS, SCHEMA};
use renewd_events::id::Hash;
use renewd_events::{Envelope, Facts};

/// Before the content that the checksum covers.
const PREFIX_OCTETS: usize = 12;
/// Eight octets that later versions may use, and this one skips.
const RESERVED: std::ops::Range<usize> = HEADER_OCTETS - 8..HEADER_OCTETS;

/// The octets as they are, and again with magic number, length and checksum put right, so that
/// damage gets past them.
pub fn event_codec(data: &[u8]) {
    frame(data);
    frame(&sealed(data));
}

/// With magic number, length and checksum put right.
pub(crate) fn sealed(data: &[u8]) -> Vec<u8> {
    let mut out = data.to_vec();
    let (Ok(length), Some(content)) = (u32::try_from(data.len()), data.get(PREFIX_OCTETS..)) else {
        return out;
    };
    out[..4].copy_from_slice(b"RNW1");
    out[4..8].copy_from_slice(&length.to_le_bytes());
    out[8..12].copy_from_slice(&crc32fast::hash(content).to_le_bytes());
    out
}

fn frame(data: &[u8]) {
    let read = Frame::read(data);
    let envelope = match Frame::decode(data) {
        Ok(envelope) => envelope,
        Err(refused) => return assert!(is_one_line(&refused.to_string()), "{refused:?}"),
    };
    let read = read.unwrap();
    assert_eq!(read.hash, Hash::of(data), "the hash is that of the octets");
    assert_eq!((read.seq, read.previous), (envelope.seq, envelope.previous));
    assert_eq!(read.bytes, data);
    written_again(data, &envelope);
    told(&envelope);
}

fn written_again(data: &[u8], envelope: &Envelope) {
    let again = Frame::encode(envelope).unwrap();
    assert_eq!(&Frame::decode(&again.bytes).unwrap(), envelope, "written and read again");
    assert_eq!(Frame::encode(envelope).unwrap(), again, "writing is a function");
    // A reader skips what later versions may add, and takes numbers in a longer form than needed.
    let plain = data[RESERVED].iter().all(|octet| *octet == 0)
        && data[12..14] == SCHEMA.to_le_bytes()
        && u16::from_le_bytes([data[14], data[15]]) <= 1;
    assert!(again.bytes.len() <= data.len(), "we write the shortest form");
    if plain && again.bytes.len() == data.len() {
        assert_eq!(again.bytes, data, "the same octets");
        assert_eq!(again.hash, Hash::of(data), "the same place in the chain");
    }
}

/// What a fold and a person make of it: any event in any state, and no control characters.
fn told(envelope: &Envelope) {
    let mut facts = Facts::default();
    facts.apply(envelope);
    facts.apply(envelope);
    let words = renewd_replay::sentence::sentence(&envelope.event);
    assert!(is_one_line(&words), "{words:?}");
}

/// Text that does nothing to a terminal.
pub(crate) fn is_one_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}
