//! The text of a new configuration: every line that matters, with a comment why.

use std::fmt::Write;

use crate::config::Addresses;

use super::Answers;

/// A commented file that [`crate::config::Config::load`] reads back to the same answers.
pub fn render(answers: &Answers) -> String {
    let mut out = String::new();
    // Writing into a String cannot fail; the result is passed on to satisfy the type only.
    match head(&mut out, answers).and_then(|()| tail(&mut out, answers)) {
        Ok(()) | Err(std::fmt::Error) => out,
    }
}

fn head(out: &mut String, answers: &Answers) -> std::fmt::Result {
    let state_dir = quoted(&answers.state_dir.display().to_string());
    writeln!(out, "# Configuration of renewd. Check it with: renewd config check FILE")?;
    writeln!(out, "version = 1")?;
    writeln!(out, "state_dir = {state_dir}    # log and keys; belongs to renewd alone\n")?;
    writeln!(out, "[account]")?;
    writeln!(
        out,
        "# A short name (letsencrypt, letsencrypt-staging) or the https address of an ACME"
    )?;
    writeln!(
        out,
        "# directory; a private CA also needs ca_root_file. Staging is for the first try:"
    )?;
    writeln!(out, "# its limits are generous, and browsers refuse its certificates.")?;
    writeln!(out, "ca = {}", quoted(&answers.ca))?;
    if let Some(root) = &answers.ca_root {
        let root = quoted(&root.display().to_string());
        writeln!(out, "ca_root_file = {root}    # what the CA's own servers are trusted by")?;
    }
    match &answers.email {
        Some(email) => writeln!(out, "email = {}    # optional", quoted(email.as_str()))?,
        None => writeln!(out, "# email = \"ops@example.org\"    # optional")?,
    }
    writeln!(out, "# Whether you accept the CA's terms. Nothing is ordered before.")?;
    writeln!(out, "terms_accepted = {}\n", answers.terms_accepted)
}

fn tail(out: &mut String, answers: &Answers) -> std::fmt::Result {
    let names: Vec<String> = answers.domains.iter().map(|d| quoted(d.unicode())).collect();
    writeln!(out, "[[certificate]]")?;
    writeln!(out, "# name = \"web\"    # its identity in the log; the first domain unless given")?;
    writeln!(out, "domains = [{}]\n", names.join(", "))?;
    writeln!(out, "[[certificate.bind]]")?;
    writeln!(out, "target = \"builtin\"    # or \"files\", for another web server")?;
    match &answers.addresses {
        Addresses::All => writeln!(out, "address = \"all\"    # or one IP address, or a list")?,
        Addresses::These(ips) => {
            let ips: Vec<String> = ips.iter().map(|ip| quoted(&ip.to_string())).collect();
            writeln!(out, "address = [{}]    # or \"all\"", ips.join(", "))?;
        }
    }
    writeln!(out, "port = {}", answers.port)?;
    out.write_str(REST)
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// Defaults, shown so that nobody has to look them up.
const REST: &str = r#"
# For another web server, instead of the above:
# [[certificate.bind]]
# target = "files"
# directory = "/etc/ssl/renewd/web"
# reload = ["systemctl", "reload", "nginx"]
# verify = "127.0.0.1:443"    # the handshake is checked there afterwards

[renew]
ari = true               # ask the CA when to renew (RFC 9773); its answer wins
at_life_left = "1/3"     # else when a third of the lifetime is left; "21d" = under 21 days
check_every = "24h"      # and look at least this often
retry_first = "1m"       # after a failure; later waits are longer, up to a day
max_parallel = 8

[http]
listen = ["0.0.0.0:80", "[::]:80"]    # the CA asks here (http-01)
force_ssl = false        # redirect everything else to HTTPS; only once HTTPS is seen to work
hsts = { enabled = false, max_age = "5m", include_subdomains = false, preload = false }

[restart]
when = "listener-added"  # or "never"
method = "exec"          # or "exit", where a supervisor starts renewd again

[admin]
listen = "127.0.0.1:9180"    # status page; "" turns it off

# The vault's key is <state_dir>/vault.key: beside what it seals, so that a copy of the folder holds
# both. Better, one of:
# [vault]
# key_file = "/etc/renewd/vault.key"
# key_credential = "renewd.vault"    # systemd LoadCredential=
# key_env = "RENEWD_VAULT_KEY"

[telemetry]
otlp_endpoint = ""       # traces, for example "http://127.0.0.1:4318"
log = { format = "auto", level = "info" }
"#;
