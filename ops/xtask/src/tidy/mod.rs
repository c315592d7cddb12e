//! `cargo xtask tidy`: house rules that no compiler knows, over every file under version control.

mod codes;
mod text;

use std::fs;
use std::path::Path;

use crate::say;
use crate::step::{self, Outcome};

/// The stricter lints of the pure crates; clippy merges nothing, so they are kept equal here.
const EQUAL: [&str; 3] = ["events/clippy.toml", "replay/clippy.toml", "actors/clippy.toml"];

/// Findings shown; after that many the reader mends and runs again.
const SHOWN_MAX: usize = 60;

pub(crate) fn run(_: &[String]) -> Outcome {
    let root = step::root();
    let files = files(&root)?;
    let mut found: Vec<String> = Vec::new();
    for (path, content) in &files {
        found.extend(
            text::check(path, content).into_iter().map(|finding| format!("{path}{finding}")),
        );
    }
    found.extend(unequal(&files));
    found.extend(codes::check(&files));
    if found.is_empty() {
        say::progress(&format!("tidy: good, {} files", files.len()));
        return Ok(());
    }
    let shown: Vec<&str> = found.iter().take(SHOWN_MAX).map(String::as_str).collect();
    Err(format!("{} findings\n  {}", found.len(), shown.join("\n  ")).into())
}

/// Path (with `/`, relative) and text of every file that git knows or would add; no binary files.
fn files(root: &Path) -> Result<Vec<(String, String)>, String> {
    let mut git = std::process::Command::new("git");
    git.current_dir(root).args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let (true, list) = step::output(&mut git)? else {
        return Err(
            "`git ls-files` failed\n  do: run this inside a clone of the repository".to_owned()
        );
    };
    // A file that git knows but that is deleted is skipped, and so is one that is not text.
    let read = |path: &str| Some((path.to_owned(), fs::read_to_string(root.join(path)).ok()?));
    Ok(list.lines().filter_map(read).collect())
}

fn unequal(files: &[(String, String)]) -> Vec<String> {
    let content = |path: &str| files.iter().find(|(known, _)| known == path).map(|(_, text)| text);
    let [first, rest @ ..] = EQUAL;
    rest.into_iter()
        .filter(|path| content(path).is_none() || content(path) != content(first))
        .map(|path| format!("{path}: differs from {first} or is missing: copy one over the other"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clippy_files_that_differ_or_are_missing_are_found() {
        let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        let mut files: Vec<_> = EQUAL.iter().map(|path| file(path, "a = 1")).collect();
        assert!(unequal(&files).is_empty());
        files[1].1.push('2');
        assert_eq!(unequal(&files).len(), 1);
        files.truncate(1);
        assert_eq!(unequal(&files).len(), 2);
    }
}
