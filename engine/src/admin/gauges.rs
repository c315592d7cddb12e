//! Gauges: read off the facts at each scrape, so they cannot disagree with the status page.

use std::fmt::Error;
use std::path::PathBuf;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use renewd_events::log::room_left;
use renewd_events::{Facts, WallMs};
use renewd_replay::escape;
use renewd_replay::status::{CertificateStatus, State, status};

use super::metrics::Counters;
use super::present::Present;

/// With more certificates than this the series of single certificates are left out: a scraper would
/// pay more for them than we do. The sums stay.
const SERIES_CERTIFICATES_MAX: usize = 1000;
/// Of an issuer's name in a label.
const ISSUER_CHARACTERS_MAX: usize = 120;

/// All states, so that each has its series from the start.
const STATES: [State; 10] = [
    State::Ok,
    State::First,
    State::Due,
    State::Renewing,
    State::Waiting,
    State::NotServed,
    State::Retrying,
    State::Failing,
    State::Orphan,
    State::Broken,
];

type Labels<'a> = Vec<(&'static str, &'a str)>;

/// Reads the present of an engine when it is scraped; and the space of its log, where that is on a disk.
#[derive(Debug)]
struct Gauges(Present, Option<PathBuf>);

/// Everything that `/metrics` shows.
pub(super) fn registry(present: Present, log: Option<PathBuf>, counters: &Counters) -> Registry {
    let mut registry = Registry::default();
    counters.register(&mut registry);
    let version = vec![("version", env!("CARGO_PKG_VERSION"))];
    registry.register("renewd_build", "The program that runs", Info::new(version));
    registry.register_collector(Box::new(Gauges(present, log)));
    registry
}

/// The text of a scrape. Blocks for the disk.
pub(super) fn scrape(registry: &Registry) -> Result<String, Error> {
    let mut out = String::new();
    text::encode(&mut out, registry)?;
    Ok(out)
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        self.disk(&mut encoder)?;
        self.0.look(|facts, witnesses, now| {
            let rows = status(facts, witnesses, now);
            sums(&mut encoder, facts, &rows)?;
            if rows.len() > SERIES_CERTIFICATES_MAX {
                return Ok(());
            }
            states(&mut encoder, &rows)?;
            troubles(&mut encoder, &rows)?;
            validity(&mut encoder, facts, &rows)?;
            next(&mut encoder, facts, &rows)?;
            served(&mut encoder, &rows)?;
            info(&mut encoder, facts, &rows)
        })
    }
}

impl Gauges {
    fn disk(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let help = "1 while the log cannot be written: no new act is begun";
        gauge(encoder, "renewd_log_unwritable", help, None)?
            .encode_gauge(&u64::from(self.0.handle().log_broken().is_some()))?;
        if let Some(octets) = self.1.as_deref().and_then(|log| room_left(log).ok()) {
            let help = "What may still be written where the log is";
            gauge(encoder, "renewd_log_room", help, Some(&Unit::Bytes))?.encode_gauge(&octets)?;
        }
        Ok(())
    }
}

fn gauge<'e>(
    encoder: &'e mut DescriptorEncoder<'_>,
    name: &'e str,
    help: &'e str,
    unit: Option<&'e Unit>,
) -> Result<MetricEncoder<'e>, Error> {
    encoder.encode_descriptor(name, help, unit, MetricType::Gauge)
}

fn set(
    family: &mut MetricEncoder<'_>,
    labels: &impl EncodeLabelSet,
    value: u64,
) -> Result<(), Error> {
    family.encode_family(labels)?.encode_gauge(&value)
}

fn word(state: State) -> String {
    let word: String = state.word().to_ascii_lowercase();
    word.replace(' ', "-")
}

fn sums(
    encoder: &mut DescriptorEncoder<'_>,
    facts: &Facts,
    rows: &[CertificateStatus],
) -> Result<(), Error> {
    gauge(encoder, "renewd_log_last_seq", "The last event of the log", None)?
        .encode_gauge(&facts.seq.0)?;
    gauge(encoder, "renewd_boots", "Lives of this installation", None)?
        .encode_gauge(&u64::from(facts.engine.boot.0))?;
    let answers = u64::try_from(facts.answers()).unwrap_or(u64::MAX);
    gauge(encoder, "renewd_challenge_tokens", "Challenge tokens that are answered now", None)?
        .encode_gauge(&answers)?;
    let aside = u64::try_from(facts.engine.set_aside.len()).unwrap_or(u64::MAX);
    let help = "What renewd failed over and leaves alone until a restart (R0805)";
    gauge(encoder, "renewd_set_aside", help, None)?.encode_gauge(&aside)?;
    let mut family = gauge(encoder, "renewd_certificates", "Certificates by state", None)?;
    for state in STATES {
        let count = rows.iter().filter(|row| row.state == state).count();
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        set(&mut family, &vec![("state", word(state).as_str())], count)?;
    }
    Ok(())
}

fn states(encoder: &mut DescriptorEncoder<'_>, rows: &[CertificateStatus]) -> Result<(), Error> {
    let name = "renewd_certificate_state";
    let mut family = gauge(encoder, name, "1 for the state that a certificate is in", None)?;
    for row in rows {
        for state in STATES {
            let word = word(state);
            let labels: Labels<'_> = vec![("certificate", &row.name), ("state", &word)];
            set(&mut family, &labels, u64::from(row.state == state))?;
        }
    }
    Ok(())
}

/// Only where something is wrong: the codes are many.
fn troubles(encoder: &mut DescriptorEncoder<'_>, rows: &[CertificateStatus]) -> Result<(), Error> {
    let name = "renewd_certificate_trouble";
    let help = "1 while something is wrong; the code is what renewd why and renewd explain say";
    let mut family = gauge(encoder, name, help, None)?;
    for row in rows {
        if let Some(trouble) = &row.trouble {
            let labels: Labels<'_> = vec![("certificate", &row.name), ("code", &trouble.code)];
            set(&mut family, &labels, 1)?;
        }
    }
    Ok(())
}

fn validity(
    encoder: &mut DescriptorEncoder<'_>,
    facts: &Facts,
    rows: &[CertificateStatus],
) -> Result<(), Error> {
    type Pick = fn(&renewd_events::certificate::Leaf) -> WallMs;
    let picks: [(&str, &str, Pick); 2] = [
        (
            "renewd_certificate_not_before_timestamp",
            "From when the newest issue is valid; 0: there is none",
            |leaf| leaf.not_before,
        ),
        (
            "renewd_certificate_not_after_timestamp",
            "When the newest issue expires; 0: there is none",
            |leaf| leaf.not_after,
        ),
    ];
    for (name, help, pick) in picks {
        let mut family = gauge(encoder, name, help, Some(&Unit::Seconds))?;
        for row in rows {
            let issue = facts.certificates.get(&row.id).and_then(|it| it.current.as_ref());
            let at = issue.map_or(0, |issue| pick(&issue.leaf).seconds());
            set(&mut family, &vec![("certificate", row.name.as_str())], at)?;
        }
    }
    Ok(())
}

/// The label is one of a few words; the reason in words is on the page.
fn next(
    encoder: &mut DescriptorEncoder<'_>,
    facts: &Facts,
    rows: &[CertificateStatus],
) -> Result<(), Error> {
    let name = "renewd_certificate_next_action_timestamp";
    let help = "When the next action is; 0: when what it waits for happens";
    let mut family = gauge(encoder, name, help, Some(&Unit::Seconds))?;
    for row in rows {
        let planned = facts.schedules.get(&row.id).and_then(|schedule| schedule.planned);
        let action = match (row.doing.is_some(), planned, row.next.at) {
            (true, _, _) => "renewing".to_owned(),
            (false, _, Some(_)) if row.state == State::NotServed => "serve".to_owned(),
            (false, Some(planned), Some(_)) => planned.cause.to_string(),
            (false, None, Some(_)) => "operator".to_owned(),
            (false, _, None) => "waiting".to_owned(),
        };
        let labels: Labels<'_> = vec![("certificate", &row.name), ("action", &action)];
        set(&mut family, &labels, row.next.at.map_or(0, WallMs::seconds))?;
    }
    Ok(())
}

fn served(encoder: &mut DescriptorEncoder<'_>, rows: &[CertificateStatus]) -> Result<(), Error> {
    let name = "renewd_certificate_served_match";
    let help = "1 when a handshake there showed the newest issue, or its files hold it and no verify is set";
    let mut family = gauge(encoder, name, help, None)?;
    for row in rows {
        for binding in &row.bindings {
            let labels: Labels<'_> = vec![("certificate", &row.name), ("address", &binding.target)];
            set(&mut family, &labels, u64::from(binding.served))?;
        }
    }
    Ok(())
}

fn info(
    encoder: &mut DescriptorEncoder<'_>,
    facts: &Facts,
    rows: &[CertificateStatus],
) -> Result<(), Error> {
    let name = "renewd_certificate_info";
    let mut family = gauge(encoder, name, "Who issued it; always 1", None)?;
    for row in rows {
        let it = facts.certificates.get(&row.id);
        let issuer = it
            .and_then(|it| it.current.as_ref())
            .map(|issue| escape::field(&issue.leaf.issuer, ISSUER_CHARACTERS_MAX))
            .unwrap_or_default();
        let profile = it.and_then(|it| it.declared.as_ref()?.profile.as_deref()).unwrap_or("");
        let labels: Labels<'_> =
            vec![("certificate", &row.name), ("issuer", &issuer), ("profile", profile)];
        set(&mut family, &labels, 1)?;
    }
    Ok(())
}
