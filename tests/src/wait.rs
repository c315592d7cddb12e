//! The only place of the harness that sleeps: look, pause, look again, until a bound.

use std::time::{Duration, Instant};

/// Pause between two looks. Short enough that no test feels it, long enough to cost no CPU.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Pause of [`until_soon`]: a step of an order must be seen before the next one.
const LOOK_SOON: Duration = Duration::from_millis(1);

/// Looks until `look` finds something or `bound` is over; then `None`. Looks at least once, and
/// once more at the end.
pub fn until<T>(bound: Duration, look: impl FnMut() -> Option<T>) -> Option<T> {
    until_every(LOOK_EVERY, bound, look)
}

/// As [`until`], but looks every millisecond: for a kill at one step.
pub fn until_soon<T>(bound: Duration, look: impl FnMut() -> Option<T>) -> Option<T> {
    until_every(LOOK_SOON, bound, look)
}

/// Lets time pass, where nothing can be looked at: an answer is held back, a thing must not happen.
pub fn for_a_while(time: Duration) {
    if !time.is_zero() {
        pause(time);
    }
}

fn until_every<T>(
    every: Duration,
    bound: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> Option<T> {
    let end = Instant::now() + bound;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        pause(every);
    }
}

#[expect(clippy::disallowed_methods, reason = "the harness watches real processes in real time")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_again_until_it_finds_and_gives_up_at_the_bound() {
        let mut looks = 0;
        let found = until(Duration::from_secs(60), || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(found, Some(3));
        assert_eq!(until(Duration::ZERO, || None::<()>), None);
    }
}
