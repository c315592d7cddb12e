//! The private keys of the simulated vault, and the search for them in what is written.
//!
//! Every key begins with one mark, so that one pass over an event finds any of them, as it is or in
//! hexadecimal or base64, at whatever offset it was encoded. It shows that no actor, codec or port of
//! the simulation writes what the vault holds; what the real vault and the CA's adapter say of keys is
//! shown by their own tests.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use renewd_events::id::sha256;

/// What every key begins with. Its last octets are where the two alphabets of base64 differ.
const MARK: &[u8; 24] = b"private key of the sim\xfb\xff";

/// A form in which a key could be written, with its name.
type Form = (&'static str, Vec<u8>);

/// All of them.
static FORMS: LazyLock<Vec<Form>> = LazyLock::new(forms);
/// The octets that a form begins with: most octets of an event begin none.
static FIRST: LazyLock<[bool; 256]> = LazyLock::new(|| {
    let mut first = [false; 256];
    for (_, form) in FORMS.iter() {
        if let Some(entry) = form.first().and_then(|octet| first.get_mut(usize::from(*octet))) {
            *entry = true;
        }
    }
    first
});

/// The private key of this name: the same in every life of a world.
pub(crate) fn key(seed: u64, name: &str) -> Vec<u8> {
    let mut key = MARK.to_vec();
    key.extend_from_slice(&sha256(&[&seed.to_le_bytes(), name.as_bytes()]));
    key
}

/// The form of a key that is somewhere in these octets.
pub(crate) fn found(octets: &[u8]) -> Option<&'static str> {
    octets.iter().enumerate().find_map(|(at, octet)| {
        if !FIRST.get(usize::from(*octet)).is_some_and(|first| *first) {
            return None;
        }
        let rest = octets.get(at..)?;
        FORMS.iter().find(|(_, form)| rest.starts_with(form)).map(|(name, _)| *name)
    })
}

fn forms() -> Vec<Form> {
    let hex = |upper: bool| {
        let digits = MARK.iter().map(|octet| match upper {
            true => format!("{octet:02X}"),
            false => format!("{octet:02x}"),
        });
        digits.collect::<String>().into_bytes()
    };
    let mut forms = vec![
        ("as it is", MARK.to_vec()),
        ("in hexadecimal", hex(false)),
        ("in hexadecimal", hex(true)),
    ];
    for before in 0..3 {
        let mut octets = vec![0; before];
        octets.extend_from_slice(MARK);
        // Only the characters that hold nothing but the mark.
        let characters = (before * 8).div_ceil(6)..octets.len() * 8 / 6;
        for (name, text) in [
            ("in base64", STANDARD_NO_PAD.encode(&octets)),
            ("in base64url", URL_SAFE_NO_PAD.encode(&octets)),
        ] {
            let inner = text.get(characters.clone()).unwrap_or_default();
            forms.push((name, inner.as_bytes().to_vec()));
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_every_form_and_at_every_offset() {
        let key = key(7, "cert-1");
        for before in 0..7usize {
            let mut octets = vec![0x30; before];
            octets.extend_from_slice(&key);
            octets.extend_from_slice(b"after");
            let hex: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
            assert_eq!(found(&octets), Some("as it is"));
            assert_eq!(found(hex.as_bytes()), Some("in hexadecimal"));
            assert_eq!(found(hex.to_uppercase().as_bytes()), Some("in hexadecimal"));
            assert!(found(STANDARD_NO_PAD.encode(&octets).as_bytes()).is_some());
            assert!(found(URL_SAFE_NO_PAD.encode(&octets).as_bytes()).is_some());
        }
    }

    #[test]
    fn what_is_derived_from_a_key_is_no_key() {
        let key = key(7, "cert-1");
        assert_eq!(found(&sha256(&[&key])), None);
        assert_eq!(found(key.get(1..).unwrap()), None);
        assert_eq!(found(b""), None);
    }
}
