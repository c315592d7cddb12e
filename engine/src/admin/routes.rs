//! Which path gives which answer. Whoever comes through the Unix socket may command; the page only
//! shows.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use prometheus_client::registry::Registry;
use renewd_actors::ports::TimeSource;
use renewd_actors::{EngineError, Handle};
use renewd_events::account::AccountEvent;
use renewd_events::log::room_left;
use renewd_events::store::StoreError;
use renewd_events::{Envelope, Event, Facts, WallMs};
use renewd_replay::renewals::Renewal;
use renewd_replay::status;
use serde_json::{Value, json};

use super::metrics::Counters;
use super::page::{CARDS_MAX, Frame, One, Overview, PAST_MAX, Still, policy};
use super::reply::{self, Answer};
use super::server::{BODY_OCTETS_MAX, BODY_TIME_MAX};
use super::story::{Story, newest};
use super::{gauges, health, view};
use crate::challenge::Waiting;
use crate::wire::SystemClock;

/// Renewals in one JSON answer.
const HISTORY_ROWS_MAX: usize = 500;
/// Where certificates are, as pages and as JSON.
const PAGES: &str = "/certificates/";
const API: &str = "/api/v1/certificates/";
/// Where the CA's terms are accepted.
pub(crate) const ACCEPT_TERMS: &str = "/api/v1/accept-terms";
const READ: &str = "GET, HEAD";
/// What our JSON is called; the status has its name in `renewd-replay`.
const CERTIFICATE_SCHEMA: &str = "renewd.certificate/1";
const HISTORY_SCHEMA: &str = "renewd.history/1";
const RENEW_SCHEMA: &str = "renewd.renew/1";
/// Whether the log can be written, and what space is left for it.
pub(crate) const LOG_PATH: &str = "/api/v1/log";
const LOG_SCHEMA: &str = "renewd.log/1";
/// Said by the engine and, with `--json`, by the command.
pub(crate) const TERMS_SCHEMA: &str = "renewd.accept-terms/1";

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// A browser or a scraper on the TCP port.
    Page,
    /// A process of this machine on the Unix socket.
    Socket {
        /// Its user, as the kernel says.
        uid: u32,
    },
}

/// What all connections share.
#[derive(Debug)]
pub(super) struct Desk {
    handle: Handle,
    responder: Vec<SocketAddr>,
    waiting: Arc<Waiting>,
    registry: Registry,
    /// The log's folder, where it is on a disk.
    log: Option<PathBuf>,
    story: Option<Arc<Mutex<Story>>>,
    policy: HeaderValue,
}

impl Desk {
    /// For this engine.
    pub(super) fn new(
        handle: Handle,
        log: Option<PathBuf>,
        (responder, waiting): (Vec<SocketAddr>, Arc<Waiting>),
        counters: &Counters,
    ) -> Self {
        Self {
            registry: gauges::registry(handle.clone(), log.clone(), counters),
            handle,
            responder,
            waiting,
            log: log.clone(),
            story: log.map(|log| Arc::new(Mutex::new(Story::new(log)))),
            policy: policy(),
        }
    }

    /// One request, one answer.
    pub(super) async fn answer(&self, request: Request<Incoming>, caller: Caller) -> Answer {
        let path = request.uri().path().to_owned();
        let query = request.uri().query().unwrap_or("").to_owned();
        if request.method() == Method::GET || request.method() == Method::HEAD {
            return self.show(&path, &query).await;
        }
        match (Command::of(&path), caller) {
            (Some(command), Caller::Socket { uid }) if request.method() == Method::POST => {
                let by = format!("uid {uid}");
                match (drain(request).await, command) {
                    (Ok(()), Command::Renew(name)) => self.renew(name, &by).await,
                    (Ok(()), Command::AcceptTerms) => self.accept_terms(&by).await,
                    (Err(refused), _) => refused,
                }
            }
            (Some(_), Caller::Socket { .. }) => {
                reply::method_not_allowed("POST", "a command is a POST")
            }
            (_, Caller::Page) => reply::method_not_allowed(
                READ,
                "this port only shows; commands go through the Unix socket: renewd renew NAME",
            ),
            (None, Caller::Socket { .. }) => {
                reply::method_not_allowed(READ, "nothing can be changed at this path")
            }
        }
    }

    async fn show(&self, path: &str, query: &str) -> Answer {
        match path {
            "/" => self.overview(query).await,
            "/livez" => reply::plain(StatusCode::OK, "ok\n".to_owned()),
            "/readyz" => self.ready(query).await,
            "/metrics" => match gauges::scrape(&self.registry) {
                Ok(text) => reply::text(StatusCode::OK, reply::OPENMETRICS, text),
                Err(_) => reply::problem(StatusCode::INTERNAL_SERVER_ERROR, "not encodable"),
            },
            "/api/v1/status" => {
                // The same rows as `renewd status --json`.
                let rows = self.facts(status::status);
                let data = serde_json::to_value(rows).unwrap_or_default();
                reply::json(StatusCode::OK, status::SCHEMA, data)
            }
            "/api/v1/history" => self.history().await,
            LOG_PATH => {
                let room = self.log.as_deref().and_then(|log| room_left(log).ok());
                let data = json!({ "unwritable": self.handle.log_broken(), "room_octets": room });
                reply::json(StatusCode::OK, LOG_SCHEMA, data)
            }
            _ => self.about(path, query).await,
        }
    }

    async fn about(&self, path: &str, query: &str) -> Answer {
        if Command::of(path).is_some() {
            return reply::method_not_allowed("POST", "a command is a POST");
        }
        if let Some(name) = path.strip_prefix(API) {
            return self.certificate_json(name).await;
        }
        let Some(rest) = path.strip_prefix(PAGES) else {
            return reply::problem(StatusCode::NOT_FOUND, "there is nothing at this path");
        };
        match rest.strip_suffix("/timeline.svg") {
            Some(name) => self.timeline(name, query).await,
            None => self.certificate(rest, query).await,
        }
    }

    fn facts<T>(&self, look: impl FnOnce(&Facts, WallMs) -> T) -> T {
        let facts = self.handle.facts();
        let facts = facts.read().unwrap_or_else(PoisonError::into_inner);
        look(&facts, SystemClock.now())
    }

    /// Asks the log. Absent without one, and when it cannot be read: the page shows what there is.
    async fn story<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Story) -> Result<T, StoreError> + Send + 'static,
    ) -> Option<T> {
        let story = Arc::clone(self.story.as_ref()?);
        let answer = tokio::task::spawn_blocking(move || {
            ask(&mut story.lock().unwrap_or_else(PoisonError::into_inner))
        });
        match answer.await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(cause)) => {
                tracing::warn!(%cause, "past renewals cannot be read");
                None
            }
            Err(cause) => {
                tracing::error!(%cause, "reading past renewals failed");
                None
            }
        }
    }

    async fn rows(&self, certificate: Option<String>, max: usize) -> Vec<Renewal> {
        let rows = self.story(move |story| {
            let all = story.renewals()?.rows().iter();
            let wanted =
                |row: &&Renewal| certificate.as_ref().is_none_or(|name| row.certificate == *name);
            Ok(newest(all.filter(wanted), max))
        });
        rows.await.unwrap_or_default()
    }

    async fn overview(&self, query: &str) -> Answer {
        let past = self.rows(None, PAST_MAX).await;
        let broken = self.handle.log_broken();
        let page = self.facts(|facts, now| {
            let mut cards = view::cards(facts, now);
            let total = cards.len();
            let persons = cards.iter().filter(|card| card.state.needs_a_person()).count();
            let busy = cards.iter().any(|card| card.doing.is_some());
            cards.truncate(CARDS_MAX);
            Overview {
                frame: Frame::new(now, "/".to_owned(), busy, still(query)),
                more: total.saturating_sub(cards.len()),
                cards,
                total,
                persons,
                broken,
                past: past.iter().map(|row| view::past(row, now)).collect(),
            }
        });
        self.render(&page)
    }

    async fn certificate(&self, name: &str, query: &str) -> Answer {
        let past = self.rows(Some(name.to_owned()), PAST_MAX).await;
        let page = self.facts(|facts, now| {
            let (card, _) = view::find(facts, name, now)?;
            let path = format!("{PAGES}{}", card.name);
            Some(One {
                frame: Frame::new(now, path, card.doing.is_some(), still(query)),
                card,
                drawn: !past.is_empty(),
                past: past.iter().map(|row| view::past(row, now)).collect(),
            })
        });
        match page {
            Some(page) => self.render(&page),
            None => unknown(name),
        }
    }

    fn render(&self, page: &impl askama::Template) -> Answer {
        match page.render() {
            Ok(html) => reply::html(StatusCode::OK, &self.policy, html),
            Err(cause) => {
                reply::problem(StatusCode::INTERNAL_SERVER_ERROR, &format!("no page: {cause}"))
            }
        }
    }

    async fn timeline(&self, name: &str, query: &str) -> Answer {
        let wanted = parameter(query, "renewal").map(str::to_owned);
        let certificate = name.to_owned();
        let timeline = self.story(move |story| {
            let id = match wanted {
                Some(wanted) => {
                    let rows = story.renewals()?.of(&certificate);
                    match rows.map(|row| row.id).find(|id| id.to_string() == wanted) {
                        Some(id) => Some(id),
                        None => return Ok(None),
                    }
                }
                None => None,
            };
            story.timeline(&certificate, id)
        });
        match timeline.await.flatten() {
            Some(timeline) => reply::svg(renewd_replay::timeline::svg(&timeline)),
            None => reply::problem(StatusCode::NOT_FOUND, "there is no such renewal in the log"),
        }
    }

    async fn certificate_json(&self, name: &str) -> Answer {
        let past = self.rows(Some(name.to_owned()), PAST_MAX).await;
        let data = self.facts(|facts, now| {
            let (_, row) = view::find(facts, name, now)?;
            let issue = view::issue_json(facts, &row);
            Some(json!({ "status": row, "issue": issue, "renewals": past }))
        });
        match data {
            Some(data) => reply::json(StatusCode::OK, CERTIFICATE_SCHEMA, data),
            None => unknown(name),
        }
    }

    /// The newest renewals, in the order of `renewd history --json`: oldest first.
    async fn history(&self) -> Answer {
        let mut rows = self.rows(None, HISTORY_ROWS_MAX).await;
        rows.reverse();
        let data = serde_json::to_value(rows).unwrap_or_default();
        reply::json(StatusCode::OK, HISTORY_SCHEMA, data)
    }

    async fn ready(&self, query: &str) -> Answer {
        let log = self.log.as_deref();
        let health = health::look(&self.handle, &self.responder, &self.waiting, log).await;
        let status =
            if health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        reply::plain(status, health.body(parameter(query, "verbose").is_some()))
    }

    async fn renew(&self, name: &str, by: &str) -> Answer {
        match self.handle.renew(name, by).await {
            Ok(envelopes) => {
                let seq = envelopes.first().map(|envelope| envelope.seq.0);
                let data: Value = json!({ "certificate": name, "seq": seq });
                reply::json(StatusCode::ACCEPTED, RENEW_SCHEMA, data)
            }
            Err(EngineError::NoCertificate(_)) => unknown(name),
            Err(cause) => refused(&cause),
        }
    }

    async fn accept_terms(&self, by: &str) -> Answer {
        match self.handle.accept_terms(by).await {
            Ok(envelopes) => {
                let accepted: Vec<_> = envelopes.iter().filter_map(|it| accepted(it)).collect();
                reply::json(StatusCode::OK, TERMS_SCHEMA, json!({ "accepted": accepted }))
            }
            Err(cause) => refused(&cause),
        }
    }
}

/// What may be asked of the engine.
#[derive(Clone, Copy, Debug)]
enum Command<'p> {
    /// A renewal of this certificate.
    Renew(&'p str),
    /// The terms that the CA shows now are accepted.
    AcceptTerms,
}

impl<'p> Command<'p> {
    fn of(path: &'p str) -> Option<Self> {
        if path == ACCEPT_TERMS {
            return Some(Self::AcceptTerms);
        }
        let name = path.strip_prefix(API)?.strip_suffix("/renew")?;
        Some(Self::Renew(name))
    }
}

/// One acceptance; the URL is null for a CA without terms.
fn accepted(envelope: &Envelope) -> Option<Value> {
    let Event::Account(AccountEvent::TermsAccepted { terms_url, .. }) = &envelope.event else {
        return None;
    };
    Some(json!({ "seq": envelope.seq.0, "terms_url": terms_url }))
}

fn refused(cause: &EngineError) -> Answer {
    let text = cause.to_string();
    if matches!(cause, EngineError::Busy(_) | EngineError::Append(_)) {
        reply::unavailable(&text)
    } else {
        reply::problem(StatusCode::INTERNAL_SERVER_ERROR, &text)
    }
}

fn unknown(name: &str) -> Answer {
    let name = renewd_replay::escape::field(name, 80);
    reply::problem(StatusCode::NOT_FOUND, &format!("there is no certificate `{name}`"))
}

fn still(query: &str) -> Still {
    match parameter(query, "refresh") {
        Some("off") => Still::Yes,
        _ => Still::No,
    }
}

/// `?name` or `?name=value`. Our values are plain words and hexadecimal, so nothing is decoded.
fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    })
}

/// Reads the body away, within its bounds: the commands need none.
async fn drain(request: Request<Incoming>) -> Result<(), Answer> {
    let body = Limited::new(request.into_body(), BODY_OCTETS_MAX).collect();
    match tokio::time::timeout(BODY_TIME_MAX, body).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => {
            let detail = format!("a body of more than {BODY_OCTETS_MAX} octets is not read");
            Err(reply::problem(StatusCode::PAYLOAD_TOO_LARGE, &detail))
        }
        Err(_) => Err(reply::problem(StatusCode::REQUEST_TIMEOUT, "the body does not end")),
    }
}
