//! `renewd accept-terms`: a person accepts the terms that the CA shows now, through the running engine.

use std::path::Path;

use clap::Args;
use http::{Method, StatusCode};
use renewd_replay::escape;
use serde_json::Value;

use super::exit::{Exit, Reply};
use super::renew::unreachable;
use crate::admin::client::{Answer, ask};
use crate::admin::{ACCEPT_TERMS, SOCKET, TERMS_SCHEMA};
use crate::config::{Config, Style};

/// The longest URL that is shown whole.
const URL_SHOWN_MAX: usize = 200;

/// What `accept-terms` takes.
#[derive(Debug, Args)]
pub(super) struct Flags {
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Asks, and shows what was accepted.
pub(super) fn run(flags: &Flags, config: Option<&Path>, style: Style) -> Reply {
    let config = match Config::load(&Config::locate(config)) {
        Ok(config) => config,
        Err(errors) => return Reply::failed(Exit::Config, errors.render(style)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(cause) => return Reply::failed(Exit::Failed, format!("error: {cause}\n")),
    };
    let socket = config.state_dir.join(SOCKET);
    match runtime.block_on(ask(&socket, Method::POST, ACCEPT_TERMS)) {
        Ok(answer) => told(flags, &answer),
        Err(error) => unreachable(&error),
    }
}

fn told(flags: &Flags, answer: &Answer) -> Reply {
    if answer.status != StatusCode::OK {
        let (status, detail) = (answer.status, escape::text(&answer.detail()));
        return Reply::failed(Exit::Failed, format!("error: {status}: {detail}\n"));
    }
    let data = answer.json().get("data").cloned().unwrap_or_default();
    if flags.json {
        return Reply::done(format!("{}\n", super::exit::json(TERMS_SCHEMA, data)));
    }
    Reply::done(text(&data))
}

fn text(data: &Value) -> String {
    let accepted = data.get("accepted").and_then(Value::as_array);
    let lines = accepted.into_iter().flatten().map(|one| {
        let url = one.get("terms_url").and_then(Value::as_str);
        match url {
            Some(url) => format!("accepted: {}\n", escape::field(url, URL_SHOWN_MAX)),
            None => "accepted: the CA has no terms to read\n".to_owned(),
        }
    });
    let text: String = lines.collect();
    if text.is_empty() {
        "nothing to accept: no terms that the engine has read wait for a person\n".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_accepted_is_shown_by_its_url() {
        let url = "https://ca.test/terms/2";
        let data = json!({ "accepted": [{ "seq": 9, "terms_url": url }] });
        assert_eq!(text(&data), format!("accepted: {url}\n"));
        assert!(text(&json!({ "accepted": [] })).starts_with("nothing to accept"));
    }
}
