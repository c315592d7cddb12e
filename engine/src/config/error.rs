//! Mistakes with their place, and how they are shown.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, Severity,
    SourceCode,
};
use textwrap::{WordSeparator, WordSplitter};

use super::fault::Fault;

/// A file with more mistakes than this is told about the rest by number: one screen is read, ten
/// are not.
pub(super) const ERRORS_SHOWN_MAX: usize = 16;
/// A longer line fills the screen, and the library that draws panics over one of 65,536 columns.
pub(super) const LINE_OCTETS_MAX: usize = 4096;
/// A longer value is cut in a message; the line itself is shown below it.
const SHOWN_CHARS_MAX: usize = 80;

/// One mistake and its place in the file. Secrets of the file are blanked out already.
#[derive(Clone)]
pub struct ConfigError {
    pub(super) fault: Fault,
    /// `certificate[web].domains`; empty where it concerns the whole file.
    pub(super) field: String,
    pub(super) span: Option<Range<usize>>,
    /// The line of the file as it would be right.
    pub(super) corrected: Option<String>,
    pub(super) source: Arc<NamedSource<String>>,
}

impl ConfigError {
    /// A mistake that concerns the whole file, which could not be read.
    pub(super) fn of_file(fault: Fault, path: &Path) -> Self {
        let source = NamedSource::new(path.display().to_string(), String::new());
        Self { fault, field: String::new(), span: None, corrected: None, source: Arc::new(source) }
    }

    /// What is wrong.
    pub fn fault(&self) -> &Fault {
        &self.fault
    }

    /// The code, `R0101` and so on.
    pub fn code(&self) -> String {
        self.fault.code()
    }

    /// Which field, for example `certificate[web].domains`; empty for the whole file.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// The file as it was named.
    pub fn file(&self) -> &str {
        self.source.name()
    }

    /// Whether its line, and those above and below that are shown with it, can be drawn.
    fn can_be_drawn(&self) -> bool {
        let line = self.line().unwrap_or(1);
        let around = self.source.inner().split('\n').skip(line.saturating_sub(2)).take(3);
        around.into_iter().all(|line| line.len() <= LINE_OCTETS_MAX)
    }

    /// Line of the mistake, from 1; `None` where the file could not be read at all.
    pub fn line(&self) -> Option<usize> {
        let span = self.span.as_ref()?;
        Some(line_of(self.source.inner(), span.start))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            return write!(f, "{}", self.fault);
        }
        write!(f, "{}: {}", self.field, self.fault)
    }
}

/// Without the text of the file, which would fill a log.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigError")
            .field("file", &self.file())
            .field("line", &self.line())
            .field("field", &self.field)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for ConfigError {}

impl Diagnostic for ConfigError {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Diagnostic::code(&self.fault)
    }

    fn severity(&self) -> Option<Severity> {
        Diagnostic::severity(&self.fault)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let mut help = self.fault.help().map(|help| help.to_string()).unwrap_or_default();
        if let Some(line) = self.line().filter(|_| !self.can_be_drawn()) {
            help = format!("{help}\nit is on line {line} of {}, too long to be shown", self.file());
        }
        let Some(line) = &self.corrected else {
            return Some(Box::new(help));
        };
        Some(Box::new(format!("{help}; the corrected line:\n  {line}")))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.span.as_ref().filter(|_| self.can_be_drawn()).map(|_| {
            let source: &dyn SourceCode = &*self.source;
            source
        })
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.span.clone()?;
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(None, span))))
    }
}

/// Everything that is wrong with one file, in the order of its lines.
#[derive(Clone, Debug)]
pub struct ConfigErrors {
    pub(super) errors: Vec<ConfigError>,
    pub(super) not_shown: usize,
}

/// How errors are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// ANSI colours: only on a terminal that wants them.
    pub color: bool,
    /// Columns at which text is wrapped.
    pub columns: usize,
}

impl Style {
    /// For files, pipes and tests: no colour, 100 columns.
    pub const PLAIN: Self = Self { color: false, columns: 100 };
}

impl Style {
    /// One error with its code, place and cure.
    pub fn draw(self, error: &dyn Diagnostic) -> String {
        let theme = match self.color {
            true => GraphicalTheme::unicode(),
            false => GraphicalTheme::unicode_nocolor(),
        };
        let draw = GraphicalReportHandler::new_themed(theme)
            .with_width(self.columns)
            .with_break_words(false)
            // Between words only: a path or an address in two lines cannot be copied.
            .with_word_separator(WordSeparator::AsciiSpace)
            .with_word_splitter(WordSplitter::NoHyphenation)
            .with_links(false);
        let mut out = String::new();
        // Drawing fails only for a span outside the text; the words are never lost.
        if draw.render_report(&mut out, error).is_err() {
            let code = error.code().map(|code| code.to_string()).unwrap_or_default();
            return format!("{code} {error}\n");
        }
        out
    }
}

impl ConfigErrors {
    pub(super) fn one(error: ConfigError) -> Self {
        Self { errors: vec![error], not_shown: 0 }
    }

    /// The mistakes, at most 16.
    pub fn errors(&self) -> &[ConfigError] {
        &self.errors
    }

    /// How many more there are.
    pub fn not_shown(&self) -> usize {
        self.not_shown
    }

    /// The text for a person, one block per mistake and a closing line.
    pub fn render(&self, style: Style) -> String {
        let mut out = String::new();
        for error in &self.errors {
            out.push_str(&style.draw(error));
        }
        out.push_str(&self.closing_line());
        out
    }

    fn closing_line(&self) -> String {
        let count = self.errors.len() + self.not_shown;
        let file = self.errors.first().map(ConfigError::file).unwrap_or_default();
        let code = self.errors.first().map(ConfigError::code).unwrap_or_default();
        let noun = if count == 1 { "error" } else { "errors" };
        let more = match self.not_shown {
            0 => String::new(),
            hidden => format!(" ({hidden} more not shown)"),
        };
        format!("{count} {noun} in {file}{more}; more about one: renewd explain {code}\n")
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, error) in self.errors.iter().enumerate() {
            let separator = if nth == 0 { "" } else { "; " };
            let line = error.line().map(|line| format!(":{line}")).unwrap_or_default();
            write!(f, "{separator}{} {}{line}: {error}", error.code(), error.file())?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// The line, from 1, in which this byte stands.
fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

/// A value as it may stand in a message: control characters escaped, long ones cut.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(SHOWN_CHARS_MAX) {
        if c.is_control() || is_invisible(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        out.push('…');
    }
    out
}

/// The text of a file as it may be shown: what a terminal would obey becomes a sign of as many
/// octets, so that places stay where they are.
pub(super) fn inert(text: &str) -> String {
    let sign = |c: char| match c {
        '\n' | '\t' => c,
        '\r' => ' ',
        c if !c.is_control() && !is_invisible(c) => c,
        c if c.is_ascii() => '?',
        c if c.len_utf8() == 2 => '\u{bf}',
        _ => char::REPLACEMENT_CHARACTER,
    };
    text.chars().map(sign).collect()
}

/// Characters that draw nothing or turn the direction of what follows.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
