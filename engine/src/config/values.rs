//! Single values: lengths of time, shares of a lifetime, choices, addresses, paths.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::error::shown;
use super::fault::Fault;
use super::model::LifeLeft;
use super::raw::{At, Section};
use super::sink::Sink;

/// The denominator of a share: 1/100 of 90 days is 21 hours, less cannot be meant.
const SHARE_DENOMINATOR_MAX: u32 = 100;
/// Shortest wait before the end at which a renewal may start: less leaves no time for a retry.
const LIFE_LEFT_MIN: Duration = Duration::from_secs(3600);
/// Longest: public certificates live at most 398 days.
const LIFE_LEFT_MAX: Duration = Duration::from_secs(398 * 24 * 3600);

/// PATH_MAX of Linux; the path of a binding goes into an event.
const PATH_OCTETS_MAX: usize = 4096;

/// Bounds of a length of time, and why.
pub(super) struct DurationBounds {
    pub(super) least: Duration,
    pub(super) most: Duration,
    pub(super) why: &'static str,
}

/// A length of time within bounds.
pub(super) fn duration(
    found: &At<&str>,
    bounds: &DurationBounds,
    sink: &mut Sink,
) -> Option<Duration> {
    let Ok(duration) = humantime::parse_duration(found.value) else {
        let fault = Fault::Duration { text: shown(found.value) };
        sink.push(&found.field, found.span.clone(), fault);
        return None;
    };
    if (bounds.least..=bounds.most).contains(&duration) {
        return Some(duration);
    }
    let DurationBounds { least, most, why } = *bounds;
    let fault = Fault::DurationRange { found: duration, least, most, why };
    sink.push(&found.field, found.span.clone(), fault);
    None
}

/// `"1/3"` or `"21d"`.
pub(super) fn life_left(found: &At<&str>, sink: &mut Sink) -> Option<LifeLeft> {
    if let Some((numerator, denominator)) = found.value.split_once('/') {
        let share = numerator.trim().parse().ok().zip(denominator.trim().parse().ok());
        let share = share.filter(|(n, d)| 0 < *n && n < d && *d <= SHARE_DENOMINATOR_MAX);
        if let Some((numerator, denominator)) = share {
            return Some(LifeLeft::Share { numerator, denominator });
        }
    } else if humantime::parse_duration(found.value).is_ok() {
        let why = "a certificate is renewed between an hour and 398 days before its end";
        let bounds = DurationBounds { least: LIFE_LEFT_MIN, most: LIFE_LEFT_MAX, why };
        return duration(found, &bounds, sink).map(LifeLeft::Fixed);
    }
    let fault = Fault::LifeLeft { text: shown(found.value) };
    sink.push(&found.field, found.span.clone(), fault);
    None
}

/// One of several words; the default when nothing (or nothing valid) is written.
pub(super) fn choice<T: Copy>(
    section: &Section<'_, '_>,
    key: &str,
    choices: &[(&str, T)],
    default: T,
    sink: &mut Sink,
) -> T {
    let Some(found) = section.text(key, sink) else {
        return default;
    };
    if let Some((_, value)) = choices.iter().find(|(word, _)| *word == found.value) {
        return *value;
    }
    let words: Vec<String> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    let hint = format!("write {key} = {}", words.join(" or "));
    sink.push(&found.field, found.span, Fault::Choice { text: shown(found.value), hint });
    default
}

/// A number within bounds.
pub(super) fn number(
    section: &Section<'_, '_>,
    key: &str,
    (least, most, default): (i64, i64, i64),
    why: &'static str,
    sink: &mut Sink,
) -> i64 {
    let Some(found) = section.integer(key, default, sink) else {
        return default;
    };
    if (least..=most).contains(&found.value) {
        return found.value;
    }
    let fault = Fault::NumberRange { found: found.value.to_string(), least, most, why };
    sink.push(&found.field, found.span, fault);
    default
}

/// An IP address with a port that is not zero.
pub(super) fn socket(found: &At<&str>, sink: &mut Sink) -> Option<SocketAddr> {
    let socket = found.value.parse().ok().filter(|socket: &SocketAddr| socket.port() != 0);
    if socket.is_none() {
        let fault = Fault::ListenAddress { text: shown(found.value) };
        sink.push(&found.field, found.span.clone(), fault);
    }
    socket
}

/// A path that is not empty; relative ones start at the folder of the file.
pub(super) fn path(section: &Section<'_, '_>, key: &str, sink: &mut Sink) -> Option<At<PathBuf>> {
    let found = section.text(key, sink)?;
    if found.value.is_empty() {
        sink.push(&found.field, found.span, Fault::Empty);
        return None;
    }
    let value = sink.path(found.value);
    let octets = value.as_os_str().len();
    if octets > PATH_OCTETS_MAX {
        let why = "no system takes a longer path, its folder included";
        sink.push(&found.field, found.span, Fault::TooLong { octets, max: PATH_OCTETS_MAX, why });
        return None;
    }
    Some(At { value, span: found.span, field: found.field })
}
