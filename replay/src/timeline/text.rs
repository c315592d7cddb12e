//! A timeline as text, for a terminal of 80 to 120 columns.

use renewd_events::process::Previous;

use super::{Bracket, Ending, EventRow, Row, Timeline};
use crate::when;

/// Narrowest and widest line, in characters.
const WIDTH: std::ops::RangeInclusive<usize> = 80..=120;
/// Time, number and actor before the sentence.
const LEFT_CHARACTERS: usize = 31;
/// Bracket and duration after the sentence.
const RIGHT_CHARACTERS: usize = 14;

/// The timeline as lines. Lines that are too long are broken under the sentence; nothing is lost.
/// `width`: of the terminal, taken to 80..=120.
pub fn text(timeline: &Timeline, width: usize) -> String {
    let width = width.clamp(*WIDTH.start(), *WIDTH.end());
    let mut out = head(timeline);
    let mut open: usize = 0;
    for row in &timeline.rows {
        match row {
            Row::Event(event) => {
                out.push_str(&line(event, open, width));
                match event.bracket {
                    Bracket::Opens => open = open.saturating_add(1),
                    Bracket::Closes { .. } => open = open.saturating_sub(1),
                    Bracket::None | Bracket::Open => {}
                }
            }
            Row::Wait { ms } => {
                let said = format!("{:>15}   ·  {} later", "", when::span_ms(*ms));
                out.push_str(&said);
                out.push('\n');
            }
            Row::Gap { down_ms, boot, previous, .. } => {
                out.push_str(&gap(*down_ms, *boot, *previous))
            }
        }
    }
    out.push_str(&tail(timeline));
    out
}

fn head(timeline: &Timeline) -> String {
    let id: String = timeline.renewal.to_string().chars().take(12).collect();
    let attempt = match timeline.attempt {
        0 | 1 => String::new(),
        n => format!(" · try {n}"),
    };
    let names = if timeline.names.is_empty() || timeline.names == timeline.certificate {
        String::new()
    } else {
        format!(" ({})", timeline.names)
    };
    format!(
        "{}{names} · renewal {} ({id}){attempt}\nbegan  {} UTC: {}\ntrace  {}\n\n",
        timeline.certificate,
        timeline.number,
        when::moment(timeline.started),
        timeline.cause,
        timeline.trace
    )
}

fn gap(down_ms: u64, boot: renewd_events::id::BootNo, previous: Previous) -> String {
    let how = match previous {
        Previous::None => "first start",
        Previous::Clean => "process stopped cleanly",
        Previous::Crashed => "process died",
        Previous::PowerLost => "machine went down",
    };
    format!(
        "  ══════ {how}; nobody there for {} ══════ boot {boot} ══════\n",
        when::span_ms(down_ms)
    )
}

fn line(row: &EventRow, open: usize, width: usize) -> String {
    let time = match row.offset_ms {
        ms @ 0..60_000 => format!("+{}.{:03} s", ms / 1000, ms % 1000),
        ms => format!("+{}", when::span_ms(ms)),
    };
    let actor: &str = row.actor.into();
    let left = format!("{time:>12} {:>6}  {:<10}", row.seq.to_string(), short(actor));
    let right = match row.bracket {
        Bracket::Opens => "─┐".to_owned(),
        Bracket::Open => "─? no outcome".to_owned(),
        Bracket::Closes { took_ms, .. } => format!(" ┘ {}", when::span_ms(took_ms)),
        Bracket::None if open > 0 => " │".to_owned(),
        Bracket::None => String::new(),
    };
    let mut said = row.sentence.clone();
    if let Some(code) = &row.code {
        said = format!("{said}  {code}");
    }
    let room = width.saturating_sub(LEFT_CHARACTERS).saturating_sub(RIGHT_CHARACTERS);
    let mut lines = wrap(&said, room).into_iter();
    let begin = lines.next().unwrap_or_default();
    let mut out = format!("{left} {begin:<room$} {right}").trim_end().to_owned();
    out.push('\n');
    for more in lines {
        out.push_str(&format!("{:LEFT_CHARACTERS$} {more}\n", ""));
    }
    out
}

fn short(actor: &str) -> &str {
    if actor == "restart_coordinator" { "restart" } else { actor }
}

/// Lines of at most `room` characters, broken between words; a longer word is cut where it must be.
fn wrap(said: &str, room: usize) -> Vec<String> {
    let room = room.max(1);
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    let mut length: usize = 0;
    for word in said.split(' ') {
        let word_length = word.chars().count();
        if length > 0 && length.saturating_add(1).saturating_add(word_length) > room {
            lines.push(std::mem::take(&mut line));
            length = 0;
        }
        if length > 0 {
            line.push(' ');
            length = length.saturating_add(1);
        }
        for c in word.chars() {
            if length >= room {
                lines.push(std::mem::take(&mut line));
                length = 0;
            }
            line.push(c);
            length = length.saturating_add(1);
        }
    }
    lines.push(line);
    lines
}

fn tail(timeline: &Timeline) -> String {
    let took = when::span_ms(timeline.took_ms);
    let how = match timeline.ending {
        Ending::Running => format!("under way for {took}"),
        Ending::Succeeded => format!("succeeded after {took}"),
        Ending::Unserved => format!("issued after {took}, not everywhere served"),
        Ending::Failed => format!("failed after {took}"),
    };
    let crashes = match timeline.crashes {
        0 => String::new(),
        1 => " · 1 crash survived".to_owned(),
        n => format!(" · {n} crashes survived"),
    };
    format!("\n{how} · {} events{crashes}\n", timeline.events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_nothing_is_lost() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert_eq!(wrap("", 4), [""]);
    }
}
