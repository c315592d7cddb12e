//! Answers from flags, and questions for what the flags leave open.

use std::io::{self, BufRead, IsTerminal, Read, Write};

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
    let mut asker = Asker { dialog, interactive };
    let ca = asker.ca(flags)?;
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
    })
}

impl Asker<'_> {
    fn ca(&mut self, flags: &Flags) -> Result<String, InitError> {
        let parse = |text: &str| parse_ca(text).map(|_| text.to_owned());
        let flag = "--ca letsencrypt-staging (for the first try) or --ca letsencrypt";
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
        let flag = "--domain example.org";
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
        let flag = "--accept-terms (or --accept-terms=false, to decide later)";
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
            let unanswered = InitError::Unanswered { question: subject(flag), flag };
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
        Err(InitError::Unanswered { question: subject(flag), flag })
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
fn subject(flag: &'static str) -> &'static str {
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
