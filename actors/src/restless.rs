//! Decisions in a row that all record something. A part whose facts do not change what it decides would
//! append for ever, at the speed of the disk and until it is full.

use std::collections::BTreeMap;

use renewd_events::Subject;

use crate::bounds::DECISIONS_IN_A_ROW_MAX;

/// Decisions in a row by subject. Only those that are not at rest have a place here.
#[derive(Debug, Default)]
pub(crate) struct Restless(BTreeMap<Subject, u32>);

impl Restless {
    /// One decision more that records. True when there were too many; then the count begins anew.
    pub(crate) fn recorded(&mut self, subject: Subject) -> bool {
        let count = self.0.entry(subject).or_default();
        *count = count.saturating_add(1);
        let too_many = *count > DECISIONS_IN_A_ROW_MAX;
        if too_many {
            self.0.remove(&subject);
        }
        too_many
    }

    /// It was decided that there is nothing to record.
    pub(crate) fn rested(&mut self, subject: Subject) {
        self.0.remove(&subject);
    }
}

#[cfg(test)]
mod tests {
    use renewd_events::id::CertificateId;

    use super::*;

    const ONE: Subject = Subject::Certificate(CertificateId([1; 16]));

    #[test]
    fn what_does_not_come_to_rest_is_stopped_and_what_rests_is_not() {
        let mut restless = Restless::default();
        for _ in 0..DECISIONS_IN_A_ROW_MAX {
            assert!(!restless.recorded(ONE));
        }
        assert!(!restless.recorded(Subject::Engine), "each subject has its own count");
        assert!(restless.recorded(ONE));
        assert!(!restless.recorded(ONE), "a second chance is a whole one");
        for _ in 0..2 * DECISIONS_IN_A_ROW_MAX {
            restless.rested(ONE);
            assert!(!restless.recorded(ONE));
        }
        restless.rested(ONE);
        restless.rested(Subject::Engine);
        assert!(restless.0.is_empty(), "what is at rest takes no place");
    }
}
