//! What a person sees: chapters, one line per event, and a break where the process was killed.

use std::io::{IsTerminal, Write};
use std::time::SystemTime;

use renewd_events::{Envelope, WallMs};
use renewd_replay::escape::field;
use renewd_replay::sentence::sentence;

/// A line of a wide terminal; the URLs of the demo's CA are long, and `log cat` has all of them.
const SENTENCE_CHARACTERS_MAX: usize = 96;

/// stdout of the demo. Colours only on a terminal, and not with `NO_COLOR`.
#[derive(Debug)]
pub(super) struct Screen {
    began: WallMs,
    color: bool,
}

#[derive(Clone, Copy, Debug)]
enum Ink {
    Bold,
    Dim,
    Red,
    Green,
    Cyan,
}

impl Ink {
    /// ECMA-48 SGR parameters.
    fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Red => "1;31",
            Self::Green => "32",
            Self::Cyan => "36",
        }
    }
}

impl Screen {
    /// A screen whose time begins now.
    pub(super) fn new() -> Self {
        Self {
            began: now(),
            color: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        }
    }

    /// The first line.
    pub(super) fn title(&self, text: &str) {
        self.line(&self.ink(Ink::Bold, text));
    }

    /// A new chapter.
    pub(super) fn chapter(&self, text: &str) {
        self.line(&format!("\n{}", self.ink(Ink::Bold, text)));
    }

    /// Something for the reader, not from the log.
    pub(super) fn note(&self, text: &str) {
        self.line(&format!("  {text}"));
    }

    /// What another program has printed.
    pub(super) fn quote(&self, text: &str) {
        for line in text.lines() {
            self.line(&format!("  {} {line}", self.ink(Ink::Dim, "│")));
        }
    }

    /// Something that was checked and holds.
    pub(super) fn holds(&self, text: &str) {
        self.line(&format!("  {} {text}", self.ink(Ink::Green, "ok")));
    }

    /// The break where a process died.
    pub(super) fn cut(&self, text: &str) {
        let rule = "━".repeat(12);
        let at = self.since(now());
        let text = format!("{at}  {rule} {text} {rule}");
        self.line(&self.ink(Ink::Red, &text));
    }

    /// An event: time since the demo began, place in the log, who, what; and which name it is about,
    /// where the sentence does not say so.
    pub(super) fn event(&self, envelope: &Envelope, name: Option<&str>) {
        let head = format!("{}  #{:<3}", self.since(envelope.at), envelope.seq.0);
        let actor = format!("{:<10}", envelope.actor.to_string());
        let mut what = sentence(&envelope.event);
        if let Some(name) = name.filter(|name| !what.contains(*name)) {
            what = format!("{name}: {what}");
        }
        self.line(&format!(
            "{} {} {}",
            self.ink(Ink::Dim, &head),
            self.ink(Ink::Cyan, &actor),
            field(&what, SENTENCE_CHARACTERS_MAX)
        ));
    }

    fn since(&self, at: WallMs) -> String {
        format!("{:>7.2} s", at.since(self.began).as_secs_f64())
    }

    fn ink(&self, ink: Ink, text: &str) -> String {
        if self.color { format!("\x1b[{}m{text}\x1b[0m", ink.code()) } else { text.to_owned() }
    }

    fn line(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        // A closed pipe (`| head`) is no error of the demo.
        drop(writeln!(out, "{text}"));
        drop(out.flush());
    }
}

fn now() -> WallMs {
    WallMs::default()
        .after(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}
