//! `renewd explain R0123`: the page of an error code, built into the binary.
//!
//! The pages are `ops/errors/R*.md`. A new code of the configuration, of `init` or of the log needs a
//! page and a row in [`PAGES`]; the causes of a failed renewal bring theirs ([`renewd_replay::codes`]).

use renewd_replay::codes::ALL;

use serde_json::json;

use super::exit::{self, Exit, Reply};

/// The schema of this JSON.
const SCHEMA: &str = "renewd.explain/1";

macro_rules! page {
    ($code:literal) => {
        ($code, include_str!(concat!("../../../ops/errors/", $code, ".md")))
    };
}

/// The codes that are said in this crate and by the log, each with its page.
const PAGES: &[(&str, &str)] = &[
    page!("R0101"),
    page!("R0102"),
    page!("R0103"),
    page!("R0104"),
    page!("R0105"),
    page!("R0106"),
    page!("R0107"),
    page!("R0108"),
    page!("R0109"),
    page!("R0110"),
    page!("R0111"),
    page!("R0112"),
    page!("R0113"),
    page!("R0120"),
    page!("R0121"),
    page!("R0122"),
    page!("R0123"),
    page!("R0124"),
    page!("R0125"),
    page!("R0126"),
    page!("R0127"),
    page!("R0128"),
    page!("R0129"),
    page!("R0130"),
    page!("R0131"),
    page!("R0132"),
    page!("R0133"),
    page!("R0134"),
    page!("R0135"),
    page!("R0140"),
    page!("R0141"),
    page!("R0142"),
    page!("R0143"),
    page!("R0144"),
    page!("R0150"),
    page!("R0151"),
    page!("R0152"),
    page!("R0153"),
    page!("R0154"),
    page!("R0155"),
    page!("R0156"),
    page!("R0157"),
    page!("R0158"),
    page!("R0159"),
    page!("R0160"),
    page!("R0161"),
    page!("R0162"),
    page!("R0163"),
    page!("R0164"),
    page!("R0165"),
    page!("R0166"),
    page!("R0167"),
    page!("R0168"),
    page!("R0169"),
    page!("R0170"),
    page!("R0171"),
    page!("R0172"),
    page!("R0173"),
    page!("R0174"),
    page!("R0601"),
    page!("R0602"),
    page!("R0603"),
    page!("R0605"),
    page!("R0606"),
    page!("R0607"),
    page!("R0609"),
    page!("R0620"),
    page!("R0621"),
    page!("R0622"),
    page!("R0623"),
    page!("R0624"),
    page!("R0907"),
];

/// The page of a code, `R0103` or `r0103`.
pub fn page(code: &str) -> Option<&'static str> {
    let found = pages().find(|(of, _)| of.eq_ignore_ascii_case(code));
    found.map(|(_, page)| page)
}

fn pages() -> impl Iterator<Item = (&'static str, &'static str)> {
    let causes = ALL.iter().map(|cause| (cause.code, cause.page));
    PAGES.iter().copied().chain(causes)
}

/// All codes that have a page, in order.
pub fn codes() -> impl Iterator<Item = &'static str> {
    let mut codes: Vec<&str> = pages().map(|(code, _)| code).collect();
    codes.sort_unstable();
    codes.into_iter()
}

/// Flags of the command.
#[derive(Debug, clap::Args)]
pub struct Flags {
    /// The code
    pub code: String,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// The command: the page on stdout, or exit code 5 and the nearest codes.
pub fn run(flags: &Flags) -> Reply {
    let code = flags.code.as_str();
    match page(code) {
        Some(page) if flags.json => {
            let data = json!({ "code": code.to_ascii_uppercase(), "page": page });
            return Reply::done(format!("{}\n", exit::json(SCHEMA, data)));
        }
        Some(page) => return Reply::done(page),
        None => {}
    }
    let class = code.get(..3).unwrap_or_default();
    let near: Vec<&str> = codes()
        .filter(|known| known.get(..3).is_some_and(|c| c.eq_ignore_ascii_case(class)))
        .collect();
    let near = if near.is_empty() { codes().collect() } else { near };
    let code = crate::config::shown(code);
    let text = format!("there is no error `{code}`; codes with a page: {}\n", near.join(", "));
    Reply::failed(Exit::NotFound, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_begins_with_its_own_code_and_says_what_to_do() {
        for (code, page) in pages() {
            assert!(page.starts_with(&format!("# {code}: ")), "{code}");
            let says = page.contains("**What to do.**") || page.contains("## What to do");
            assert!(says, "{code}");
        }
    }

    #[test]
    fn every_page_in_the_folder_is_in_the_table() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../ops/errors");
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let code = name.trim_end_matches(".md");
            assert!(page(code).is_some(), "{name} is in no table");
            assert_eq!(codes().filter(|known| *known == code).count(), 1, "{code}");
        }
    }

    #[test]
    fn an_unknown_code_is_answered_with_its_class() {
        let run = |code: &str| run(&Flags { code: code.to_owned(), json: false });
        let reply = run("R019");
        assert_eq!(reply.exit, Exit::NotFound);
        assert!(reply.err.contains("R0103"));
        assert!(run("r0103").out.contains("# R0103"));
        assert!(run("R0605").out.contains("emptied"));
        assert!(run("R0201").out.contains("# R0201"));
    }

    #[test]
    fn json_holds_the_page() {
        let reply = run(&Flags { code: "r0103".to_owned(), json: true });
        let value: serde_json::Value = serde_json::from_str(&reply.out).unwrap();
        assert_eq!((&value["schema"], &value["data"]["code"]), (&json!(SCHEMA), &json!("R0103")));
        assert!(value["data"]["page"].as_str().unwrap().starts_with("# R0103: "));
    }
}
