//! `--at`: a reading command answers as it would have at an earlier moment. The same folds read a
//! shorter log; nothing is computed another way.

use std::str::FromStr;
use std::time::Duration;

use renewd_events::id::Seq;
use renewd_events::{Envelope, WallMs};
use renewd_replay::when;

use super::exit::{Exit, Reply};

/// Where in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// Right after the event with this number.
    Event(Seq),
    /// At this time.
    Time(WallMs),
    /// So long before the command was given.
    Ago(Duration),
}

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(number) = text.strip_prefix('#').unwrap_or(text).parse::<u64>() {
            return Ok(Self::Event(Seq(number)));
        }
        if let Ok(time) = humantime::parse_rfc3339_weak(text) {
            let since = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            return Ok(Self::Time(WallMs(0).after(since)));
        }
        humantime::parse_duration(text).map(Self::Ago).map_err(|_| {
            "give the number of an event (120), a UTC time (2026-11-24T13:00:00Z), or how long ago \
             (2h, 3d)"
                .to_owned()
        })
    }
}

impl At {
    /// Whether the log up to this moment still holds the event. A clock that was set back does not
    /// bring back what came after the first later event.
    pub(super) fn holds(self, envelope: &Envelope, asked: WallMs) -> bool {
        match self {
            Self::Event(seq) => envelope.seq <= seq,
            Self::Time(time) => envelope.at <= time,
            Self::Ago(time) => envelope.at <= asked.before(time),
        }
    }

    /// The present of that moment, when `last` is the last event up to it, and `more` came after.
    ///
    /// # Errors
    /// What to say when the log does not reach to it, or begins after it.
    pub(super) fn present(
        self,
        last: Option<&Envelope>,
        more: bool,
        asked: WallMs,
    ) -> Result<WallMs, Reply> {
        let Some(last) = last else {
            return Err(outside("it begins later"));
        };
        let ends =
            || outside(&format!("it ends with event {}, {}", last.seq, when::moment(last.at)));
        match self {
            Self::Event(seq) if last.seq == seq => Ok(last.at),
            Self::Event(_) => Err(ends()),
            Self::Time(time) if more || time <= asked.max(last.at) => Ok(time),
            Self::Time(_) => Err(ends()),
            Self::Ago(time) => Ok(asked.before(time)),
        }
    }
}

fn outside(what: &str) -> Reply {
    let text = format!(
        "error: the log does not hold the moment of --at: {what}\n  help: `renewd log cat` shows \
         the numbers and times of all events\n"
    );
    Reply::failed(Exit::NotFound, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::story;

    #[test]
    fn numbers_times_and_spans_are_understood_and_nothing_else() {
        assert_eq!("120".parse(), Ok(At::Event(Seq(120))));
        assert_eq!("#7".parse(), Ok(At::Event(Seq(7))));
        let time = WallMs::from_seconds(1_795_525_200);
        for text in ["2026-11-24T13:00:00Z", "2026-11-24 13:00:00"] {
            assert_eq!(text.parse(), Ok(At::Time(time)));
        }
        assert_eq!("2h".parse(), Ok(At::Ago(Duration::from_secs(7200))));
        let refused = "yesterday evening".parse::<At>().unwrap_err();
        assert!(refused.contains("2026-11-24T13:00:00Z"), "{refused}");
    }

    #[test]
    fn the_present_is_that_of_the_moment() {
        let (_, envelopes) = story::failing();
        let [.., before, last] = envelopes.as_slice() else { panic!("a story has two events") };
        let at = At::Event(before.seq);
        assert!(at.holds(before, story::NOW) && !at.holds(last, story::NOW));
        assert_eq!(at.present(Some(before), true, story::NOW), Ok(before.at));
        let time = At::Time(last.at.after(Duration::from_secs(1)));
        assert!(time.holds(last, story::NOW));
        assert!(!At::Time(last.at.before(Duration::from_millis(1))).holds(last, story::NOW));
        let ago = At::Ago(Duration::from_secs(3600));
        let present = story::NOW.before(Duration::from_secs(3600));
        assert_eq!(ago.present(Some(before), true, story::NOW), Ok(present));
    }

    #[test]
    fn what_the_log_does_not_hold_is_told() {
        let (_, envelopes) = story::failing();
        let last = envelopes.last().unwrap();
        let beyond = At::Event(Seq(last.seq.0 + 1)).present(Some(last), false, story::NOW);
        let beyond = beyond.unwrap_err();
        assert_eq!(beyond.exit, Exit::NotFound);
        assert!(beyond.err.contains(&format!("ends with event {}", last.seq)), "{}", beyond.err);
        let future = At::Time(story::NOW.after(Duration::from_secs(1)));
        assert!(future.present(Some(last), false, story::NOW).is_err());
        let early = At::Time(WallMs(1)).present(None, true, story::NOW).unwrap_err();
        assert!(early.err.contains("begins later"), "{}", early.err);
    }
}
