//! A question to Pebble's log that outlives a borrow of Pebble: has it said this again?

use std::fs;
use std::path::PathBuf;

/// Whether Pebble has said some words more often than it had when the question was made.
#[derive(Clone, Debug)]
pub struct Said {
    log: PathBuf,
    words: String,
    before: usize,
}

impl Said {
    /// Of the log in this file.
    pub(crate) fn new(log: PathBuf, words: &str) -> Self {
        let mut said = Self { log, words: words.to_owned(), before: 0 };
        said.before = said.times();
        said
    }

    /// So often since the question was made. A log that cannot be read has not said anything.
    pub fn times(&self) -> usize {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log).matches(&self.words).count().saturating_sub(self.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_came_after_the_question_counts() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("pebble.out");
        assert_eq!(Said::new(log.clone(), "Added order ").times(), 0);
        fs::write(&log, "Added order a\n").unwrap();
        let said = Said::new(log.clone(), "Added order ");
        assert_eq!(said.times(), 0);
        fs::write(&log, "Added order a\nAdded order b\n").unwrap();
        assert_eq!(said.times(), 1);
    }
}
