//! The only file of the benches that writes to the terminal: results to stdout, progress to stderr.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool for a person at a terminal")]

/// What a bench is for.
pub(crate) fn result(text: &str) {
    println!("{text}");
}

/// What is going on.
pub(crate) fn progress(text: &str) {
    eprintln!("{text}");
}
