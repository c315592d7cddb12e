//! Foreign ACME clients: programs of the distribution that check our fault CA, so that its idea of the
//! RFC is not ours alone. They are never optional: a test that lacks one fails and says what to install.

use std::env;
use std::path::PathBuf;

use crate::error::HarnessError;

/// Where the program is.
///
/// # Errors
/// [`HarnessError::NoClient`] with the package to install.
pub fn find(program: &'static str) -> Result<PathBuf, HarnessError> {
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
        .ok_or(HarnessError::NoClient { program })
}
