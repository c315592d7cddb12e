//! ops/benchmarks.md: the table of one run of all benches, with machine, date and commit.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;

use crate::error::{BenchError, io};
use crate::figure::Figure;
use crate::rig;

/// What stands between these two lines is replaced.
const BEGIN: &str = "<!-- measured: begin -->";
/// See [`BEGIN`].
const END: &str = "<!-- measured: end -->";

/// The table of all figures.
pub(crate) fn table(benches: &[(&str, Vec<Figure>)]) -> String {
    let mut text = machine();
    text.push_str("\n\n| bench | measure | value | beside | ratio | goal | |\n");
    text.push_str("| --- | --- | --- | --- | --- | --- | --- |\n");
    for (name, figures) in benches {
        for figure in figures {
            text.push_str(&figure.row(name));
            text.push('\n');
        }
    }
    text
}

/// Puts the table into the page.
pub(crate) fn write(page: &Path, table: &str) -> Result<(), BenchError> {
    let at = || io(format!("write the table into {}", page.display()));
    let text = fs::read_to_string(page).map_err(at())?;
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let Some((before, after)) = parts else {
        return Err(BenchError::Wrong(format!(
            "{} has no lines {BEGIN} and {END}",
            page.display()
        )));
    };
    fs::write(page, format!("{before}{BEGIN}\n{table}{END}{after}")).map_err(at())
}

/// Cores, processor, kernel, file system of the temporary folder, date and commit.
fn machine() -> String {
    let cores = available_parallelism().map_or(0, usize::from);
    let temporary = std::env::temp_dir().display().to_string();
    let date = rig::now().rfc3339();
    format!(
        "{cores} cores, {}; Linux {}; {} on {temporary}; {}; commit {}.",
        processor(),
        said(Command::new("uname").arg("-r")),
        said(Command::new("stat").args(["-f", "-c", "%T", &temporary])),
        date.get(..10).unwrap_or(&date),
        said(Command::new("git").args(["describe", "--always", "--dirty", "--exclude", "*"])),
    )
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "model name").then(|| value.trim().to_owned())
    });
    model.unwrap_or_else(|| "processor unknown".to_owned())
}

fn said(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    match String::from_utf8_lossy(&output).trim() {
        "" => "unknown".to_owned(),
        text => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_two_lines_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("page.md");
        fs::write(&page, format!("before\n{BEGIN}\nold\n{END}\nafter\n")).unwrap();
        write(&page, "new\n").unwrap();
        let expected = format!("before\n{BEGIN}\nnew\n{END}\nafter\n");
        assert_eq!(fs::read_to_string(&page).unwrap(), expected);
        fs::write(&page, "no lines").unwrap();
        assert!(write(&page, "new\n").is_err());
    }
}
