//! Makes sure that Pebble is on this machine, and says where. `cargo xtask test` runs it before the
//! tests, so that a missing Pebble is one clear error and not one per test.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a person")]

use std::process::ExitCode;

use renewd_tests::pebble::find;

fn main() -> ExitCode {
    match find::find() {
        Ok(programs) => {
            println!("{}\n{}", programs.pebble.display(), programs.challtestsrv.display());
            ExitCode::SUCCESS
        }
        Err(cause) => {
            eprintln!("{cause}");
            ExitCode::FAILURE
        }
    }
}
