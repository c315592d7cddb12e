//! A timeline as a picture: one lane per actor, intents as bars to their outcomes, crashes as breaks
//! across all lanes. A file of its own, without scripts or anything from elsewhere; it follows the
//! reader's light or dark setting; words come up on hover, and are in the text version too.

use renewd_events::ActorName;

use super::{Bracket, Ending, EventRow, Row, Timeline};
use crate::escape::markup;
use crate::when;

/// The whole picture, in its own units.
const WIDTH: u64 = 1000;
/// Where the lanes begin: names stand before.
const LANE_LEFT: u64 = 150;
/// Where they end.
const LANE_RIGHT: u64 = 980;
/// One lane.
const LANE_HEIGHT: u64 = 44;
/// Above the lanes: the title and the scale.
const TOP: u64 = 84;
/// A wait longer than this share of all is drawn shorter: the time axis is compressed, so that what
/// happens within a second can be told apart although the CA makes us wait for a minute.
const PAUSE_MAX_MS: u64 = 2000;

const STYLE: &str = "svg{--ink:#1c2733;--soft:#5a6b7b;--line:#d3dae1;--paper:#fff;--act:#2864c8;\
--good:#1a7f4b;--bad:#c0303a;--gap:#8a5a00;font:14px system-ui,sans-serif}\
@media(prefers-color-scheme:dark){svg{--ink:#e6edf3;--soft:#9aa8b5;--line:#39434d;--paper:#12171d;\
--act:#7ab0ff;--good:#5fd39a;--bad:#ff8088;--gap:#e0b050}}\
.paper{fill:var(--paper)}text{fill:var(--ink)}.soft{fill:var(--soft);font-size:12px}\
.lane{stroke:var(--line)}.act{fill:var(--act);opacity:.45}.dot{fill:var(--act)}.good{fill:var(--good)}\
.bad{fill:var(--bad)}.gap{fill:var(--gap);opacity:.25}.mark{stroke:var(--gap);stroke-dasharray:4 3}";

/// Where each moment is on the compressed axis.
struct Axis {
    /// (place in `rows`, compressed ms since the start)
    places: Vec<u64>,
    total: u64,
}

impl Axis {
    fn of(timeline: &Timeline) -> Self {
        let mut places = Vec::with_capacity(timeline.rows.len());
        let mut before = timeline.started.0;
        let mut here = 0u64;
        for row in &timeline.rows {
            let at = match row {
                Row::Event(event) => event.at.0,
                Row::Gap { to, .. } => to.0,
                Row::Wait { .. } => before,
            };
            here = here.saturating_add(at.saturating_sub(before).min(PAUSE_MAX_MS));
            before = before.max(at);
            places.push(here);
        }
        Self { places, total: here.max(1) }
    }

    fn x(&self, row: usize) -> u64 {
        let here = self.places.get(row).copied().unwrap_or(0);
        let span = LANE_RIGHT.saturating_sub(LANE_LEFT);
        LANE_LEFT.saturating_add(here.saturating_mul(span) / self.total)
    }
}

/// The picture, as a complete SVG document.
pub fn svg(timeline: &Timeline) -> String {
    let axis = Axis::of(timeline);
    let lanes = lanes(timeline);
    let count = u64::try_from(lanes.len()).unwrap_or(u64::MAX);
    let bottom = TOP.saturating_add(count.saturating_mul(LANE_HEIGHT));
    let height = bottom.saturating_add(40);
    let title = markup(&format!("{}, renewal {}", timeline.certificate, timeline.number));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\
         \n<title>{title}</title>\n<style>{STYLE}</style>\
         \n<rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>\
         \n<text x=\"16\" y=\"30\" font-size=\"18\">{title}</text>\
         \n<text class=\"soft\" x=\"16\" y=\"52\">{}</text>\n",
        markup(&format!(
            "{} · {} · {} events · {} · long waits are drawn shorter",
            timeline.cause,
            when::minute(timeline.started),
            timeline.events,
            match timeline.ending {
                Ending::Running => format!("under way for {}", when::span_ms(timeline.took_ms)),
                Ending::Succeeded | Ending::Unserved | Ending::Failed =>
                    when::span_ms(timeline.took_ms),
            }
        ))
    );
    for (actor, y) in &lanes {
        let name: &str = actor.into();
        out.push_str(&format!(
            "<line class=\"lane\" x1=\"{LANE_LEFT}\" x2=\"{LANE_RIGHT}\" y1=\"{y}\" y2=\"{y}\"/>\
             <text x=\"16\" y=\"{}\">{}</text>\n",
            y.saturating_add(5),
            markup(&name.replace('_', " "))
        ));
    }
    for (place, row) in timeline.rows.iter().enumerate() {
        match row {
            Row::Event(event) => {
                let y = lanes.iter().find(|(actor, _)| *actor == event.actor);
                if let Some((_, y)) = y {
                    out.push_str(&event_shape(timeline, &axis, place, event, *y));
                }
            }
            Row::Gap { down_ms, boot, .. } => {
                out.push_str(&gap_shape(&axis, place, *down_ms, boot.0, bottom));
            }
            Row::Wait { .. } => {}
        }
    }
    out.push_str("</svg>\n");
    out
}

/// The actors that did something, in the order of their numbers, with the height of their lane.
fn lanes(timeline: &Timeline) -> Vec<(ActorName, u64)> {
    let mut actors: Vec<ActorName> = timeline
        .rows
        .iter()
        .filter_map(|row| match row {
            Row::Event(event) => Some(event.actor),
            Row::Wait { .. } | Row::Gap { .. } => None,
        })
        .collect();
    actors.sort_unstable();
    actors.dedup();
    let heights = (0u64..)
        .map(|lane| TOP.saturating_add(lane.saturating_mul(LANE_HEIGHT)).saturating_add(20));
    actors.into_iter().zip(heights).collect()
}

fn event_shape(timeline: &Timeline, axis: &Axis, place: usize, row: &EventRow, y: u64) -> String {
    let x = axis.x(place);
    let mut out = String::new();
    let title = markup(&format!(
        "{} · +{} · {}{}",
        row.seq,
        when::span_ms(row.offset_ms),
        row.sentence,
        row.code.as_ref().map(|code| format!(" · {code}")).unwrap_or_default()
    ));
    if let Bracket::Closes { intent, took_ms } = row.bracket {
        let from = timeline.rows.iter().position(|other| match other {
            Row::Event(event) => event.seq == intent,
            Row::Wait { .. } | Row::Gap { .. } => false,
        });
        let from = from.map_or(x, |from| axis.x(from));
        out.push_str(&format!(
            "<rect class=\"act\" x=\"{from}\" y=\"{}\" width=\"{}\" height=\"12\" rx=\"3\">\
             <title>{title} · took {}</title></rect>\n",
            y.saturating_sub(6),
            x.saturating_sub(from).max(2),
            when::span_ms(took_ms)
        ));
    }
    let class = if row.code.is_some() {
        "bad"
    } else if row.sentence.contains("VALID") || row.event == "RenewalSucceeded" {
        "good"
    } else {
        "dot"
    };
    out.push_str(&format!(
        "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"5\"><title>{title}</title></circle>\n"
    ));
    out
}

fn gap_shape(axis: &Axis, place: usize, down_ms: u64, boot: u32, bottom: u64) -> String {
    let x = axis.x(place);
    let from = place.checked_sub(1).map_or(LANE_LEFT, |before| axis.x(before));
    let said = markup(&format!("nobody there for {}; boot {boot}", when::span_ms(down_ms)));
    format!(
        "<rect class=\"gap\" x=\"{from}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{said}</title>\
         </rect><line class=\"mark\" x1=\"{x}\" x2=\"{x}\" y1=\"{}\" y2=\"{bottom}\"/>\
         <text class=\"soft\" text-anchor=\"end\" x=\"{x}\" y=\"{}\">{said}</text>\n",
        TOP.saturating_sub(10),
        x.saturating_sub(from).max(3),
        bottom.saturating_sub(TOP).saturating_add(10),
        TOP.saturating_sub(10),
        bottom.saturating_add(18)
    )
}
