//! `cargo xtask lint`: all that can be said about the code without running it, quickest first.

use crate::step::{self, Outcome};
use crate::{layers, tidy};

pub(crate) fn run(_: &[String]) -> Outcome {
    let mut format = step::cargo();
    format.args(["fmt", "--all", "--check"]);
    step::run("format", &mut format, "cargo fmt --all")?;
    tidy::run(&[])?;
    layers::run(&[])?;
    let mut clippy = step::cargo();
    clippy.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    step::run("clippy", &mut clippy, "mend it, or #[expect(lint, reason = \"...\")]")?;
    let mut planted = step::cargo();
    planted.args(["clippy", "--package", "renewd-sim", "--features", "planted", "--all-targets"]);
    planted.args(["--", "-D", "warnings"]);
    step::run("clippy with planted bugs", &mut planted, "as above")?;
    let mut docs = step::cargo();
    docs.args(["doc", "--workspace", "--no-deps", "--document-private-items"])
        .env("RUSTDOCFLAGS", "-Dwarnings -Arustdoc::private_intra_doc_links");
    step::run("documentation", &mut docs, "mend the link or text named above")
}
