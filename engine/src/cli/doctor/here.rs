//! What is on this machine: the engine, the disk, the log, the vault, the addresses.

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use http::{Method, StatusCode};
use renewd_events::Facts;
use renewd_events::id::Seq;
use renewd_events::log::{self, MirrorReader};
use renewd_events::store::StoreError;

use super::finding::{Finding, Verdict};
use crate::admin::SOCKET;
use crate::admin::client::{ClientError, ask};
use crate::config::{Bind, Config};
use crate::host::{holder, socket};
use crate::settings::Settings;
use crate::start::{LOG, VAULT};
use crate::vault::FileVault;

/// Room that a renewal may need: keys and chains of a thousand certificates and their events.
const FREE_OCTETS_MIN: u64 = 64 * 1024 * 1024;
/// What is written to see whether the disk takes it.
const PROBE_OCTETS: usize = 4096;
/// Bits of a mode that give something to others.
const OTHERS: u32 = 0o077;

/// Where challenges are answered.
const CHALLENGES: &str = "challenge address";
/// Where certificates are served.
const HTTPS: &str = "https address";
/// Where the status page is.
const PAGE: &str = "status page";

/// Whether an engine runs on this state directory.
pub(super) struct Engine {
    /// One answers.
    pub(super) runs: bool,
    /// What it says.
    pub(super) finding: Finding,
}

/// Asks the engine whether it is ready.
pub(super) async fn engine(config: &Config) -> Engine {
    let path = config.state_dir.join(SOCKET);
    let subject = path.display().to_string();
    let found = |runs, finding| Engine { runs, finding };
    match ask(&path, Method::GET, "/readyz").await {
        Ok(answer) if answer.status == StatusCode::OK => {
            found(true, Finding::ok("engine", &subject, "runs and is ready"))
        }
        Ok(answer) => {
            let faults: Vec<&str> =
                answer.body.lines().filter_map(|line| line.strip_prefix("[-]")).collect();
            let seen = format!("runs and is not ready: {}", faults.join("; "));
            let todo = "see the lines below and `renewd status`";
            found(true, Finding::bad(Verdict::Fail, ("engine", &subject), &seen, todo))
        }
        Err(ClientError::NoEngine { .. }) => {
            let seen = "does not run (`renewd run` starts it)";
            found(false, Finding::unknown("engine", &subject, seen))
        }
        Err(error @ (ClientError::Permission { .. } | ClientError::Broken { .. })) => {
            let todo = "run doctor as the engine's user; if it is, restart the engine";
            let seen = error.to_string();
            found(true, Finding::bad(Verdict::Warn, ("engine", &subject), &seen, todo))
        }
    }
}

/// The state directory: there, closed to others, writable, with room.
pub(super) fn disk(config: &Config) -> Finding {
    let dir = &config.state_dir;
    let subject = dir.display().to_string();
    let bad =
        |verdict, seen: &str, todo: &str| Finding::bad(verdict, ("disk", &subject), seen, todo);
    let mode = match std::fs::metadata(dir) {
        Ok(metadata) => metadata.permissions().mode(),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            return Finding::unknown("disk", &subject, "not made yet; the first start makes it");
        }
        Err(cause) => {
            return bad(
                Verdict::Fail,
                &cause.to_string(),
                "make it readable for the engine's user",
            );
        }
    };
    if let Err(cause) = probe(dir) {
        return bad(
            Verdict::Fail,
            &format!("cannot be written: {cause}"),
            "give it to the engine's user, make room, or run doctor as that user",
        );
    }
    let free = match rustix::fs::statvfs(dir) {
        Ok(found) => found.f_bavail.saturating_mul(found.f_frsize),
        Err(cause) => return Finding::unknown("disk", &subject, &cause.to_string()),
    };
    let mib = free / (1024 * 1024);
    if free < FREE_OCTETS_MIN {
        let seen = format!("{mib} MiB free");
        return bad(Verdict::Fail, &seen, "make room: at least 64 MiB");
    }
    if mode & OTHERS != 0 {
        let seen = format!("its mode is {:o}: others can look inside", mode & 0o777);
        return bad(Verdict::Warn, &seen, &format!("chmod 700 {subject}"));
    }
    Finding::ok("disk", &subject, &format!("writable, {mib} MiB free"))
}

/// Writes, syncs and removes a file.
fn probe(dir: &Path) -> std::io::Result<()> {
    let path = dir.join(format!(".doctor-{}", std::process::id()));
    let written =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).and_then(
            |mut file| {
                file.write_all(&[0; PROBE_OCTETS])?;
                file.sync_all()
            },
        );
    let removed = std::fs::remove_file(&path);
    written.and(removed)
}

/// The log: every event in order, with the hash chain and the anchor.
pub(super) fn log(config: &Config) -> (Finding, Option<Facts>) {
    let path = config.state_dir.join(LOG);
    let subject = path.display().to_string();
    let todo = "nothing was changed; `renewd log verify` shows where, `renewd explain` what to do";
    let verified = match log::verify(&path) {
        Ok(verified) => verified,
        Err(StoreError::Absent { .. }) => {
            return (Finding::unknown("log", &subject, "none yet; the first start makes it"), None);
        }
        Err(error) => {
            let seen = error.to_string();
            return (Finding::bad(Verdict::Fail, ("log", &subject), &seen, todo), None);
        }
    };
    if !verified.is_whole() {
        let first = verified.first_bad.as_ref().map(ToString::to_string);
        let seen = first.unwrap_or_else(|| verified.anchor.to_string());
        return (Finding::bad(Verdict::Fail, ("log", &subject), &seen, todo), None);
    }
    let seen = format!("{} events, order and hash chain whole", verified.events);
    (Finding::ok("log", &subject, &seen), fold(&path).ok())
}

fn fold(path: &Path) -> Result<Facts, StoreError> {
    let mut facts = Facts::default();
    for envelope in MirrorReader::open(path)?.envelopes(Seq(1))? {
        facts.apply(&envelope?);
    }
    Ok(facts)
}

/// The vault opens with its key, and holds the account key that the log names. Beside a running engine
/// it is left alone: that engine has opened it.
pub(super) fn vault(config: &Config, facts: Option<&Facts>, runs: bool) -> Finding {
    let path = config.state_dir.join(VAULT);
    let subject = path.display().to_string();
    let settings = Settings::from(config);
    if runs {
        return Finding::ok("vault", &subject, "the running engine has opened it");
    }
    if !path.is_dir() {
        return Finding::unknown("vault", &subject, "none yet; the first start makes it");
    }
    let bad = |seen: &str, todo: &str| Finding::bad(Verdict::Fail, ("vault", &subject), seen, todo);
    let vault = match FileVault::open(&path, &settings.vault) {
        Ok(vault) => vault,
        Err(error) => {
            return bad(
                &error.to_string(),
                "give the vault's own key back; a new key opens nothing",
            );
        }
    };
    let account = facts.and_then(|facts| facts.accounts.get(&settings.account.id()));
    let Some(key) = account.and_then(|account| account.key.as_ref()) else {
        return Finding::ok("vault", &subject, "opens; there is no account key yet");
    };
    match vault.account_key_pkcs8(&key.key_ref) {
        Ok(_) => Finding::ok("vault", &subject, "opens; the account key is there"),
        Err(problem) => bad(
            &format!("the account key cannot be read: {}", problem.detail),
            "restore the vault from a backup; `renewd explain R0501`",
        ),
    }
}

/// Every address that must be ours: free, or held by the running engine.
pub(super) fn listeners(config: &Config, facts: Option<&Facts>, runs: bool) -> Vec<Finding> {
    let pid = facts.filter(|_| runs).map(|facts| facts.engine.identity.pid);
    let mut all: Vec<(&'static str, SocketAddr)> =
        config.http.listen.iter().map(|address| (CHALLENGES, *address)).collect();
    let https = config.certificates.iter().flat_map(|certificate| &certificate.bindings);
    for bind in https {
        if let Bind::Builtin(builtin) = bind {
            all.extend(builtin.sockets().into_iter().map(|address| (HTTPS, address)));
        }
    }
    all.extend(config.admin.listen.map(|address| (PAGE, address)));
    all.sort_unstable();
    all.dedup();
    all.into_iter().map(|(check, address)| listener(check, address, pid)).collect()
}

/// How bad it is that another program has the address, and what to do.
fn held(check: &str) -> (Verdict, &'static str) {
    match check {
        CHALLENGES => (
            Verdict::Fail,
            "stop that program, give another address, or let it forward \
             /.well-known/acme-challenge/ to ours",
        ),
        // Certificates come first: without the page the engine runs on.
        PAGE => (
            Verdict::Warn,
            "stop that program (the page then opens by itself within a minute), or name another \
             address in [admin] listen",
        ),
        _ => (
            Verdict::Fail,
            "stop that program, give the bind another port or address, or let that program serve: \
             target = \"files\" with its reload command",
        ),
    }
}

fn listener(check: &'static str, address: SocketAddr, pid: Option<u32>) -> Finding {
    let subject = address.to_string();
    match holder::holder(address) {
        Some(holder) if Some(holder.pid) == pid => {
            return Finding::ok(check, &subject, "held by the running engine");
        }
        Some(holder) => {
            let seen = format!("held by {holder}");
            let (verdict, todo) = held(check);
            return Finding::bad(verdict, (check, &subject), &seen, todo);
        }
        None => {}
    }
    match (socket::listen(address), pid) {
        (Ok(_), None) => Finding::ok(check, &subject, "free"),
        (Ok(_), Some(_)) => {
            let seen = "free, although the engine runs: it does not listen there";
            match check {
                PAGE => {
                    let todo = "wait: the engine tries again within a minute";
                    Finding::bad(Verdict::Warn, (check, &subject), seen, todo)
                }
                _ => Finding::bad(Verdict::Fail, (check, &subject), seen, "restart the engine"),
            }
        }
        (Err(refused), _) => Finding::bad(
            Verdict::Fail,
            (check, &subject),
            &refused.problem.detail,
            "see the cause; as root, doctor sees who holds it",
        ),
    }
}
