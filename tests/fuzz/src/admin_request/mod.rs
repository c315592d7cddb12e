//! Any octets on a connection to the admin server. The first line says who sends them: `page`, `socket`
//! (the engine's own user) or `foreign` (another user on the Unix socket); without one it is the page.
//! The page answers only requests that name this machine and never changes anything; only the own
//! user commands; every answer is bounded, inert, and has its headers.

#[path = "../../../../engine/tests/admin/fakes.rs"]
#[expect(dead_code, reason = "shared with the engine's own tests, which use all of it")]
mod fakes;

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use renewd::fuzzing::AdminDoor;
use renewd_actors::Engine;
use renewd_actors::journal::Seat;
use renewd_events::Event;
use renewd_events::account::AccountEvent;
use renewd_events::schedule::ScheduleEvent;
use tokio::runtime::Runtime;

use crate::challenge_request::{runtime, talk};
use crate::http1::{Answer, Plain, answers, plain};

/// The command.
const RENEW: &str = "/api/v1/certificates/web/renew";
/// The page of one certificate has some 30 KiB.
const BODY_OCTETS_MAX: usize = 256 * 1024;
/// Connections to one engine: every command is an event, and its log is in memory.
const CONNECTIONS_MAX: u32 = 2000;
/// The octets between the two ends of a connection in memory.
const PIPE_OCTETS: usize = 64 * 1024;

/// An engine, and how many commands it has taken.
struct World {
    runtime: Runtime,
    /// Held so that it runs.
    _engine: Engine,
    door: AdminDoor,
    commands: Arc<AtomicUsize>,
    connections: u32,
}

thread_local! {
    /// Absent after a failure, which leaves it in any state.
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Page,
    Own,
    Foreign,
}

/// The octets as one connection.
pub fn admin_request(data: &[u8]) {
    let (who, octets) = who(data);
    let world = WORLD.take().filter(|world| world.connections < CONNECTIONS_MAX);
    let mut world = world.unwrap_or_else(World::new);
    world.connections += 1;
    let before = world.commands.load(Ordering::SeqCst);
    let written = world.connection(who, octets);
    let commands = world.commands.load(Ordering::SeqCst) - before;
    let answers = answers(&written);
    let taken = answers.iter().filter(|answer| answer.status == 202).count();
    match who {
        Who::Own => {
            assert!(commands <= posts(octets), "{commands} commands of {} POSTs", posts(octets));
            assert!(taken <= commands, "{taken} commands were answered, {commands} recorded");
        }
        Who::Page | Who::Foreign => assert_eq!((commands, taken), (0, 0), "a command of {who:?}"),
    }
    let shown = answers.iter().filter(|answer| answer.status == 200).count();
    match who {
        Who::Page => assert!(shown <= our_hosts(octets), "an answer to a foreign Host"),
        Who::Foreign => assert_eq!(shown, 0, "an answer to a foreign user"),
        Who::Own => {}
    }
    answers.iter().for_each(judged);
    if let Some(wanted) = plain(octets).and_then(|request| wanted(who, request)) {
        assert_eq!(answers.first().map(|answer| answer.status), Some(wanted));
    }
    WORLD.set(Some(world));
}

/// What a request beyond doubt is answered with.
fn wanted(who: Who, request: Plain<'_>) -> Option<u16> {
    let (read, renew) = (request.method != "POST", request.path == RENEW);
    match (who, request.host, read, renew) {
        (Who::Foreign, ..) => Some(403),
        (Who::Page, "evil.example", ..) => Some(421),
        (Who::Page, "localhost" | "localhost:9180" | "[::1]:9180", false, _) => Some(405),
        (Who::Page | Who::Own, "localhost" | "localhost:9180" | "[::1]:9180", true, false) => {
            let shown = ["/", "/livez", "/metrics", "/api/v1/status", "/certificates/web"];
            shown.contains(&request.path).then_some(200)
        }
        (Who::Own, _, false, true) => Some(202),
        (Who::Page | Who::Own, ..) => None,
    }
}

fn who(data: &[u8]) -> (Who, &[u8]) {
    let marks: [(&[u8], Who); 3] =
        [(b"page\n", Who::Page), (b"socket\n", Who::Own), (b"foreign\n", Who::Foreign)];
    let found = marks.iter().find_map(|(mark, who)| Some((*who, data.strip_prefix(*mark)?)));
    found.unwrap_or((Who::Page, data))
}

impl World {
    fn new() -> Self {
        let runtime = runtime();
        let commands = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&commands);
        let observer = move |batch: &[Arc<renewd_events::Envelope>]| {
            let count = batch.iter().filter(|envelope| is_command(&envelope.event)).count();
            counted.fetch_add(count, Ordering::SeqCst);
        };
        let seat = Seat::Task(Box::new(|| Duration::ZERO));
        let (engine, _) = runtime.block_on(fakes::engine_on(seat, vec![Box::new(observer)]));
        let listen: SocketAddr = "127.0.0.1:9180".parse().unwrap();
        let door = AdminDoor::new(engine.handle(), listen);
        Self { runtime, _engine: engine, door, commands, connections: 0 }
    }

    fn connection(&self, who: Who, octets: &[u8]) -> Vec<u8> {
        let own = rustix::process::geteuid().as_raw();
        self.runtime.block_on(async {
            let (ours, theirs) = tokio::io::duplex(PIPE_OCTETS);
            let serve = async {
                match who {
                    Who::Page => self.door.page(theirs).await,
                    Who::Own => self.door.socket(own, theirs).await,
                    Who::Foreign => self.door.socket(own.wrapping_add(1).max(1), theirs).await,
                }
            };
            tokio::join!(serve, talk(ours, octets)).1
        })
    }
}

fn is_command(event: &Event) -> bool {
    matches!(
        event,
        Event::Schedule(ScheduleEvent::RenewalRequested { .. })
            | Event::Account(AccountEvent::TermsAccepted { .. })
    )
}

fn posts(octets: &[u8]) -> usize {
    octets.windows(5).filter(|window| *window == b"POST ").count()
}

/// Host lines that name this machine, by a reader of our own.
fn our_hosts(octets: &[u8]) -> usize {
    octets.split(|octet| *octet == b'\n').filter(|line| names_us(line)).count()
}

fn names_us(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line).to_ascii_lowercase();
    let Some(host) = line.trim().strip_prefix("host:").map(str::trim) else {
        return false;
    };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost"
        || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

fn judged(answer: &Answer) {
    assert!(answer.body.len() <= BODY_OCTETS_MAX, "{} octets", answer.body.len());
    let body = String::from_utf8_lossy(&answer.body);
    let media = answer.header("content-type").unwrap_or_default();
    if media.is_empty() {
        // The HTTP library's own words about what is no request: a status and nothing else.
        assert!(body.is_empty() && [400, 414, 431].contains(&answer.status), "{answer:?}");
        return;
    }
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name} of {answer:?}");
    }
    let policy = answer.header("content-security-policy").unwrap_or_default();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(!body.contains(|c: char| c.is_control() && c != '\n'), "{body:?}");
    if media.contains("json") && !body.is_empty() {
        let read = serde_json::from_str::<serde_json::Value>(&body);
        assert!(read.is_ok(), "{media} that is none: {body}");
    } else {
        let lower = body.to_ascii_lowercase();
        assert!(!lower.contains("<script") && !lower.contains("<img"), "{body}");
    }
}
