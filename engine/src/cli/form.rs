//! What the reading commands share: their flags, the form of their answer, and tables.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use comfy_table::{ContentArrangement, Table, presets};
use renewd_events::WallMs;
use renewd_replay::when;

use super::at::At;
use super::exit::Reply;
use super::source::{self, Source};
use crate::admin::SOCKET;
use crate::config::{Config, Style};

/// Narrower terminals get lines that they break themselves.
const COLUMNS_MIN: u16 = 60;
/// Columns when nobody says how wide the terminal is.
const COLUMNS: u16 = 100;
/// Wider than any line of ours: nothing is wrapped.
const COLUMNS_MAX: u16 = 1000;

/// Which log, and in which form the answer is wanted.
#[derive(Debug, clap::Args)]
pub(super) struct Reading {
    /// A state directory, a log directory, or an exported file, instead of the configured one
    #[arg(long, value_name = "PATH")]
    log: Option<PathBuf>,
    /// Answer as at an earlier moment: after an event (120), at a UTC time (2026-11-24T13:00:00Z), or
    /// so long ago (2h)
    #[arg(long, value_name = "MOMENT")]
    at: Option<At>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// For people, so many columns wide.
    Text(u16),
    /// For programs.
    Json,
}

impl Reading {
    /// The form wanted.
    pub(super) fn form(&self) -> Form {
        if self.json { Form::Json } else { Form::Text(columns()) }
    }

    /// The socket of the engine whose log is wanted; `None` when a copy, an export or the past is.
    pub(super) fn socket(&self, config: Option<&Path>) -> Option<PathBuf> {
        if self.log.is_some() || self.at.is_some() {
            return None;
        }
        let config = Config::load(&Config::locate(config)).ok()?;
        Some(config.state_dir.join(SOCKET))
    }

    /// The log wanted.
    pub(super) fn read(&self, config: Option<&Path>, style: Style) -> Result<Source, Reply> {
        source::read(source::locate(self.log.as_deref(), config, style)?, self.at)
    }
}

/// What the shell says about the terminal. Output that is piped is not wrapped: a broken URL is found
/// by no `grep`.
fn columns() -> u16 {
    let said = std::env::var("COLUMNS").ok().and_then(|text| text.parse::<u16>().ok());
    match said {
        Some(wide) => wide.clamp(COLUMNS_MIN, COLUMNS_MAX),
        None if std::io::stdout().is_terminal() => COLUMNS,
        None => COLUMNS_MAX,
    }
}

/// The present moment: commands say when they were asked.
pub(super) fn now() -> WallMs {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    WallMs(0).after(since.unwrap_or_default())
}

/// A table without lines, its first row in capitals.
pub(super) fn table(columns: u16, head: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(columns)
        .set_header(head.to_vec());
    table
}

/// A table as text: no blanks at the ends of lines.
pub(super) fn lines(table: &Table) -> String {
    let mut out = String::new();
    for line in table.lines() {
        out.push_str(line.trim_end().strip_prefix(' ').unwrap_or(line.trim_end()));
        out.push('\n');
    }
    out
}

/// `in 12 d (2026-12-05)`, or a dash.
pub(super) fn moment(at: Option<WallMs>, now: WallMs) -> String {
    at.map_or_else(
        || "–".to_owned(),
        |at| format!("{} ({})", when::relative(at, now), when::day(at)),
    )
}

/// `s` unless there is exactly one.
pub(super) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
