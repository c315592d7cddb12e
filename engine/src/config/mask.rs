//! Blanks out secrets before any line of the file can be shown in an error.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Keys whose value is a secret wherever they stand.
const SECRET_KEYS: &[&str] = &[
    "key",
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "hmac",
    "hmac_key",
    "private_key",
    "eab_hmac",
    "eab_key",
    "api_key",
    "vault_key",
    "kek",
    "account_key",
    "credentials",
];
/// Endings with the same meaning.
const SECRET_ENDINGS: &[&str] = &["_password", "_secret", "_token", "_hmac", "_passphrase"];
/// Stands in every PEM private key.
const PEM_PRIVATE: &str = "PRIVATE KEY-----";

/// Whether a key of this name holds a secret.
pub(super) fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    SECRET_KEYS.contains(&key.as_str()) || SECRET_ENDINGS.iter().any(|end| key.ends_with(end))
}

/// Whether a text is a private key, whatever its key is called.
pub(super) fn is_private_key(text: &str) -> bool {
    text.contains(PEM_PRIVATE)
}

/// The text with every secret's bytes replaced by `*`; its length and its lines stay.
pub(super) fn masked(text: &str, root: &DeTable<'_>) -> String {
    let mut bytes = text.as_bytes().to_vec();
    mask_table(&mut bytes, root);
    mask_lines(&mut bytes, text);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Blanks one more span.
pub(super) fn blank(bytes: &mut [u8], span: std::ops::Range<usize>) {
    for byte in bytes.get_mut(span).into_iter().flatten() {
        if *byte != b'\n' {
            *byte = b'*';
        }
    }
}

fn mask_table(bytes: &mut [u8], table: &DeTable<'_>) {
    for (key, value) in table {
        if is_secret_key(key.get_ref()) {
            mask_leaves(bytes, value);
        } else {
            mask_value(bytes, value);
        }
    }
}

fn mask_value(bytes: &mut [u8], value: &Spanned<DeValue<'_>>) {
    match value.get_ref() {
        DeValue::String(text) if is_private_key(text) => blank(bytes, value.span()),
        DeValue::Table(table) => mask_table(bytes, table),
        DeValue::Array(array) => array.iter().for_each(|entry| mask_value(bytes, entry)),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => {}
    }
}

/// Everything below a secret's key, however it is nested.
fn mask_leaves(bytes: &mut [u8], value: &Spanned<DeValue<'_>>) {
    match value.get_ref() {
        DeValue::Table(table) => table.values().for_each(|entry| mask_leaves(bytes, entry)),
        DeValue::Array(array) => array.iter().for_each(|entry| mask_leaves(bytes, entry)),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => blank(bytes, value.span()),
    }
}

/// The same by lines: where the syntax is broken, there is no tree to walk.
fn mask_lines(bytes: &mut [u8], text: &str) {
    let mut start = 0;
    let mut in_pem = false;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        in_pem = in_pem || line.contains("-----BEGIN") && is_private_key(line);
        let secret_from = line
            .match_indices('=')
            .find(|(at, _)| line.get(..*at).is_some_and(ends_in_secret_key))
            .map(|(at, _)| start + at + 1);
        if in_pem {
            blank(bytes, start..end);
        } else if let Some(from) = secret_from {
            blank(bytes, from..end);
        }
        in_pem = in_pem && !line.contains("-----END");
        start = end;
    }
}

fn ends_in_secret_key(before: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let before = before.trim_end().trim_end_matches(['"', '\'']);
    is_secret_key(before.rsplit(|c| !word(c)).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        let (root, _) = DeTable::parse_recoverable(text);
        masked(text, root.get_ref())
    }

    #[test]
    fn a_secret_is_blanked_wherever_it_stands_and_the_places_stay() {
        let table = [
            ("plain", "password = \"hunter2\"\n"),
            ("quoted key", "\"password\" = 'hunter2'\n"),
            ("inline table", "x = { a = 1, secret = \"hunter2\" }\n"),
            ("in a list", "token = [\"hunter2\"]\n"),
            ("multi-line", "hmac = \"\"\"\nhunter2\n\"\"\"\n"),
            ("broken syntax", "key = \"hunter2\n[a\n"),
            ("dotted", "eab.hmac = \"hunter2\"\n"),
            ("pem", "x = '''-----BEGIN EC PRIVATE KEY-----\nhunter2\n-----END'''\n"),
            ("broken pem", "x = -----BEGIN EC PRIVATE KEY-----\nhunter2\n-----END\n"),
        ];
        for (case, text) in table {
            let masked = of(text);
            assert!(!masked.contains("hunter2"), "{case}: {masked}");
            assert_eq!(masked.len(), text.len(), "{case}");
            assert_eq!(masked.lines().count(), text.lines().count(), "{case}");
        }
    }

    #[test]
    fn what_only_names_a_secret_stays_readable() {
        let text = "key_file = \"a\"\nkey_env = \"B\"\nname = \"key\"\n";
        assert_eq!(of(text), text);
    }
}
