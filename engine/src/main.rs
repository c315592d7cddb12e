//! The `renewd` program: see `renewd --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    renewd::cli::main()
}
