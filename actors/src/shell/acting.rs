//! The effects of one actor: begun as tasks of their own, and counted until their ends are handled.

use std::collections::BTreeSet;
use std::sync::Arc;

use renewd_events::Subject;
use tokio::time::timeout;

use super::Life;
use crate::bounds;
use crate::decision::Role;
use crate::effect::{Effect, EffectKey};
use crate::hive::Message;
use crate::unwinding::unwinding;

impl Life {
    /// Begins an effect that is not under way yet.
    pub(super) fn start(&mut self, subject: Subject, effect: Effect) {
        let key = effect.key();
        let session = self.sessions.entry(subject).or_default();
        if session.running.contains(&key) {
            return;
        }
        if self.under_way >= bounds::EFFECTS_MAX {
            self.starved.insert(subject);
            return;
        }
        if let Some(settle) = effect.settled_by() {
            session.looks.remove(&settle);
        }
        session.running.insert(key);
        self.under_way = self.under_way.saturating_add(1);
        let (hive, mailbox) = (Arc::clone(&self.hive), self.mailbox.clone());
        // On the heap, once: an effect is too large to be moved into a task and out of it again.
        let effect = Box::new(effect);
        self.tasks.spawn(async move {
            // The log may have broken since this was decided: no log, no act.
            if hive.journal.broken().borrow().is_some() {
                let _lives = mailbox.put(Message::NotBegun(subject, key));
                return;
            }
            // A panic of a port ends as an effect without outcome, as a hang does.
            let act = effect.perform(&hive.ports);
            let act = unwinding(timeout(bounds::EFFECT_TIME_MAX, act)).await;
            let outcome = act.and_then(Result::ok).map(Box::new);
            // A dead actor's next life settles the intent.
            let _lives = mailbox.put(Message::Ended(subject, effect, outcome));
        });
    }

    /// An effect that did not begin is forgotten: its intent is as if it had just been recorded.
    pub(super) async fn not_begun<R: Role>(&mut self, subject: Subject, key: EffectKey) {
        self.under_way = self.under_way.saturating_sub(1);
        self.sessions.entry(subject).or_default().running.remove(&key);
        let subjects = self.with_starved(subject);
        self.reconcile::<R>(subjects).await;
    }

    /// The subject, and as many of those that waited for a place as there are places.
    pub(super) fn with_starved(&mut self, subject: Subject) -> BTreeSet<Subject> {
        while self.tasks.try_join_next().is_some() {}
        let mut subjects = BTreeSet::from([subject]);
        let places = bounds::EFFECTS_MAX.saturating_sub(self.under_way);
        for _ in 0..places {
            let Some(starved) = self.starved.pop_first() else {
                break;
            };
            subjects.insert(starved);
        }
        subjects
    }
}
