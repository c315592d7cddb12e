//! The peers: other ACME clients, where they are, which version, and how each is told what to get.

pub(crate) mod caddy;
pub(crate) mod lego;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::BenchError;

/// Where Debian's packages put programs: there the package knows a version that the program does not.
const PACKAGED: [&str; 2] = ["/usr/bin", "/usr/sbin"];

/// Where a program is: on PATH or in one of Go's folders.
pub(crate) fn find(name: &str) -> Result<PathBuf, BenchError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let [bin, gopath, home] = ["GOBIN", "GOPATH", "HOME"].map(std::env::var_os);
    folders.extend(bin.map(PathBuf::from));
    folders.extend(gopath.map(|path| Path::new(&path).join("bin")));
    folders.extend(home.map(|path| Path::new(&path).join("go/bin")));
    let mut programs = folders.iter().map(|folder| folder.join(name));
    programs
        .find(|program| program.is_file())
        .ok_or_else(|| BenchError::Wrong(format!("{name} is not installed")))
}

/// The name with the version, as the program says it, or what built it, or its package.
pub(crate) fn with_version(name: &str) -> Result<String, BenchError> {
    let program = find(name)?;
    let mut questions: Vec<Command> = ["--version", "version", "build-info"]
        .into_iter()
        .map(|word| {
            let mut question = Command::new(&program);
            question.arg(word);
            question
        })
        .collect();
    if PACKAGED.iter().any(|folder| program.starts_with(folder)) {
        let mut question = Command::new("dpkg-query");
        question.args(["--show", "--showformat", "${Version}", name]);
        questions.push(question);
    }
    let version = questions.iter_mut().find_map(|question| {
        let answer = question.output().ok().filter(|answer| answer.status.success())?;
        version_in(&String::from_utf8_lossy(&answer.stdout))
    });
    Ok(format!("{name} {}", version.as_deref().unwrap_or("of an unknown version")))
}

/// The first word that looks like `v2.11.9` or `4.9.1-1`, without the `v`.
fn version_in(text: &str) -> Option<String> {
    let words = text.split_ascii_whitespace();
    let mut versions = words.map(|word| word.strip_prefix('v').unwrap_or(word)).filter(|word| {
        word.starts_with(|first: char| first.is_ascii_digit()) && word.contains('.')
    });
    versions.next().map(str::to_owned)
}

/// The DNS name of this number.
pub(crate) fn domain(number: u32) -> String {
    format!("www.site-{number:05}.example.org")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_what_programs_say() {
        for (text, version) in [
            ("v2.11.9 h1:g/gTYjGMD0dec+UgMw8SnfmJ3I9=", Some("2.11.9")),
            ("go\tgo1.26.8\nmod\tgithub.com/caddyserver/caddy/v2\tv2.10.2\th1:g=", Some("2.10.2")),
            ("4.9.1-1", Some("4.9.1-1")),
            ("lego version dev linux/amd64", None),
            ("unknown", None),
        ] {
            assert_eq!(version_in(text).as_deref(), version, "{text}");
        }
    }
}
