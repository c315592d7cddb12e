//! The only file of xtask that writes to the terminal.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool for a person at a terminal")]

/// Progress: what begins now, or what was found.
pub(crate) fn progress(text: &str) {
    println!("xtask: {text}");
}

/// What a command does and takes.
pub(crate) fn help(text: &str) {
    println!("{text}");
}

/// A failure and what to do about it.
pub(crate) fn problem(text: &str) {
    eprintln!("{text}");
}
