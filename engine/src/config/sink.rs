//! Collects the mistakes of one file, each with its place.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::NamedSource;

use super::error::{ConfigError, ConfigErrors, ERRORS_SHOWN_MAX, LINE_OCTETS_MAX, inert};
use super::fault::Fault;

/// The file being read and what was found wrong so far.
pub(super) struct Sink {
    source: Arc<NamedSource<String>>,
    folder: PathBuf,
    /// Offsets of the line ends: thousands of certificates ask for their lines.
    line_ends: Vec<usize>,
    errors: Vec<ConfigError>,
    warnings: Vec<ConfigError>,
}

impl Sink {
    /// `text` is what may be shown: secrets are blanked out in it, places are the same. What a
    /// terminal would obey is taken out here.
    pub(super) fn new(path: &Path, text: String) -> Self {
        let text = inert(&text);
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let line_ends = text.match_indices('\n').map(|(at, _)| at).collect();
        let source = Arc::new(NamedSource::new(path.display().to_string(), text));
        Self { source, folder, line_ends, errors: Vec::new(), warnings: Vec::new() }
    }

    /// Notes a mistake at a place.
    pub(super) fn push(&mut self, field: &str, span: Range<usize>, fault: Fault) {
        let error = self.at(field, span, fault);
        self.errors.push(error);
    }

    /// Notes what is allowed and seldom meant to stay.
    pub(super) fn warn(&mut self, field: &str, span: Range<usize>, fault: Fault) {
        let warning = self.at(field, span, fault);
        self.warnings.push(warning);
    }

    fn at(&self, field: &str, span: Range<usize>, fault: Fault) -> ConfigError {
        let span = self.first_line(span);
        let corrected = fault.fixed().and_then(|value| self.corrected(&span, &value));
        let source = Arc::clone(&self.source);
        let field = field.to_owned();
        ConfigError { fault, field, span: Some(span), corrected, source }
    }

    /// Line of a byte, from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.line_ends.partition_point(|end| *end < offset) + 1
    }

    /// Blanks out a value that turned out to be a secret, also in mistakes noted before.
    pub(super) fn blank(&mut self, span: Range<usize>) {
        let mut bytes = self.source.inner().as_bytes().to_vec();
        super::mask::blank(&mut bytes, span);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        self.source = Arc::new(NamedSource::new(self.source.name(), text));
        for error in self.errors.iter_mut().chain(&mut self.warnings) {
            error.source = Arc::clone(&self.source);
        }
    }

    /// A path of the file: relative ones start at the folder of the file, wherever renewd runs.
    pub(super) fn path(&self, written: &str) -> PathBuf {
        self.folder.join(written)
    }

    /// The warnings of a file without mistakes.
    ///
    /// # Errors
    /// Everything that was noted, in the order of the lines.
    pub(super) fn finish(mut self) -> Result<Vec<ConfigError>, ConfigErrors> {
        if self.errors.is_empty() {
            return Ok(self.warnings);
        }
        self.errors.sort_by_key(|error| error.span.as_ref().map(|span| (span.start, span.end)));
        let not_shown = self.errors.len().saturating_sub(ERRORS_SHOWN_MAX);
        self.errors.truncate(ERRORS_SHOWN_MAX);
        Err(ConfigErrors { errors: self.errors, not_shown })
    }

    /// A place that ends with its first line: a whole section underlined helps nobody.
    fn first_line(&self, span: Range<usize>) -> Range<usize> {
        let text = self.source.inner().get(span.clone()).unwrap_or_default();
        let line = text.split('\n').next().unwrap_or_default().trim_end();
        span.start..span.start + line.len()
    }

    /// The line of this place with another value in it.
    fn corrected(&self, span: &Range<usize>, value: &str) -> Option<String> {
        let before = self.source.inner().get(..span.start)?;
        let after = self.source.inner().get(span.end..)?;
        let head = before.rsplit('\n').next().unwrap_or_default();
        let tail = after.split('\n').next().unwrap_or_default();
        let line = inert(format!("{head}{value}{tail}").trim());
        (line.len() <= LINE_OCTETS_MAX).then_some(line)
    }
}
