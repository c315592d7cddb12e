//! The life of a certificate as a bar: how much of it is over, where the CA wants it renewed, when that
//! will be. Only the geometry; the shapes are in `templates/bar.svg`.

use renewd_events::WallMs;

/// The bar's length in its own units.
pub(super) const WIDTH: u64 = 720;
/// A band narrower than this could not be seen: an hour's window in a life of 90 days.
const BAND_MIN: u64 = 3;
/// Of this length at each end, a word beside a mark is written towards the middle.
const EDGE: u64 = 60;

/// A moment on the bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Where.
    pub(super) x: u64,
    /// How its word is set: `start`, `middle` or `end`.
    pub(super) anchor: &'static str,
}

/// The bar of one issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bar {
    /// How far life is over.
    pub(super) over: u64,
    /// Percent of life that is left.
    pub(super) left_percent: u64,
    /// Now.
    pub(super) now: Mark,
    /// The next renewal, when it is within this life.
    pub(super) next: Option<Mark>,
    /// The CA's window: where it begins and how long it is.
    pub(super) window: Option<(u64, u64)>,
}

/// The life of an issue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    /// Valid from.
    pub(super) not_before: WallMs,
    /// Valid to.
    pub(super) not_after: WallMs,
}

impl Life {
    /// Where a moment is; what lies outside is at the nearer end. Fractions of a unit do not matter.
    fn x(self, at: WallMs) -> u64 {
        let whole = self.not_after.0.saturating_sub(self.not_before.0).max(1);
        let here = at.0.saturating_sub(self.not_before.0).min(whole);
        let x = u128::from(here) * u128::from(WIDTH) / u128::from(whole);
        u64::try_from(x).unwrap_or(WIDTH)
    }

    /// The bar at this moment.
    pub(super) fn bar(
        self,
        now: WallMs,
        next: Option<WallMs>,
        window: Option<(WallMs, WallMs)>,
    ) -> Bar {
        let inside = |at: &WallMs| *at <= self.not_after && *at >= self.not_before;
        let over = self.x(now);
        let window = window.filter(|(from, to)| inside(from) || inside(to)).map(|(from, to)| {
            let begin = self.x(from).min(WIDTH.saturating_sub(BAND_MIN));
            (begin, self.x(to).saturating_sub(begin).max(BAND_MIN))
        });
        Bar {
            over,
            left_percent: WIDTH.saturating_sub(over).saturating_mul(100) / WIDTH,
            now: mark(over),
            next: next.filter(inside).map(|at| mark(self.x(at))),
            window,
        }
    }
}

fn mark(x: u64) -> Mark {
    let anchor = match x {
        0..EDGE => "start",
        _ if x > WIDTH.saturating_sub(EDGE) => "end",
        _ => "middle",
    };
    Mark { x, anchor }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Life = Life { not_before: WallMs(1000), not_after: WallMs(1720) };

    #[test]
    fn moments_are_where_they_belong() {
        let bar = LIFE.bar(WallMs(1180), Some(WallMs(1480)), Some((WallMs(1460), WallMs(1500))));
        assert_eq!(bar.over, 180);
        assert_eq!(bar.left_percent, 75);
        assert_eq!(bar.next, Some(Mark { x: 480, anchor: "middle" }));
        assert_eq!(bar.window, Some((460, 40)));
    }

    #[test]
    fn nothing_leaves_the_bar() {
        let expired = LIFE.bar(WallMs(9999), Some(WallMs(9999)), Some((WallMs(0), WallMs(900))));
        assert_eq!((expired.over, expired.left_percent), (WIDTH, 0));
        assert_eq!((expired.next, expired.window), (None, None));
        assert_eq!(expired.now.anchor, "end");
        let early = LIFE.bar(WallMs(0), None, Some((WallMs(1719), WallMs(1720))));
        assert_eq!(early.now, Mark { x: 0, anchor: "start" });
        assert_eq!(early.window, Some((WIDTH - BAND_MIN, BAND_MIN)));
        let empty = Life { not_before: WallMs(5), not_after: WallMs(5) };
        assert_eq!(empty.bar(WallMs(5), None, None).over, 0);
    }
}
