//! What can be wrong with a configuration: one variant per cause, with its code and its cure.
//!
//! A variant holds the evidence; where it was found is added by [`super::ConfigError`]. Text of the
//! file comes in through [`super::error::shown`], so that no control character reaches a terminal.

use std::time::Duration;

use miette::Diagnostic;
use thiserror::Error;

/// One mistake, without its place.
#[derive(Clone, Debug, PartialEq, Eq, Error, Diagnostic)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the sentence above each variant is its documentation")]
pub enum Fault {
    // The file
    #[error("there is no configuration file `{file}`")]
    #[diagnostic(
        code(R0101),
        help(
            "write one with `renewd init`, or name another: `--config FILE`\nwithout `--config` these are tried: ./renewd.toml, $XDG_CONFIG_HOME/renewd/renewd.toml, /etc/renewd/renewd.toml"
        )
    )]
    FileMissing { file: String },
    #[error("this is not TOML: {reason}")]
    #[diagnostic(
        code(R0102),
        help(
            "texts stand in double quotes, lists in square brackets; `renewd init` prints a commented example"
        )
    )]
    Syntax { reason: String },
    #[error("the configuration file `{file}` cannot be read: {reason}")]
    #[diagnostic(
        code(R0112),
        help("it must be a plain file that the user of renewd may read: `ls -l {file}`")
    )]
    FileUnreadable { file: String, reason: String },
    #[error("the file is not UTF-8: byte {offset} cannot be read as text")]
    #[diagnostic(
        code(R0108),
        help("save it as UTF-8, or convert it: `iconv -f ISO-8859-1 -t UTF-8`")
    )]
    NotUtf8 { offset: usize },
    #[error("the file has {octets} bytes; at most {max} are read")]
    #[diagnostic(
        code(R0109),
        help("is this really a configuration of renewd? A certificate takes about 100 bytes")
    )]
    TooLarge { octets: u64, max: u64 },
    #[error("the file can be written by others (mode {mode:04o})")]
    #[diagnostic(
        code(R0110),
        help("who can write it can run commands as renewd: `chmod go-w {file}`")
    )]
    WritableByOthers { file: String, mode: u32 },
    #[error("the file belongs to user {owner}, not to root or to the user of renewd ({us})")]
    #[diagnostic(code(R0113), help("who owns it can run commands as renewd: `chown root {file}`"))]
    ForeignOwner { file: String, owner: u32, us: u32 },

    // Keys and types
    #[error("the key is not known here")]
    #[diagnostic(code(R0104), help("{hint}"))]
    UnknownKey { hint: String },
    #[error("{wanted} is needed here, not {found}")]
    #[diagnostic(code(R0105), help("for example: {example}"))]
    WrongType { wanted: &'static str, found: &'static str, example: String },
    #[error("`{key}` is missing")]
    #[diagnostic(code(R0106), help("add the line: {example}"))]
    MissingKey { key: &'static str, example: &'static str },
    #[error("a secret does not belong into this file")]
    #[diagnostic(
        code(R0107),
        help(
            "{instead}
the value is not shown; if this file was ever shared, make a new secret"
        )
    )]
    InlineSecret { instead: &'static str },
    #[error("this renewd reads version {known} of the format, the file says {found}")]
    #[diagnostic(
        code(R0111),
        help("write: version = {known}; or use the renewd that the file was made for")
    )]
    Version { found: String, known: u32 },

    // Names
    #[error("`{text}` is an address of a web page; a DNS name is needed")]
    #[diagnostic(code(R0103), help("leave out scheme, port and path"))]
    NameIsUrl { text: String, fixed: String },
    #[error("`{text}` has a port or a path; a DNS name has neither")]
    #[diagnostic(
        code(R0120),
        help(
            "a certificate holds for every port of the name; the port to serve on belongs into `bind`"
        )
    )]
    NameWithPortOrPath { text: String, fixed: String },
    #[error("`{text}` ends in a dot")]
    #[diagnostic(code(R0121), help("certificates hold names without the root dot"))]
    NameTrailingDot { text: String, fixed: String },
    #[error("{found} is not allowed in the DNS name `{text}`")]
    #[diagnostic(
        code(R0122),
        help("allowed are letters, digits, hyphens and dots; each name in quotes of its own")
    )]
    NameCharacter { text: String, found: String, fixed: String },
    #[error("`{text}` is an IP address")]
    #[diagnostic(
        code(R0123),
        help(
            "this version orders certificates for DNS names only: write the name that points at this address"
        )
    )]
    NameIsIp { text: String },
    #[error("`{text}` is a wildcard, and http-01 cannot prove one (RFC 8555 §8.3)")]
    #[diagnostic(
        code(R0124),
        help(
            "list the names one by one, for example {example}\nwildcards need the challenge dns-01, which is not built yet"
        )
    )]
    NameWildcard { text: String, example: String },
    #[error("`{text}` is a name of private networks; {ca} cannot issue for it")]
    #[diagnostic(
        code(R0125),
        help(
            "use a public name, or a private CA: `account.ca` = its https:// directory and `account.ca_root_file`"
        )
    )]
    NamePrivate { text: String, ca: String },
    #[error("`{text}` has only one label; a certificate needs a full name")]
    #[diagnostic(
        code(R0129),
        help("write the name with its domain, for example \"{text}.example.org\"")
    )]
    NameOneLabel { text: String },
    #[error("the name `{text}` has {octets} octets; DNS allows {max} (RFC 1035 §2.3.4)")]
    #[diagnostic(
        code(R0126),
        help("use a shorter name; an international name is counted in its xn-- form")
    )]
    NameTooLong { text: String, octets: usize, max: usize },
    #[error("{part} of the name `{text}` is not a DNS label")]
    #[diagnostic(
        code(R0127),
        help(
            "between two dots stand 1 to 63 letters, digits and hyphens, and neither the first nor the last is a hyphen"
        )
    )]
    NameLabel { text: String, part: String },
    #[error("`{text}` cannot be written as an international DNS name (IDNA, UTS 46)")]
    #[diagnostic(
        code(R0128),
        help("check the spelling; a name from the registry in its xn-- form is accepted too")
    )]
    NameIdn { text: String },
    #[error("`{text}` stands twice in the list")]
    #[diagnostic(code(R0130), help("remove one; upper and lower case are the same name"))]
    NameTwice { text: String },

    // Certificates
    #[error("the certificate has no domains")]
    #[diagnostic(code(R0132), help("name at least one: domains = [\"example.org\"]"))]
    NoDomains,
    #[error("{found} names in one certificate; at most {max} are possible")]
    #[diagnostic(code(R0131), help("make several certificates of it"))]
    TooManyDomains { found: usize, max: usize },
    #[error("`{text}` cannot be the name of a certificate: {reason}")]
    #[diagnostic(
        code(R0133),
        help("use 1 to 64 of a-z, 0-9, `.`, `-`, `_`; for example: name = \"web\"")
    )]
    CertificateName { text: String, reason: String },
    #[error("two certificates are named `{text}`; the first is on line {first}")]
    #[diagnostic(
        code(R0134),
        help("the name is the certificate's identity in the log: give each its own")
    )]
    CertificateTwice { text: String, first: usize },
    #[error("certificate `{first}` (line {line}) already holds exactly these names")]
    #[diagnostic(
        code(R0135),
        help(
            "remove one; to serve it in two places give it two [[certificate.bind]]. CAs limit certificates for the same set of names"
        )
    )]
    SameNames { first: String, line: usize },

    // Account
    #[error("`{text}` is not an e-mail address: {reason}")]
    #[diagnostic(
        code(R0140),
        help("write one address like \"ops@example.org\", or leave the line out: it is optional")
    )]
    Email { text: String, reason: &'static str },
    #[error("`{text}` is not the short name of a known CA")]
    #[diagnostic(code(R0141), help("{hint}"))]
    UnknownCa { text: String, hint: String },
    #[error("`{text}` cannot be used as an ACME directory: {reason}")]
    #[diagnostic(
        code(R0142),
        help(
            "a directory is an address like https://acme.example.org/directory; for a private CA add `ca_root_file`"
        )
    )]
    CaUrl { text: String, reason: &'static str },
    #[error("{ca} wants an external account key (EAB, RFC 8555 §7.3.4), which is not built yet")]
    #[diagnostic(code(R0143), help("use a CA without it: ca = \"letsencrypt\""))]
    CaNeedsEab { ca: &'static str },
    #[error("the root certificates in `{file}` cannot be used: {reason}")]
    #[diagnostic(
        code(R0144),
        help(
            "it must be a PEM file with -----BEGIN CERTIFICATE----- of the private CA; see: openssl x509 -in {file} -noout -subject"
        )
    )]
    CaRoot { file: String, reason: String },

    // Values
    #[error("`{text}` is not a length of time")]
    #[diagnostic(
        code(R0150),
        help("write a number with its unit: \"90s\", \"5m\", \"24h\", \"21d\"")
    )]
    Duration { text: String },
    #[error("{} is outside what is possible: {} to {}", human(*.found), human(*.least), human(*.most))]
    #[diagnostic(code(R0151), help("{why}"))]
    DurationRange { found: Duration, least: Duration, most: Duration, why: &'static str },
    #[error("`{text}` is neither a share of the lifetime nor a length of time")]
    #[diagnostic(
        code(R0152),
        help(
            "write \"1/3\" (renew when a third of the lifetime is left) or \"21d\" (when under 21 days are left)"
        )
    )]
    LifeLeft { text: String },
    #[error("`{text}` is none of the choices")]
    #[diagnostic(code(R0153), help("{hint}"))]
    Choice { text: String, hint: String },
    #[error("{found} is outside {least} to {most}")]
    #[diagnostic(code(R0154), help("{why}"))]
    NumberRange { found: String, least: i64, most: i64, why: &'static str },
    #[error("`{text}` is not an address with a port")]
    #[diagnostic(
        code(R0155),
        help(
            "write an IP address and a port of 1 to 65535: \"0.0.0.0:80\" for all IPv4, \"[::]:80\" for all IPv6"
        )
    )]
    ListenAddress { text: String },
    #[error("`{text}` stands twice in the list")]
    #[diagnostic(code(R0156), help("a socket can be opened once: remove one"))]
    AddressTwice { text: String },
    #[error("`{text}` would open the status page to the network")]
    #[diagnostic(
        code(R0157),
        help(
            "use \"127.0.0.1:9180\" and a tunnel, or, knowing that the page asks for no password: allow_remote = true"
        )
    )]
    AdminRemote { text: String },
    #[error("the vault has more than one key: {keys}")]
    #[diagnostic(code(R0158), help("keep the one that sealed the vault and remove the others"))]
    VaultKeys { keys: String },
    #[error("preload needs a max_age of at least a year and include_subdomains")]
    #[diagnostic(
        code(R0159),
        help(
            "browsers keep a preloaded name for years (hstspreload.org): leave preload = false until HTTPS has run well, then max_age = \"365d\""
        )
    )]
    HstsPreload,
    #[error("`{key}` does not belong to target = \"{target}\"")]
    #[diagnostic(code(R0160), help("{hint}"))]
    BindKey { key: &'static str, target: &'static str, hint: &'static str },
    #[error("the directory is already used by the bind on line {first}")]
    #[diagnostic(
        code(R0161),
        help("two certificates would overwrite each other: give each its own directory")
    )]
    DirectoryTwice { first: usize },
    #[error("the command is empty")]
    #[diagnostic(
        code(R0162),
        help(
            "write program and arguments one by one: reload = [\"systemctl\", \"reload\", \"nginx\"]"
        )
    )]
    EmptyCommand,
    #[error("`{text}` is not an http:// or https:// address")]
    #[diagnostic(
        code(R0163),
        help("for example: otlp_endpoint = \"http://127.0.0.1:4318\"; \"\" turns it off")
    )]
    OtlpEndpoint { text: String },
    #[error("this is not the name of {what}")]
    #[diagnostic(
        code(R0164),
        help(
            "the value is not shown, it could be a secret. Write the name, not the key: {example}"
        )
    )]
    SecretReference { what: &'static str, example: &'static str },
    #[error("{found} entries; at most {max} are possible")]
    #[diagnostic(code(R0165), help("{why}"))]
    TooMany { found: usize, max: usize, why: &'static str },
    #[error("{octets} octets; at most {max} are possible")]
    #[diagnostic(code(R0165), help("{why}"))]
    TooLong { octets: usize, max: usize, why: &'static str },
    #[error("nothing is written here")]
    #[diagnostic(code(R0166), help("write a value, or leave the line out"))]
    Empty,
    #[error("`{text}` is not an IP address")]
    #[diagnostic(
        code(R0167),
        help(
            "write \"all\", one address as \"203.0.113.7\", or a list: [\"203.0.113.7\", \"2001:db8::7\"]"
        )
    )]
    BindAddress { text: String },
    #[error("`{text}` cannot be opened beside {other} = \"{held}\"{at}")]
    #[diagnostic(
        code(R0168),
        help(
            "the system gives an address and port to one listener, and 0.0.0.0, [::] and \"all\" cover every address: give one of them another port\nchallenges come to port 80, HTTPS is 443, the status page is on 127.0.0.1:9180"
        )
    )]
    AddressTaken { text: String, other: &'static str, held: String, at: String },
    #[error("the terms of {ca} are not accepted: nothing will be ordered")]
    #[diagnostic(
        code(R0169),
        severity(warning),
        help(
            "a person reads them and writes terms_accepted = true under [account], or runs `renewd accept-terms` once the engine runs"
        )
    )]
    TermsNotAccepted { ca: String, written: bool },
}

impl Fault {
    /// The code, `R0101` and so on; `renewd explain` has a page for each.
    pub fn code(&self) -> String {
        Diagnostic::code(self).map(|code| code.to_string()).unwrap_or_default()
    }

    /// What would be right in its place, where that can be told, as TOML.
    pub(crate) fn fixed(&self) -> Option<String> {
        if let Self::NameIsUrl { fixed, .. }
        | Self::NameWithPortOrPath { fixed, .. }
        | Self::NameTrailingDot { fixed, .. }
        | Self::NameCharacter { fixed, .. } = self
        {
            return (!fixed.is_empty()).then(|| fixed.clone());
        }
        if let Self::TermsNotAccepted { written: true, .. } = self {
            return Some("true".to_owned());
        }
        None
    }
}

/// In the largest unit that divides it, as people write it: "398d", not "1year 1month".
fn human(duration: Duration) -> String {
    const UNITS: [(u64, &str); 3] = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let seconds = duration.as_secs();
    let unit = UNITS.iter().find(|(size, _)| seconds > 0 && seconds.is_multiple_of(*size));
    match unit {
        Some((size, unit)) if duration.subsec_nanos() == 0 => format!("{}{unit}", seconds / size),
        Some(_) | None => humantime::format_duration(duration).to_string(),
    }
}
