//! lego: one process per certificate, as its command line works.

use std::path::Path;
use std::process::Command;

use super::{Ca, Spent, spend};
use crate::error::{BenchError, io};
use crate::nginx;
use crate::peer::{domain, lego};

/// Processes at once in the parallel measure.
const AT_ONCE: usize = 50;

/// One process after the other, each with its own listener for the challenge.
pub(super) fn one_by_one(ca: &Ca, certificates: u32) -> Result<Spent, BenchError> {
    let folder = lego::folder(ca.pebble.root_pem())?;
    let challenge = lego::standalone(ca.http_port);
    let commands = commands(ca, folder.path(), 0..certificates, &challenge)?;
    spend::spend(ca, folder.path(), commands, 1)
}

/// Many processes at once. Only one of them could have the challenge's port, so they write the tokens
/// to a folder that nginx serves; nginx's time is not counted. The account is made before.
pub(super) fn fifty_at_once(ca: &Ca, certificates: u32) -> Result<Spent, BenchError> {
    let folder = lego::folder(ca.pebble.root_pem())?;
    let webroot = folder.path().join("webroot");
    std::fs::create_dir(&webroot).map_err(io("make the webroot"))?;
    let _nginx = nginx::serve(&webroot, ca.http_port)?;
    let challenge = ["--http.webroot".to_owned(), webroot.display().to_string()];
    let first = commands(ca, folder.path(), certificates..certificates + 1, &challenge)?;
    spend::spend(ca, folder.path(), first, 1)?;
    let commands = commands(ca, folder.path(), 0..certificates, &challenge)?;
    spend::spend(ca, folder.path(), commands, AT_ONCE)
}

fn commands(
    ca: &Ca,
    folder: &Path,
    numbers: std::ops::Range<u32>,
    challenge: &[String],
) -> Result<Vec<(String, Command)>, BenchError> {
    let url = ca.pebble.directory_url();
    let commands = numbers.map(|number| {
        let command = lego::command(folder, &url, &domain(number), challenge)?;
        Ok((format!("lego-{number}"), command))
    });
    commands.collect()
}
