//! Answers from flags, and questions for what the flags leave open.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use miette::Diagnostic;

use crate::config::{
    Addresses, Domain, Email, Fault, KNOWN_CAS, parse_ca, parse_domain, parse_email, shown,
};

use super::{Answers, Flags, InitError, parse_address};

/// An answer is asked for so often; then `init` gives up instead of looping for ever.
const TRIES_MAX: usize = 5;
/// A typed answer is cut here: a hundred long names fit, an endless stream does not.
const ANSWER_OCTETS_MAX: u64 = 32 * 1024;
/// The port of HTTPS.
const HTTPS_PORT: u16 = 443;

/// Whom `init` talks to.
pub trait Dialog {
    /// Whether a person is there.
    fn is_interactive(&self) -> bool;
    /// Shows a question and reads one line; `None` when nothing more can come.
    ///
    /// # Errors
    /// What reading or writing the terminal gives.
    fn ask(&mut self, question: &str) -> io::Result<Option<String>>;
    /// Tells something.
    ///
    /// # Errors
    /// What writing the terminal gives.
    fn say(&mut self, line: &str) -> io::Result<()>;
}

/// stdin and stderr; stdout stays free for data.
#[derive(Debug, Default)]
pub struct Terminal;

impl Dialog for Terminal {
    fn is_interactive(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    fn ask(&mut self, question: &str) -> io::Result<Option<String>> {
        write!(io::stderr(), "{question} ")?;
        io::stderr().flush()?;
        let mut line = String::new();
        let read = io::stdin().lock().take(ANSWER_OCTETS_MAX).read_line(&mut line)?;
        Ok((read > 0).then(|| line.trim().to_owned()))
    }

    fn say(&mut self, line: &str) -> io::Result<()> {
        writeln!(io::stderr(), "{line}")
    }
}

/// One question, its flag, and how an answer is understood.
struct Question<'q, T> {
    text: String,
    flag: &'static str,
    /// What an empty line means.
    default: Option<&'q str>,
    parse: &'q dyn Fn(&str) -> Result<T, Fault>,
}

struct Asker<'a> {
    dialog: &'a mut dyn Dialog,
    interactive: bool,
}

pub(super) fn ask(flags: &Flags, dialog: &mut dyn Dialog) -> Result<Answers, InitError> {
    let interactive = dialog.is_interactive() && !flags.non_interactive;
    let missing = if interactive { Vec::new() } else { unanswered(flags) };
    if !missing.is_empty() {
        return Err(InitError::Unanswered { flags: missing });
    }
    let mut asker = Asker { dialog, interactive };
    let ca = asker.ca(flags)?;
    let ca_root = asker.ca_root(flags, &ca)?;
    let domains = asker.domains(flags, &ca)?;
    let terms_accepted = asker.terms(flags, &ca)?;
    Ok(Answers {
        terms_accepted,
        email: asker.email(flags)?,
        addresses: asker.addresses(flags)?,
        port: asker.port(flags)?,
        state_dir: flags.state_dir.clone(),
        domains,
        ca,
        ca_root,
    })
}

const CA_FLAG: &str = "--ca letsencrypt-staging (for the first try) or --ca letsencrypt";
const DOMAIN_FLAG: &str = "--domain example.org";
const TERMS_FLAG: &str = "--accept-terms (or --accept-terms=false, to decide later)";
const ROOT_FLAG: &str = "--ca-root FILE (or --ca-root system)";
/// Where the system's roots are trusted.
const SYSTEM: &str = "system";

/// A CA without a short name, whose servers no list of roots is known to hold.
fn is_private(ca: &str) -> bool {
    parse_ca(ca).is_ok_and(|ca| ca.known.is_none())
}

/// The flags that are needed where nobody can be asked, all at once.
fn unanswered(flags: &Flags) -> Vec<&'static str> {
    let private = flags.ca.as_deref().is_some_and(is_private);
    [
        (CA_FLAG, flags.ca.is_none()),
        (ROOT_FLAG, private && flags.ca_root.is_none()),
        (DOMAIN_FLAG, flags.domains.is_empty()),
        (TERMS_FLAG, flags.accept_terms.is_none()),
    ]
    .into_iter()
    .filter_map(|(flag, missing)| missing.then_some(flag))
    .collect()
}

/// An absolute path of the file, which can be read; nothing for the system's roots.
fn root(path: &Path) -> Result<Option<PathBuf>, InitError> {
    if path.as_os_str() == SYSTEM {
        return Ok(None);
    }
    let refuse = |cause: io::Error| InitError::Root {
        reason: format!("`{}` cannot be read: {cause}", path.display()),
    };
    std::fs::File::open(path).map_err(refuse)?;
    path.canonicalize().map(Some).map_err(refuse)
}

impl Asker<'_> {
    fn ca_root(&mut self, flags: &Flags, ca: &str) -> Result<Option<PathBuf>, InitError> {
        if let Some(path) = &flags.ca_root {
            return root(path);
        }
        if !is_private(ca) {
            return Ok(None);
        }
        let text = "PEM file with the root of the CA's servers, or \"system\" where this host trusts them:";
        let parse = |text: &str| {
            root(Path::new(text))
                .map_err(|cause| Fault::CaRoot { file: shown(text), reason: cause.to_string() })
        };
        let text = text.to_owned();
        self.put(&Question { text, flag: ROOT_FLAG, default: Some(SYSTEM), parse: &parse })
    }

    fn ca(&mut self, flags: &Flags) -> Result<String, InitError> {
        let parse = |text: &str| parse_ca(text).map(|_| text.to_owned());
        let flag = CA_FLAG;
        if let Some(text) = &flags.ca {
            return parse(text).map_err(|fault| refused("--ca", &fault));
        }
        let question = Question {
            text: "Use the test CA of Let's Encrypt for the first try? [Y/n]".to_owned(),
            flag,
            default: Some("y"),
            parse: &|text| {
                let staging = yes_or_no(text)?;
                parse(if staging { "letsencrypt-staging" } else { "letsencrypt" })
            },
        };
        self.put(&question)
    }

    fn domains(&mut self, flags: &Flags, ca: &str) -> Result<Vec<Domain>, InitError> {
        let known = parse_ca(ca).ok().and_then(|ca| ca.known);
        let public = known.map(|known| known.title);
        let flag = DOMAIN_FLAG;
        if !flags.domains.is_empty() {
            let mut domains = Vec::new();
            for text in &flags.domains {
                let (domain, note) = lenient(text, public).map_err(|f| refused("--domain", &f))?;
                self.note(note);
                push_new(&mut domains, domain);
            }
            return Ok(domains);
        }
        let parse = |text: &str| -> Result<Vec<(Domain, Option<String>)>, Fault> {
            let words = text.split([',', ' ']).filter(|word| !word.is_empty());
            let found: Vec<_> =
                words.map(|word| lenient(word, public)).collect::<Result<_, _>>()?;
            if found.is_empty() { Err(Fault::NoDomains) } else { Ok(found) }
        };
        let text = "DNS name(s) of the certificate, with spaces between:".to_owned();
        let found = self.put(&Question { text, flag, default: None, parse: &parse })?;
        let mut domains = Vec::new();
        for (domain, note) in found {
            self.note(note);
            push_new(&mut domains, domain);
        }
        Ok(domains)
    }

    fn terms(&mut self, flags: &Flags, ca: &str) -> Result<bool, InitError> {
        if let Some(accepted) = flags.accept_terms {
            return Ok(accepted);
        }
        let known = parse_ca(ca).ok().and_then(|ca| ca.known);
        let known = known.or_else(|| KNOWN_CAS.iter().find(|known| known.short == ca));
        let whose = match known {
            Some(known) => format!("{} ({})", known.title, known.terms),
            None => shown(ca),
        };
        let flag = TERMS_FLAG;
        let text = format!("Do you accept the terms of {whose}? [y/N]");
        self.put(&Question { text, flag, default: Some("n"), parse: &yes_or_no })
    }

    fn email(&mut self, flags: &Flags) -> Result<Option<Email>, InitError> {
        let parse = |text: &str| match text {
            "" => Ok(None),
            text => parse_email(text).map(Some),
        };
        if let Some(text) = &flags.email {
            return parse(text).map_err(|fault| refused("--email", &fault));
        }
        let text = "E-mail for the CA (optional, empty for none):".to_owned();
        self.optional(&Question { text, flag: "--email", default: Some(""), parse: &parse }, None)
    }

    fn addresses(&mut self, flags: &Flags) -> Result<Addresses, InitError> {
        let parse = |text: &str| {
            parse_address(text).ok_or_else(|| Fault::BindAddress { text: shown(text) })
        };
        if let Some(text) = &flags.address {
            return parse(text).map_err(|fault| refused("--address", &fault));
        }
        let text = "Serve on all addresses, or on one IP? [all]".to_owned();
        let question = Question { text, flag: "--address", default: Some("all"), parse: &parse };
        self.optional(&question, Addresses::All)
    }

    fn port(&mut self, flags: &Flags) -> Result<u16, InitError> {
        let parse = |text: &str| match text.parse::<u16>() {
            Ok(port) if port != 0 => Ok(port),
            Ok(_) | Err(_) => Err(Fault::NumberRange {
                found: shown(text),
                least: 1,
                most: u16::MAX.into(),
                why: "HTTPS is 443",
            }),
        };
        if let Some(port) = flags.port {
            return parse(&port.to_string()).map_err(|fault| refused("--port", &fault));
        }
        let text = "Port? [443]".to_owned();
        let question = Question { text, flag: "--port", default: Some("443"), parse: &parse };
        self.optional(&question, HTTPS_PORT)
    }

    /// A question with a safe default: without a terminal it is not asked.
    fn optional<T>(&mut self, question: &Question<'_, T>, default: T) -> Result<T, InitError> {
        if self.interactive { self.put(question) } else { Ok(default) }
    }

    fn put<T>(&mut self, question: &Question<'_, T>) -> Result<T, InitError> {
        let Question { text, flag, default, parse } = question;
        for _ in 0..TRIES_MAX {
            let unanswered = InitError::Unanswered { flags: vec![flag] };
            if !self.interactive {
                return Err(unanswered);
            }
            let Ok(Some(answer)) = self.dialog.ask(text) else {
                return Err(unanswered);
            };
            let answer = if answer.is_empty() { default.unwrap_or_default() } else { &answer };
            match parse(answer) {
                Ok(value) => return Ok(value),
                Err(fault) => {
                    let help = Diagnostic::help(&fault).map(|h| h.to_string()).unwrap_or_default();
                    self.note(Some(format!("{fault}; {help}")));
                }
            }
        }
        Err(InitError::Unanswered { flags: vec![flag] })
    }

    /// A terminal that cannot be written shows up at the next question.
    fn note(&mut self, note: Option<String>) {
        if let Some(note) = note
            && self.dialog.say(&format!("  {note}")).is_err()
        {
            self.interactive = false;
        }
    }
}

/// `--domain example.org` asks for the `domain`.
pub(super) fn subject(flag: &'static str) -> &'static str {
    flag.split([' ', '=']).next().unwrap_or_default().trim_start_matches('-')
}

fn refused(flag: &'static str, fault: &Fault) -> InitError {
    let help = Diagnostic::help(fault).map(|help| help.to_string()).unwrap_or_default();
    InitError::Answer { flag, reason: fault.to_string(), code: fault.code(), help }
}

/// A name, or what is left of a pasted web address, with a note about it.
fn lenient(text: &str, public: Option<&str>) -> Result<(Domain, Option<String>), Fault> {
    let fault = match parse_domain(text, public) {
        Ok(domain) => return Ok((domain, None)),
        Err(fault) => fault,
    };
    let fixed = fault.fixed().filter(|_| !matches!(fault, Fault::NameCharacter { .. }));
    let Some(fixed) = fixed else {
        return Err(fault);
    };
    let domain = parse_domain(fixed.trim_matches('"'), public)?;
    let note = format!("`{}` is taken as {domain}", shown(text));
    Ok((domain, Some(note)))
}

fn push_new(domains: &mut Vec<Domain>, domain: Domain) {
    if !domains.contains(&domain) {
        domains.push(domain);
    }
}

fn yes_or_no(text: &str) -> Result<bool, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(true),
        "n" | "no" => Ok(false),
        _ => Err(Fault::Choice { text: shown(text), hint: "answer y or n".to_owned() }),
    }
}
