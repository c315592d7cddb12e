//! `renewd renew NAME`: asks the running engine for a renewal now; with `--wait` follows it to its end.
//! The wish is durable when the engine has answered: whoever waits may stop waiting.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use http::{Method, StatusCode};
use renewd_events::certificate::CertificateEvent;
use renewd_events::id::{CertificateId, CertificateName, RenewalId, Seq};
use renewd_events::log::MirrorReader;
use renewd_events::store::StoreError;
use renewd_events::{Envelope, Event};
use renewd_replay::{escape, sentence, when};
use serde_json::{Value, json};

use super::exit::{Exit, Reply};
use super::source;
use crate::admin::SOCKET;
use crate::admin::client::{Answer, ClientError, ask};
use crate::config::{Config, Style};
use crate::start::LOG;

/// Between two looks at the log's end: a person sees no delay, the disk no load.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A renewal that takes longer is waited for by `status`, not by a terminal: the engine itself gives
/// an order up after an hour.
const WAIT_MAX: Duration = Duration::from_secs(2 * 3600);

/// What `renew` takes.
#[derive(Debug, Args)]
pub(super) struct Flags {
    /// The certificate's name in the configuration
    name: String,
    /// Follow the renewal to its end; progress goes to stderr
    #[arg(long)]
    wait: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// How a renewal ended that was waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ended {
    Renewed { generation: u32 },
    Unserved { generation: u32 },
    Failed { code: String, said: String },
    TooLate,
}

/// Asks, and waits when told to.
pub(super) fn run(flags: &Flags, config: Option<&Path>, style: Style) -> Reply {
    let config = match Config::load(&Config::locate(config)) {
        Ok(config) => config,
        Err(errors) => return Reply::failed(Exit::Config, errors.render(style)),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(cause) => return Reply::failed(Exit::Failed, format!("error: {cause}\n")),
    };
    runtime.block_on(async {
        let seq = match command(&config.state_dir, &flags.name).await {
            Ok(seq) => seq,
            Err(reply) => return reply,
        };
        if !flags.wait {
            return requested(flags, seq);
        }
        match follow(&config.state_dir.join(LOG), &flags.name, seq).await {
            Ok((ended, renewal)) => told(flags, seq, &ended, renewal),
            Err(cause) => source::refused(&cause),
        }
    })
}

async fn command(state_dir: &Path, name: &str) -> Result<Seq, Reply> {
    // It goes into a path: only what the configuration would take.
    if CertificateName::parse(name).is_err() {
        return Err(unknown(&escape::field(name, 80)));
    }
    let socket = state_dir.join(SOCKET);
    let path = format!("/api/v1/certificates/{name}/renew");
    let answer = ask(&socket, Method::POST, &path).await.map_err(|error| unreachable(&error))?;
    match answer.status {
        StatusCode::ACCEPTED => Ok(Seq(seq(&answer).unwrap_or(0))),
        StatusCode::NOT_FOUND => Err(unknown(name)),
        status => {
            let text = format!("error: {status}: {}\n", escape::text(&answer.detail()));
            Err(Reply::failed(Exit::Failed, text))
        }
    }
}

fn seq(answer: &Answer) -> Option<u64> {
    answer.json().get("data")?.get("seq")?.as_u64()
}

fn unknown(name: &str) -> Reply {
    let help = "`renewd list` shows the names; a name that is new in the file needs a restart";
    Reply::failed(
        Exit::NotFound,
        format!("error: the engine has no certificate `{name}`\n  help: {help}\n"),
    )
}

/// No engine answers.
pub(super) fn unreachable(error: &ClientError) -> Reply {
    let (exit, help) = match error {
        ClientError::NoEngine { .. } => {
            (Exit::NoDaemon, "start the engine: `renewd run` with the same configuration")
        }
        ClientError::Permission { .. } => {
            (Exit::Permission, "run this as the user that runs the engine, or as root")
        }
        ClientError::Broken { .. } => (Exit::NoDaemon, "`renewd doctor` looks at the engine"),
    };
    Reply::failed(exit, format!("error: {error}\n  help: {help}\n"))
}

fn envelope_of(changed: Option<bool>, flags: &Flags, seq: Seq, more: Value) -> String {
    let mut data = json!({
        "certificate": flags.name,
        "requested_seq": seq.0,
        "changed": changed,
    });
    if let (Some(data), Value::Object(more)) = (data.as_object_mut(), more) {
        data.extend(more);
    }
    format!("{}\n", super::exit::json("renewd.renew/1", data))
}

fn requested(flags: &Flags, seq: Seq) -> Reply {
    if flags.json {
        return Reply::done(envelope_of(None, flags, seq, json!({ "outcome": "requested" })));
    }
    Reply::done(format!(
        "{}: a renewal is asked for (event {seq}); `renewd status` shows how it goes\n",
        flags.name
    ))
}

fn told(flags: &Flags, seq: Seq, ended: &Ended, renewal: Option<RenewalId>) -> Reply {
    let (exit, changed, outcome, text) = match ended {
        Ended::Renewed { generation } => (
            Exit::Done,
            true,
            json!({ "outcome": "renewed", "generation": generation }),
            format!("{}: renewed; issue {generation} is served\n", flags.name),
        ),
        Ended::Unserved { generation } => (
            Exit::Failed,
            true,
            json!({ "outcome": "unserved", "generation": generation }),
            format!(
                "error: {}: issue {generation} is there, and not everywhere served\n  \
                 help: renewd why {0}\n",
                flags.name
            ),
        ),
        Ended::Failed { code, said } => (
            Exit::Failed,
            false,
            json!({ "outcome": "failed", "code": code, "problem": said }),
            format!(
                "error: {code}: {} was not renewed: {said}\n  help: renewd why {0}\n",
                flags.name
            ),
        ),
        Ended::TooLate => (
            Exit::NotNow,
            false,
            json!({ "outcome": "under-way" }),
            format!(
                "{}: no end within {}; the engine goes on, `renewd status` shows it\n",
                flags.name,
                when::span(WAIT_MAX)
            ),
        ),
    };
    let mut more = outcome;
    if let (Some(more), Some(id)) = (more.as_object_mut(), renewal) {
        more.insert("renewal".to_owned(), Value::from(id.to_string()));
    }
    let out = flags.json.then(|| envelope_of(Some(changed), flags, seq, more));
    match (exit, out) {
        (Exit::Done, None) => Reply::done(text),
        (exit, None) => Reply::failed(exit, text),
        (Exit::Done, Some(out)) => Reply::done(out),
        (exit, Some(out)) => Reply { out, err: text, exit },
    }
}

/// Reads the log's mirror as it grows, until the renewal that took the wish up has ended.
async fn follow(
    log: &Path,
    name: &str,
    asked: Seq,
) -> Result<(Ended, Option<RenewalId>), StoreError> {
    let until = tokio::time::Instant::now() + WAIT_MAX;
    let reader = MirrorReader::open(log)?;
    let mut watch = Watch { certificate: certificate_id(name), renewal: None };
    let mut read = asked;
    while tokio::time::Instant::now() < until {
        if reader.head()?.seq > read {
            for envelope in reader.envelopes(read.next())? {
                let envelope = envelope?;
                read = envelope.seq;
                if let Some(ended) = watch.take(&envelope) {
                    return Ok((ended, watch.renewal));
                }
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok((Ended::TooLate, watch.renewal))
}

/// Ids of lineages are derived from their names.
fn certificate_id(name: &str) -> Option<CertificateId> {
    Some(CertificateName::parse(name).ok()?.id())
}

struct Watch {
    certificate: Option<CertificateId>,
    renewal: Option<RenewalId>,
}

impl Watch {
    /// Prints what belongs to the renewal; says when it has ended. A renewal that was under way before
    /// the wish is not this one: the wish is taken up by the next.
    fn take(&mut self, envelope: &Envelope) -> Option<Ended> {
        let ours = Some(CertificateId(envelope.stream.id)) == self.certificate;
        if let Event::Certificate(CertificateEvent::RenewalStarted { .. }) = &envelope.event
            && ours
        {
            self.renewal = envelope.renewal;
        }
        if self.renewal.is_none() || envelope.renewal != self.renewal {
            return None;
        }
        let line =
            format!("{}  {}\n", when::moment(envelope.at), sentence::sentence(&envelope.event));
        drop(std::io::stderr().lock().write_all(line.as_bytes()));
        let Event::Certificate(event) = &envelope.event else {
            return None;
        };
        if let CertificateEvent::RenewalSucceeded { generation } = event {
            return Some(Ended::Renewed { generation: generation.0 });
        }
        if let CertificateEvent::RenewalEndedUnserved { generation } = event {
            let generation = generation.0;
            return Some(Ended::Unserved { generation });
        }
        if let CertificateEvent::RenewalFailed { code, problem } = event {
            let (code, said) = (escape::field(code, 16), sentence::problem(problem));
            return Some(Ended::Failed { code, said });
        }
        None
    }
}
