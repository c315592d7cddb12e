//! One measured figure beside its anchor and its goal, and how both are written.

use std::time::Duration;

/// A figure. A bench gives one or more; the first is its headline.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// What was measured, for the table.
    pub(crate) measure: String,
    /// The value.
    pub(crate) value: f64,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// What it stands beside.
    pub(crate) anchor: Option<Anchor>,
    /// What it must reach.
    pub(crate) goal: Option<Goal>,
}

/// A peer or a physical limit, in the figure's unit.
#[derive(Clone, Debug)]
pub(crate) struct Anchor {
    /// Who or what.
    pub(crate) name: String,
    /// Its value.
    pub(crate) value: f64,
}

/// What a figure must reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// The value, at least.
    AtLeast(f64),
    /// The value, at most.
    AtMost(f64),
    /// The ratio to the anchor, at least.
    RatioAtLeast(f64),
}

impl Figure {
    /// A figure without anchor and goal.
    pub(crate) fn new(measure: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { measure: measure.into(), value, unit, anchor: None, goal: None }
    }

    /// Beside a peer or limit measured in the same run.
    pub(crate) fn beside(mut self, name: impl Into<String>, value: f64) -> Self {
        let name = name.into();
        self.anchor = Some(Anchor { name, value });
        self
    }

    /// With a goal.
    pub(crate) fn goal(mut self, goal: Goal) -> Self {
        self.goal = Some(goal);
        self
    }

    /// Value by anchor.
    fn ratio(&self) -> Option<f64> {
        let anchor = self.anchor.as_ref().filter(|anchor| anchor.value > 0.0)?;
        Some(self.value / anchor.value)
    }

    /// Whether the goal is met; a figure without one is.
    fn met(&self) -> bool {
        match self.goal {
            None => true,
            Some(Goal::AtLeast(goal)) => self.value >= goal,
            Some(Goal::AtMost(goal)) => self.value <= goal,
            Some(Goal::RatioAtLeast(goal)) => self.ratio().is_some_and(|ratio| ratio >= goal),
        }
    }

    /// The goal as text, and `met` or `missed`.
    fn judged(&self) -> Option<(String, &'static str)> {
        let unit = self.unit;
        let goal = match self.goal? {
            Goal::AtLeast(goal) => format!(">= {} {unit}", number(goal)),
            Goal::AtMost(goal) => format!("<= {} {unit}", number(goal)),
            Goal::RatioAtLeast(goal) => format!("ratio >= {}", number(goal)),
        };
        Some((goal, if self.met() { "met" } else { "missed" }))
    }

    /// `VALUE UNIT, ratio R to ANCHOR, goal G: met|missed`.
    pub(crate) fn line(&self) -> String {
        let value = format!("{} {}", number(self.value), self.unit);
        let ratio = match (self.ratio(), &self.anchor) {
            (Some(ratio), Some(Anchor { name, value })) => {
                format!(", ratio {} to {name} ({})", number(ratio), number(*value))
            }
            (None, _) | (_, None) => String::new(),
        };
        let judged = self.judged();
        let judged =
            judged.map_or(String::new(), |(goal, verdict)| format!(", goal {goal}: {verdict}"));
        format!("{value}{ratio}{judged}")
    }

    /// One line of the table.
    pub(crate) fn row(&self, bench: &str) -> String {
        let beside = self.anchor.as_ref().map_or(String::new(), |anchor| {
            format!("{} {} ({})", number(anchor.value), self.unit, anchor.name)
        });
        let ratio = self.ratio().map(number).unwrap_or_default();
        let (goal, verdict) = self.judged().unwrap_or_default();
        format!(
            "| {bench} | {} | {} {} | {beside} | {ratio} | {goal} | {verdict} |",
            self.measure,
            number(self.value),
            self.unit
        )
    }
}

/// The one closing line of a bench. It is `met` only when every figure of the bench is.
pub(crate) fn closing(bench: &str, figures: &[Figure]) -> String {
    let Some(first) = figures.first() else {
        return format!("bench {bench}: nothing was measured: missed");
    };
    let missed: Vec<&str> = figures
        .iter()
        .filter(|figure| !figure.met())
        .map(|figure| figure.measure.as_str())
        .collect();
    match missed.is_empty() || !first.met() {
        true => format!("bench {bench}: {}", first.line()),
        false => format!("bench {bench}: {}, but missed: {}", first.line(), missed.join("; ")),
    }
}

/// Three significant digits are more than a run repeats.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        small if small >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// The middle one of some measurements.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// So many per second.
pub(crate) fn per_second(count: u32, time: Duration) -> f64 {
    f64::from(count) / time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_says_value_ratio_anchor_and_goal() {
        let figure = Figure::new("appends", 120.0, "appends/s")
            .beside("a plain file", 200.0)
            .goal(Goal::RatioAtLeast(0.5));
        assert_eq!(
            closing("append", &[figure]),
            "bench append: 120 appends/s, ratio 0.60 to a plain file (200), goal ratio >= 0.50: met"
        );
    }

    #[test]
    fn a_missed_second_figure_is_not_hidden_behind_the_headline() {
        let good = Figure::new("wall", 0.1, "s").goal(Goal::AtMost(0.2));
        let bad = Figure::new("requests", 11.0, "requests").goal(Goal::AtMost(10.0));
        let line = closing("issue", &[good.clone(), bad]);
        assert!(line.ends_with("met, but missed: requests"), "{line}");
        assert!(closing("issue", &[good]).ends_with(": met"));
    }

    #[test]
    fn a_goal_by_ratio_is_missed_without_an_anchor() {
        assert!(!Figure::new("x", 1.0, "s").goal(Goal::RatioAtLeast(0.5)).met());
        assert!(!Figure::new("x", 1.0, "s").goal(Goal::AtLeast(2.0)).met());
    }

    #[test]
    fn the_median_is_the_middle_one() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }
}
