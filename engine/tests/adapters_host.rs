//! The host process: listeners that cannot be opened, and a restart that is asked for.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::net::{SocketAddr, TcpListener};

use renewd::bind::{TlsServer, status_page};
use renewd::host::{OwnProcess, OwnProcessOptions};
use renewd_actors::ports::HostProcess;
use renewd_events::id::{BootNo, RestartId, Seq, StreamId};
use renewd_events::restart::{Method, Phase, ProcessIdentity, Restart, RestartEvent};
use renewd_events::{Durable, Meta, WallMs};

fn host(restart: Option<Method>, add_live: bool) -> OwnProcess {
    let server = TlsServer::new(status_page(None));
    OwnProcess::new(server, OwnProcessOptions { restart, add_live }).unwrap()
}

/// A port that was free a moment ago.
fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn a_taken_address_names_its_holder_and_needs_no_restart() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let host = host(Some(Method::Exec), true);
    let refused = host.open_listener(&address).await.unwrap_err();
    assert_eq!(refused.problem.kind, "addressInUse");
    let pid = format!("pid {}", std::process::id());
    assert!(refused.holder.unwrap().contains(&pid));
    assert!(!refused.needs_restart);
    drop(taken);
    host.open_listener(&address).await.unwrap();
    host.open_listener(&address).await.unwrap();
    let refused = host.open_listener("nonsense").await.unwrap_err();
    assert_eq!(refused.problem.kind, "badAddress");
}

#[tokio::test]
async fn a_new_listener_needs_a_restart_when_adding_live_is_off() {
    let address = free().to_string();
    let with_restart = host(Some(Method::Exit), false);
    let refused = with_restart.open_listener(&address).await.unwrap_err();
    assert_eq!(refused.problem.kind, "listenerNotLive");
    assert!(refused.needs_restart);
    let without = host(None, false);
    assert!(!without.open_listener(&address).await.unwrap_err().needs_restart);
    // The next life opens it at its start.
    let next = host(Some(Method::Exit), false);
    assert!(next.open_at_start(&[address.parse().unwrap()]).is_empty());
    next.open_listener(&address).await.unwrap();
}

fn intent(identity: ProcessIdentity) -> Durable<ProcessIdentity> {
    let meta = Meta {
        seq: Seq(1),
        stream: StreamId::from(RestartId([1; 16])),
        version: 1,
        at: WallMs(0),
        boot: BootNo(1),
        incarnation: 1,
        renewal: None,
    };
    let mut restart = Restart::default();
    let event = RestartEvent::RestartRequested {
        before: identity,
        method: Method::Exec,
        deadline: WallMs(0),
    };
    restart.evolve(&meta, &event);
    let Phase::Requested(intent) = restart.phase else { unreachable!("it was requested") };
    intent
}

#[tokio::test]
async fn a_restart_reaches_the_main_loop() {
    let host = host(Some(Method::Exec), true);
    let mut asked = host.restart_asked();
    let id = RestartId([1; 16]);
    let intent = intent(host.identity());
    host.restart(id, &intent).await.unwrap();
    asked.changed().await.unwrap();
    assert_eq!(*asked.borrow(), Some(id));
    let never = self::host(None, true);
    let problem = never.restart(id, &intent).await.unwrap_err();
    assert_eq!(problem.kind, "noRestartMethod");
    assert_eq!(never.restart_method(), None);
}
