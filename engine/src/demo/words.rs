//! An event as words.

use renewd_events::Event;

/// The event in one line.
pub(super) fn sentence(event: &Event) -> String {
    let mut words = String::new();
    for letter in event.name().chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}
