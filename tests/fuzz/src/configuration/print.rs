//! A checked configuration as the file that says the same, every key written.

use std::fmt::Write;
use std::time::Duration;

use renewd::config::{
    Addresses, Bind, BuiltinBind, Certificate, Config, FilesBind, LifeLeft, LogFormat,
    RestartMethod, RestartWhen, VaultKeySource,
};

/// The file.
pub(super) fn toml(config: &Config) -> String {
    let mut out = format!("version = 1\nstate_dir = {}\n", path(&config.state_dir));
    let account = &config.account;
    line(&mut out, "[account]\nca", &text(&account.ca.url));
    if let Some(email) = &account.email {
        line(&mut out, "email", &text(email.as_str()));
    }
    line(&mut out, "terms_accepted", &account.terms_accepted.to_string());
    if let Some(root) = &account.ca_root {
        line(&mut out, "ca_root_file", &path(&root.file));
    }
    rest(&mut out, config);
    for one in &config.certificates {
        certificate(&mut out, one);
    }
    out
}

fn rest(out: &mut String, config: &Config) {
    let renew = &config.renew;
    line(out, "[renew]\nari", &renew.policy.ari.to_string());
    line(out, "at_life_left", &life_left(renew.policy.at_life_left));
    line(out, "check_every", &duration(renew.check_every));
    line(out, "retry_first", &duration(renew.retry_first));
    line(out, "max_parallel", &renew.max_parallel.to_string());
    line(out, "[http]\nlisten", &texts(config.http.listen.iter().map(ToString::to_string)));
    line(out, "force_ssl", &config.http.force_ssl.to_string());
    if let Some(hsts) = &config.http.hsts {
        line(out, "hsts.enabled", "true");
        line(out, "hsts.max_age", &duration(hsts.max_age));
        line(out, "hsts.include_subdomains", &hsts.include_subdomains.to_string());
        line(out, "hsts.preload", &hsts.preload.to_string());
    }
    let when = match config.restart.when {
        RestartWhen::Never => "never",
        RestartWhen::ListenerAdded => "listener-added",
    };
    let method = match config.restart.method {
        RestartMethod::Exec => "exec",
        RestartMethod::Exit => "exit",
    };
    line(out, "[restart]\nwhen", &text(when));
    line(out, "method", &text(method));
    let listen = config.admin.listen.map(|address| address.to_string()).unwrap_or_default();
    line(out, "[admin]\nlisten", &text(&listen));
    line(out, "allow_remote", "true");
    let (key, value) = match &config.vault {
        VaultKeySource::File(file) => ("key_file", path(file)),
        VaultKeySource::Credential(name) => ("key_credential", text(name)),
        VaultKeySource::Env(name) => ("key_env", text(name)),
    };
    line(out, &format!("[vault]\n{key}"), &value);
    let endpoint = config.telemetry.otlp_endpoint.as_deref().unwrap_or_default();
    line(out, "[telemetry]\notlp_endpoint", &text(endpoint));
    let format = match config.telemetry.log.format {
        LogFormat::Auto => "auto",
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    };
    line(out, "log.format", &text(format));
    line(out, "log.level", &text(config.telemetry.log.level.as_str()));
}

fn certificate(out: &mut String, one: &Certificate) {
    line(out, "[[certificate]]\nname", &text(one.name.as_str()));
    line(out, "domains", &texts(one.domains.iter().map(|domain| domain.name().to_string())));
    line(out, "profile", &text(one.profile.as_deref().unwrap_or_default()));
    line(out, "renew.ari", &one.renew.ari.to_string());
    line(out, "renew.at_life_left", &life_left(one.renew.at_life_left));
    for bind in &one.bindings {
        out.push_str("[[certificate.bind]]\n");
        match bind {
            Bind::Builtin(bind) => builtin(out, bind),
            Bind::Files(bind) => files(out, bind),
        }
    }
}

fn builtin(out: &mut String, bind: &BuiltinBind) {
    let addresses = match &bind.addresses {
        Addresses::All => text("all"),
        Addresses::These(ips) => texts(ips.iter().map(ToString::to_string)),
    };
    line(out, "address", &addresses);
    line(out, "port", &bind.port.to_string());
}

fn files(out: &mut String, bind: &FilesBind) {
    line(out, "target", &text("files"));
    line(out, "directory", &path(&bind.directory));
    if let Some(reload) = &bind.reload {
        let words = std::iter::once(&reload.program).chain(&reload.arguments).cloned();
        line(out, "reload", &texts(words));
        line(out, "reload_timeout", &duration(reload.timeout));
    }
    if let Some(address) = bind.verify {
        line(out, "verify", &text(&address.to_string()));
    }
}

fn line(out: &mut String, key: &str, value: &str) {
    writeln!(out, "{key} = {value}").unwrap();
}

/// TOML's basic text is JSON's, but for DEL.
fn text(text: &str) -> String {
    serde_json::to_string(text).unwrap().replace('\u{7f}', "\\u007f")
}

fn texts(all: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = all.map(|one| text(&one)).collect();
    format!("[{}]", all.join(", "))
}

fn path(path: &std::path::Path) -> String {
    text(path.to_str().unwrap())
}

fn duration(duration: Duration) -> String {
    format!("\"{}s {}ns\"", duration.as_secs(), duration.subsec_nanos())
}

fn life_left(left: LifeLeft) -> String {
    match left {
        LifeLeft::Share { numerator, denominator } => format!("\"{numerator}/{denominator}\""),
        LifeLeft::Fixed(left) => duration(left),
    }
}
