//! Which path gives which answer. Whoever comes through the Unix socket may command; the page only
//! shows.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderValue, Method, Request, StatusCode};
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
use renewd_replay::why::Witnesses;
use serde_json::{Value, json};

use super::asked::{API, Caller, Command, drain, parameter};
use super::metrics::Counters;
use super::page::{CARDS_MAX, Frame, One, Overview, PAST_MAX, Still, policy};
use super::present::Present;
use super::reply::{self, Answer};
use super::story::{Story, newest};
use super::{gauges, health, view};
use crate::challenge::Waiting;
use crate::wire::SystemClock;

/// Renewals in one JSON answer.
const HISTORY_ROWS_MAX: usize = 500;
/// Where certificates are, as pages.
const PAGES: &str = "/certificates/";
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

/// What all connections share.
#[derive(Debug)]
pub(super) struct Desk {
    present: Present,
    responder: Vec<SocketAddr>,
    waiting: Arc<Waiting>,
    registry: Arc<Registry>,
    /// The log's folder, where it is on a disk.
    log: Option<PathBuf>,
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
        let present = Present::new(handle, log.clone());
        Self {
            registry: Arc::new(gauges::registry(present.clone(), log.clone(), counters)),
            present,
            responder,
            waiting,
            log,
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
            "/metrics" => self.metrics().await,
            "/api/v1/status" => {
                // The same rows as `renewd status --json`.
                match self.look(status::status).await {
                    Some(rows) => {
                        let data = serde_json::to_value(rows).unwrap_or_default();
                        reply::json(StatusCode::OK, status::SCHEMA, data)
                    }
                    None => unseen(),
                }
            }
            "/api/v1/history" => self.history().await,
            LOG_PATH => {
                let room = self.log.as_deref().and_then(|log| room_left(log).ok());
                let data = json!({ "unwritable": self.present.handle().log_broken(), "room_octets": room });
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

    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Facts, &Witnesses, WallMs) -> T + Send + 'static,
    ) -> Option<T> {
        self.present.ask(move |present| present.look(look)).await
    }

    async fn story<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Story) -> Result<T, StoreError> + Send + 'static,
    ) -> Option<T> {
        self.present.ask(move |present| present.story(ask)).await.flatten()
    }

    async fn metrics(&self) -> Answer {
        let registry = Arc::clone(&self.registry);
        match self.present.ask(move |_| gauges::scrape(&registry)).await {
            Some(Ok(text)) => reply::text(StatusCode::OK, reply::OPENMETRICS, text),
            Some(Err(_)) | None => {
                reply::problem(StatusCode::INTERNAL_SERVER_ERROR, "not encodable")
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
        let broken = self.present.handle().log_broken();
        let still = still(query);
        let page = self.look(move |facts, witnesses, now| {
            let mut cards = view::cards(facts, witnesses, now);
            let total = cards.len();
            let persons = cards.iter().filter(|card| card.state.needs_a_person()).count();
            let busy = cards.iter().any(|card| card.doing.is_some());
            cards.truncate(CARDS_MAX);
            Overview {
                frame: Frame::new(now, "/".to_owned(), busy, still),
                more: total.saturating_sub(cards.len()),
                cards,
                total,
                persons,
                broken,
                past: past.iter().map(|row| view::past(row, now)).collect(),
            }
        });
        match page.await {
            Some(page) => self.render(&page),
            None => unseen(),
        }
    }

    async fn certificate(&self, name: &str, query: &str) -> Answer {
        let past = self.rows(Some(name.to_owned()), PAST_MAX).await;
        let (wanted, still) = (name.to_owned(), still(query));
        let page = self.look(move |facts, witnesses, now| {
            let (card, _) = view::find(facts, witnesses, &wanted, now)?;
            let path = format!("{PAGES}{}", card.name);
            Some(One {
                frame: Frame::new(now, path, card.doing.is_some(), still),
                card,
                drawn: !past.is_empty(),
                past: past.iter().map(|row| view::past(row, now)).collect(),
            })
        });
        match page.await {
            Some(Some(page)) => self.render(&page),
            Some(None) => unknown(name),
            None => unseen(),
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
            story.timeline(&certificate, id, SystemClock.now())
        });
        match timeline.await.flatten() {
            Some(timeline) => reply::svg(renewd_replay::timeline::svg(&timeline)),
            None => reply::problem(StatusCode::NOT_FOUND, "there is no such renewal in the log"),
        }
    }

    async fn certificate_json(&self, name: &str) -> Answer {
        let past = self.rows(Some(name.to_owned()), PAST_MAX).await;
        let wanted = name.to_owned();
        let data = self.look(move |facts, witnesses, now| {
            let (_, row) = view::find(facts, witnesses, &wanted, now)?;
            let issue = view::issue_json(facts, &row);
            Some(json!({ "status": row, "issue": issue, "renewals": past }))
        });
        match data.await {
            Some(Some(data)) => reply::json(StatusCode::OK, CERTIFICATE_SCHEMA, data),
            Some(None) => unknown(name),
            None => unseen(),
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
        if let Some(name) = parameter(query, "certificate") {
            return self.served(name).await;
        }
        let log = self.log.as_deref();
        let health = health::look(self.present.handle(), &self.responder, &self.waiting, log).await;
        let status =
            if health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        reply::plain(status, health.body(parameter(query, "verbose").is_some()))
    }

    /// For a load balancer in front of HTTPS: whether this one certificate is served here.
    async fn served(&self, name: &str) -> Answer {
        let wanted = name.to_owned();
        let row = self.look(move |facts, witnesses, now| {
            view::find(facts, witnesses, &wanted, now).map(|(_, row)| health::unserved(&row))
        });
        match row.await {
            Some(Some(None)) => reply::plain(StatusCode::OK, "ok\n".to_owned()),
            Some(Some(Some(why))) => {
                let name = renewd_replay::escape::field(name, 80);
                let text = format!("[-]certificate/{name} failed: {why}\nreadyz check failed\n");
                reply::plain(StatusCode::SERVICE_UNAVAILABLE, text)
            }
            Some(None) => unknown(name),
            None => unseen(),
        }
    }

    async fn renew(&self, name: &str, by: &str) -> Answer {
        match self.present.handle().renew(name, by).await {
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
        match self.present.handle().accept_terms(by).await {
            Ok(envelopes) => {
                let accepted: Vec<_> = envelopes.iter().filter_map(|it| accepted(it)).collect();
                reply::json(StatusCode::OK, TERMS_SCHEMA, json!({ "accepted": accepted }))
            }
            Err(cause) => refused(&cause),
        }
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

fn unseen() -> Answer {
    reply::problem(StatusCode::INTERNAL_SERVER_ERROR, "the state could not be read")
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
