//! `[[certificate.bind]]`: where a certificate is served.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use renewd_actors::bounds::EFFECT_TIME_MAX;

use super::error::shown;
use super::fault::Fault;
use super::model::{Addresses, Bind, BuiltinBind, FilesBind, Reload};
use super::overlap::{Listeners, Place, Use};
use super::raw::{At, Section};
use super::sink::Sink;
use super::values::{self, DurationBounds};

/// Places for one certificate; each is verified after every renewal, one after the other.
const BINDS_MAX: usize = 16;
/// Addresses of one listener: more is "all".
const ADDRESSES_MAX: usize = 64;
/// Program and arguments of a reload command: more is a script.
const ARGUMENTS_MAX: usize = 64;
/// How long a reload command may take when the file says nothing.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest: a reload is one effect, and an effect is cut after [`EFFECT_TIME_MAX`] and tried
/// again. A longer command would be started a second time while it still ran.
const RELOAD_TIMEOUT_MAX: Duration = Duration::from_secs(150);
/// To end the command, to keep its last words and to append what came of it.
const RELOAD_MARGIN: Duration = Duration::from_secs(30);
const _: () = assert!(
    RELOAD_TIMEOUT_MAX.as_secs() + RELOAD_MARGIN.as_secs() <= EFFECT_TIME_MAX.as_secs(),
    "a reload command ends before its effect is cut"
);
/// The port of HTTPS.
const HTTPS_PORT: i64 = 443;

const BUILTIN_KEYS: &[&str] = &["address", "port"];
const FILES_KEYS: &[&str] = &["directory", "reload", "reload_timeout", "verify"];

/// What binds may not share with each other, and listeners with the rest of the process.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Directories in use, and the line that uses each.
    directories: BTreeMap<PathBuf, usize>,
    /// Every address to listen on.
    pub(super) listeners: Listeners,
}

#[derive(Clone, Copy)]
enum Target {
    Builtin,
    Files,
}

pub(super) fn parse_all(
    certificate: &Section<'_, '_>,
    places: &mut Places,
    sink: &mut Sink,
) -> Vec<Bind> {
    let sections = certificate.sections("bind", "certificate.bind", sink);
    if sections.len() > BINDS_MAX {
        let why = "give the certificate fewer places, or let one program share the files";
        let fault = Fault::TooMany { found: sections.len(), max: BINDS_MAX, why };
        sink.push(&certificate.field("bind"), certificate.span_of("bind"), fault);
        return Vec::new();
    }
    sections.iter().filter_map(|section| parse(section, places, sink)).collect()
}

fn parse(section: &Section<'_, '_>, places: &mut Places, sink: &mut Sink) -> Option<Bind> {
    let targets = [("builtin", Target::Builtin), ("files", Target::Files)];
    match values::choice(section, "target", &targets, Target::Builtin, sink) {
        Target::Builtin => {
            let hint = "files, reload and verify are for target = \"files\"; is that meant?";
            refuse_keys(section, FILES_KEYS, "builtin", hint, sink);
            builtin(section, &mut places.listeners, sink).map(Bind::Builtin)
        }
        Target::Files => {
            let hint = "the program that reads the files has its own address; say where it answers with verify = \"127.0.0.1:443\"";
            refuse_keys(section, BUILTIN_KEYS, "files", hint, sink);
            files(section, places, sink).map(Bind::Files)
        }
    }
}

fn refuse_keys(
    section: &Section<'_, '_>,
    keys: &[&'static str],
    target: &'static str,
    hint: &'static str,
    sink: &mut Sink,
) {
    for key in keys.iter().filter(|key| section.has(key)) {
        let fault = Fault::BindKey { key, target, hint };
        sink.push(&section.field(key), section.span_of(key), fault);
    }
}

fn builtin(
    section: &Section<'_, '_>,
    listeners: &mut Listeners,
    sink: &mut Sink,
) -> Option<BuiltinBind> {
    let why = "ports go from 1 to 65535; HTTPS is 443";
    let bounds = (1, u16::MAX.into(), HTTPS_PORT);
    let port = values::number(section, "port", bounds, why, sink);
    let (addresses, port) = (addresses(section, sink)?, u16::try_from(port).ok()?);
    let key = if section.has("port") { "port" } else { "address" };
    let place = Place { field: section.field(key), span: Some(section.span_of(key)) };
    match &addresses {
        Addresses::All => listeners.note_all(Use::Https, port, place),
        Addresses::These(ips) => {
            for ip in ips {
                listeners.note(Use::Https, SocketAddr::new(*ip, port), place.clone());
            }
        }
    }
    Some(BuiltinBind { addresses, port })
}

fn addresses(section: &Section<'_, '_>, sink: &mut Sink) -> Option<Addresses> {
    let Some(list) = section.text_or_texts("address", sink) else {
        return (!section.has("address")).then_some(Addresses::All);
    };
    if let [only] = list.value.as_slice()
        && only.value == "all"
    {
        return Some(Addresses::All);
    }
    if list.value.is_empty() {
        sink.push(&list.field, list.span, Fault::Empty);
        return None;
    }
    if list.value.len() > ADDRESSES_MAX {
        let why = "write address = \"all\"";
        let fault = Fault::TooMany { found: list.value.len(), max: ADDRESSES_MAX, why };
        sink.push(&list.field, list.span, fault);
        return None;
    }
    let mut ips: Vec<IpAddr> = Vec::new();
    for text in &list.value {
        let fault = match text.value.parse() {
            Ok(ip) if !ips.contains(&ip) => {
                ips.push(ip);
                continue;
            }
            Ok(_) => Fault::AddressTwice { text: shown(text.value) },
            Err(_) => Fault::BindAddress { text: shown(text.value) },
        };
        sink.push(&text.field, text.span.clone(), fault);
    }
    Some(Addresses::These(ips))
}

fn files(section: &Section<'_, '_>, places: &mut Places, sink: &mut Sink) -> Option<FilesBind> {
    if !section.has("directory") {
        let example = "directory = \"/etc/ssl/renewd/web\"";
        let fault = Fault::MissingKey { key: "directory", example };
        sink.push(&section.field("directory"), section.span.clone(), fault);
    }
    let directory = values::path(section, "directory", sink);
    if let Some(found) = &directory {
        let line = sink.line(found.span.start);
        // Components, so that a trailing slash or `./` makes no difference.
        let path: PathBuf = found.value.components().collect();
        if let Some(first) = places.directories.insert(path, line) {
            sink.push(&found.field, found.span.clone(), Fault::DirectoryTwice { first });
        }
    }
    let reload = reload(section, sink);
    let verify = section.text("verify", sink).filter(|found| !found.value.is_empty());
    let verify = verify.and_then(|found| values::socket(&found, sink));
    Some(FilesBind { directory: directory?.value, reload, verify })
}

fn reload(section: &Section<'_, '_>, sink: &mut Sink) -> Option<Reload> {
    let why = "a reload command gets 1 second to 150 seconds, for a renewal waits for it; one that needs longer starts the work and ends";
    let bounds = DurationBounds { least: Duration::from_secs(1), most: RELOAD_TIMEOUT_MAX, why };
    let timeout = section.text("reload_timeout", sink);
    let timeout = timeout.and_then(|found| values::duration(&found, &bounds, sink));
    let At { value: argv, span, field } = section.texts("reload", sink)?;
    if argv.len() > ARGUMENTS_MAX {
        let why = "put the command into a script and name the script";
        sink.push(&field, span, Fault::TooMany { found: argv.len(), max: ARGUMENTS_MAX, why });
        return None;
    }
    let mut words = argv.iter().map(|word| word.value.to_owned());
    let Some(program) = words.next().filter(|program| !program.is_empty()) else {
        sink.push(&field, span, Fault::EmptyCommand);
        return None;
    };
    let arguments = words.collect();
    Some(Reload { program, arguments, timeout: timeout.unwrap_or(RELOAD_TIMEOUT) })
}
