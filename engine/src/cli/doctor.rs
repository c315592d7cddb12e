//! `renewd doctor`: looks at everything a renewal needs, beside a running engine or before its first
//! start, and says what to do. Nothing is changed, nothing is ordered.

mod finding;
mod here;
#[cfg(test)]
mod tests;
mod there;

use std::path::Path;

use clap::Args;

use self::finding::{Finding, Verdict, render};
use super::exit::{Exit, Reply, json};
use crate::config::{Certificate, Config, Style};

/// What `doctor` takes.
#[derive(Debug, Args)]
pub(super) struct Flags {
    /// Only the names of this certificate
    name: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Looks at everything, in the order in which a renewal needs it.
pub(super) fn run(flags: &Flags, config: Option<&Path>, style: Style) -> Reply {
    let place = Config::locate(config);
    let config = match Config::load(&place) {
        Ok(config) => config,
        Err(errors) => return Reply::failed(Exit::Config, errors.render(style)),
    };
    let certificates: Vec<&Certificate> = config
        .certificates
        .iter()
        .filter(|certificate| {
            flags.name.as_ref().is_none_or(|name| certificate.name.as_str() == name)
        })
        .collect();
    if let Some(name) = flags.name.as_ref().filter(|_| certificates.is_empty()) {
        let name = renewd_replay::escape::field(name, 80);
        let err = format!("error: {} names no certificate `{name}`\n", place.display());
        return Reply::failed(Exit::NotFound, err);
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(cause) => return Reply::failed(Exit::Failed, format!("error: {cause}\n")),
    };
    let mut findings =
        vec![Finding::ok("configuration", &place.display().to_string(), &valid(&config))];
    runtime.block_on(look(&config, &certificates, &mut findings));
    // What still waits for a slow resolver is not waited for.
    runtime.shutdown_background();
    told(flags, &findings)
}

fn valid(config: &Config) -> String {
    format!("valid; {} certificate(s)", config.certificates.len())
}

async fn look(config: &Config, certificates: &[&Certificate], findings: &mut Vec<Finding>) {
    let engine = here::engine(config).await;
    findings.push(engine.finding.clone());
    findings.push(here::disk(config));
    let (log, facts) = here::log(config);
    findings.push(log);
    findings.push(here::vault(config, facts.as_ref(), engine.runs));
    findings.extend(here::listeners(config, facts.as_ref(), engine.runs));
    findings.extend(there::ca(config, facts.as_ref()).await);
    findings.extend(there::names(config, certificates, engine.runs).await);
}

fn told(flags: &Flags, findings: &[Finding]) -> Reply {
    let found = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (fails, warnings) = (found(Verdict::Fail), found(Verdict::Warn));
    let exit = if fails + warnings == 0 { Exit::Done } else { Exit::Finding };
    let out = if flags.json {
        let data = serde_json::to_value(findings).unwrap_or_default();
        format!("{}\n", json("renewd.doctor/1", data))
    } else {
        let unknown = found(Verdict::Unknown);
        format!(
            "{}{} checks: {fails} FAIL, {warnings} warn, {unknown} unknown\n",
            render(findings),
            findings.len()
        )
    };
    Reply { out, err: String::new(), exit }
}
