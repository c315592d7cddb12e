//! The small sections: `[renew]`, `[http]`, `[restart]`, `[admin]`, `[vault]`, `[telemetry]`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use super::error::shown;
use super::fault::Fault;
use super::model::{
    Admin, Hsts, Http, LifeLeft, Log, LogFormat, LogLevel, Renew, RenewPolicy, Restart,
    RestartMethod, RestartWhen, Telemetry, VaultKeySource,
};
use super::overlap::{Listeners, Place, Use};
use super::raw::{At, Section};
use super::sink::Sink;
use super::values::{self, DurationBounds};

/// How often a certificate is looked at when the file says nothing.
const CHECK_EVERY: Duration = Duration::from_secs(24 * 3600);
/// The wait after a first failure when the file says nothing.
const RETRY_FIRST: Duration = Duration::from_secs(60);
/// Its bounds: below a second it would be a loop, and the slowest retry of all is a day.
const RETRY_FIRST_BOUNDS: DurationBounds = DurationBounds {
    least: Duration::from_secs(1),
    most: Duration::from_secs(24 * 3600),
    why: "the first retry comes after it and later ones wait longer, up to a day; CAs count failures, so \
          less than \"1m\" is for a CA of your own",
};
/// Renewals at once when the file says nothing.
const MAX_PARALLEL: i64 = 8;
/// The most: each holds sockets and a CA's patience.
const MAX_PARALLEL_MAX: i64 = 64;
/// Sockets of the responder: more is `0.0.0.0` and `[::]`.
const LISTEN_MAX: usize = 16;
/// The port of http-01 (RFC 8555 §8.3).
const HTTP_PORT: u16 = 80;
/// The status page, on loopback.
const ADMIN_PORT: u16 = 9180;
/// First age of HSTS: a mistake is forgotten in minutes.
const HSTS_MAX_AGE: Duration = Duration::from_secs(300);
/// What the preload list asks for (hstspreload.org).
const HSTS_PRELOAD_AGE_MIN: Duration = Duration::from_secs(365 * 24 * 3600);
/// Two years: longer is never asked for.
const HSTS_MAX_AGE_MAX: Duration = Duration::from_secs(2 * 366 * 24 * 3600);
/// The key beside the state when the file names none.
const VAULT_KEY_FILE: &str = "vault.key";
/// Names of variables and credentials; a longer one is a pasted secret.
const REFERENCE_OCTETS_MAX: usize = 64;

pub(super) fn renew(section: &Section<'_, '_>, sink: &mut Sink) -> Renew {
    let default =
        RenewPolicy { ari: true, at_life_left: LifeLeft::Share { numerator: 1, denominator: 3 } };
    let bounds = DurationBounds {
        least: Duration::from_secs(60),
        most: Duration::from_secs(7 * 24 * 3600),
        why: "more often burdens the CA, less often misses a withdrawn certificate (RFC 9773)",
    };
    let check_every = section.text("check_every", sink);
    let check_every = check_every.and_then(|found| values::duration(&found, &bounds, sink));
    let retry_first = section.text("retry_first", sink);
    let retry_first =
        retry_first.and_then(|found| values::duration(&found, &RETRY_FIRST_BOUNDS, sink));
    let why = "so many renewals run at the same time; 8 is plenty for one CA";
    let bounds = (1, MAX_PARALLEL_MAX, MAX_PARALLEL);
    let max_parallel = values::number(section, "max_parallel", bounds, why, sink);
    Renew {
        policy: policy(section, default, sink),
        check_every: check_every.unwrap_or(CHECK_EVERY),
        retry_first: retry_first.unwrap_or(RETRY_FIRST),
        max_parallel: u8::try_from(max_parallel).unwrap_or(1),
    }
}

/// `ari` and `at_life_left`, each of them else as in `default`.
pub(super) fn policy(
    section: &Section<'_, '_>,
    default: RenewPolicy,
    sink: &mut Sink,
) -> RenewPolicy {
    let at_life_left = section.text("at_life_left", sink);
    let at_life_left = at_life_left.and_then(|found| values::life_left(&found, sink));
    RenewPolicy {
        ari: section.flag("ari", sink).unwrap_or(default.ari),
        at_life_left: at_life_left.unwrap_or(default.at_life_left),
    }
}

pub(super) fn http(section: &Section<'_, '_>, listeners: &mut Listeners, sink: &mut Sink) -> Http {
    let ips: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    let default = ips.map(|ip| SocketAddr::new(ip, HTTP_PORT)).to_vec();
    let written = section.text_or_texts("listen", sink);
    if written.is_none() {
        for address in &default {
            let place = Place { field: section.field("listen"), span: None };
            listeners.note(Use::Challenges, *address, place);
        }
    }
    let listen = written.map(|list| sockets(&list, listeners, sink));
    Http {
        listen: listen.unwrap_or(default),
        force_ssl: section.flag("force_ssl", sink).unwrap_or(false),
        hsts: hsts(&section.section("hsts", "http.hsts", sink), sink),
    }
}

fn sockets(
    list: &At<Vec<At<&str>>>,
    listeners: &mut Listeners,
    sink: &mut Sink,
) -> Vec<SocketAddr> {
    if list.value.is_empty() {
        sink.push(&list.field, list.span.clone(), Fault::Empty);
    }
    if list.value.len() > LISTEN_MAX {
        let why = "\"0.0.0.0:80\" and \"[::]:80\" cover every address";
        let fault = Fault::TooMany { found: list.value.len(), max: LISTEN_MAX, why };
        sink.push(&list.field, list.span.clone(), fault);
        return Vec::new();
    }
    let mut sockets = Vec::new();
    for text in &list.value {
        match values::socket(text, sink) {
            Some(socket) if sockets.contains(&socket) => {
                let fault = Fault::AddressTwice { text: shown(text.value) };
                sink.push(&text.field, text.span.clone(), fault);
            }
            Some(socket) => {
                let place = Place { field: text.field.clone(), span: Some(text.span.clone()) };
                listeners.note(Use::Challenges, socket, place);
                sockets.push(socket);
            }
            None => {}
        }
    }
    sockets
}

fn hsts(section: &Section<'_, '_>, sink: &mut Sink) -> Option<Hsts> {
    let bounds = DurationBounds {
        least: Duration::from_secs(1),
        most: HSTS_MAX_AGE_MAX,
        why: "browsers remember it so long: begin with \"5m\"; two years are the most",
    };
    let max_age = section.text("max_age", sink);
    let max_age = max_age.and_then(|found| values::duration(&found, &bounds, sink));
    let hsts = Hsts {
        max_age: max_age.unwrap_or(HSTS_MAX_AGE),
        include_subdomains: section.flag("include_subdomains", sink).unwrap_or(false),
        preload: section.flag("preload", sink).unwrap_or(false),
    };
    let allowed = hsts.include_subdomains && hsts.max_age >= HSTS_PRELOAD_AGE_MIN;
    if hsts.preload && !allowed {
        sink.push(&section.field("preload"), section.span_of("preload"), Fault::HstsPreload);
    }
    section.flag("enabled", sink).unwrap_or(false).then_some(hsts)
}

pub(super) fn restart(section: &Section<'_, '_>, sink: &mut Sink) -> Restart {
    let when = [("never", RestartWhen::Never), ("listener-added", RestartWhen::ListenerAdded)];
    let method = [("exec", RestartMethod::Exec), ("exit", RestartMethod::Exit)];
    Restart {
        when: values::choice(section, "when", &when, RestartWhen::ListenerAdded, sink),
        method: values::choice(section, "method", &method, RestartMethod::Exec, sink),
    }
}

pub(super) fn admin(
    section: &Section<'_, '_>,
    listeners: &mut Listeners,
    sink: &mut Sink,
) -> Admin {
    let allow_remote = section.flag("allow_remote", sink).unwrap_or(false);
    let Some(found) = section.text("listen", sink) else {
        let listen = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), ADMIN_PORT);
        if !section.has("listen") {
            let place = Place { field: section.field("listen"), span: None };
            listeners.note(Use::Page, listen, place);
        }
        return Admin { listen: Some(listen) };
    };
    if found.value.is_empty() {
        return Admin { listen: None };
    }
    let listen = values::socket(&found, sink);
    if let Some(address) = listen {
        let place = Place { field: found.field.clone(), span: Some(found.span.clone()) };
        listeners.note(Use::Page, address, place);
    }
    if listen.is_some_and(|socket| !socket.ip().is_loopback()) && !allow_remote {
        let fault = Fault::AdminRemote { text: shown(found.value) };
        sink.push(&found.field, found.span, fault);
    }
    Admin { listen }
}

pub(super) fn vault(
    section: &Section<'_, '_>,
    state_dir: &Path,
    sink: &mut Sink,
) -> VaultKeySource {
    let keys = ["key_file", "key_credential", "key_env"];
    let written: Vec<&str> = keys.into_iter().filter(|key| section.has(key)).collect();
    if let [_, second, ..] = written.as_slice() {
        let fault = Fault::VaultKeys { keys: written.join(", ") };
        sink.push(&section.field(second), section.span_of(second), fault);
    }
    let file =
        values::path(section, "key_file", sink).map(|found| VaultKeySource::File(found.value));
    let credential = reference(section, "key_credential", sink).map(VaultKeySource::Credential);
    let env = reference(section, "key_env", sink).map(VaultKeySource::Env);
    file.or(credential)
        .or(env)
        .unwrap_or_else(|| VaultKeySource::File(state_dir.join(VAULT_KEY_FILE)))
}

/// The name of an environment variable or of a systemd credential. What is no name may be the key
/// itself, pasted: it is blanked out.
fn reference(section: &Section<'_, '_>, key: &str, sink: &mut Sink) -> Option<String> {
    let found = section.text(key, sink)?;
    let env = key == "key_env";
    let allowed = |c: char| match env {
        true => c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_',
        false => c.is_ascii_alphanumeric() || "._-".contains(c),
    };
    let length = (1..=REFERENCE_OCTETS_MAX).contains(&found.value.len());
    let digit_first = env && found.value.starts_with(|c: char| c.is_ascii_digit());
    if length && !digit_first && found.value.chars().all(allowed) {
        return Some(found.value.to_owned());
    }
    let (what, example) = if env {
        ("an environment variable", "key_env = \"RENEWD_VAULT_KEY\"")
    } else {
        ("a systemd credential", "key_credential = \"renewd.vault\"")
    };
    sink.blank(found.span.clone());
    sink.push(&found.field, found.span, Fault::SecretReference { what, example });
    None
}

pub(super) fn telemetry(section: &Section<'_, '_>, sink: &mut Sink) -> Telemetry {
    let endpoint = section.text("otlp_endpoint", sink).filter(|found| !found.value.is_empty());
    let otlp_endpoint = endpoint.and_then(|found| {
        let uri: Option<http::Uri> = found.value.parse().ok();
        let good = uri.is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some_and(|h| !h.is_empty())
        });
        if !good {
            let fault = Fault::OtlpEndpoint { text: shown(found.value) };
            sink.push(&found.field, found.span, fault);
        }
        good.then(|| found.value.to_owned())
    });
    let log = section.section("log", "telemetry.log", sink);
    let formats = [("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)];
    let levels =
        [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
    let levels = levels.map(|level| (level.as_str(), level));
    let log = Log {
        format: values::choice(&log, "format", &formats, LogFormat::Auto, sink),
        level: values::choice(&log, "level", &levels, LogLevel::Info, sink),
    };
    Telemetry { otlp_endpoint, log }
}
