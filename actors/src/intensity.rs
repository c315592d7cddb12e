//! How often something failed of late (restart intensity, as in Erlang's supervisors).

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::bounds::INTENSITY_WINDOW;

/// Failures within [`INTENSITY_WINDOW`]. Whoever counts them gives up above
/// [`crate::bounds::INTENSITY_MAX`], so there are few.
#[derive(Debug, Default)]
pub(crate) struct Intensity(VecDeque<Instant>);

impl Intensity {
    /// One failure more; gives how many there were within the window, this one among them.
    pub(crate) fn failed(&mut self) -> usize {
        let now = Instant::now();
        self.0.push_back(now);
        while self.0.front().is_some_and(|at| now.duration_since(*at) > INTENSITY_WINDOW) {
            self.0.pop_front();
        }
        self.0.len()
    }
}
