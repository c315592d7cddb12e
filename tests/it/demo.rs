//! `renewd demo`, as README tells a stranger to run it: the real binary, to its end and cut short.
#![expect(clippy::unwrap_used, reason = "a test fails loudly")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use renewd_tests::host;
use renewd_tests::process::Process;
use tempfile::TempDir;

/// README promises a minute, and a debug build on two busy cores took 12 s; that it is so quick is no
/// matter of this test, whose machine may be slow.
const TOUR_MAX: Duration = Duration::from_secs(300);
/// A clean stop.
const STOP_MAX: Duration = Duration::from_secs(120);

/// Starts the demo; what it makes goes into `folder`.
fn demo(folder: &Path, arguments: &[&str]) -> Process {
    let tmp = folder.join("tmp");
    fs::create_dir(&tmp).unwrap();
    let mut command = Command::new(host::binary().unwrap());
    command.arg("demo").args(arguments).env("TMPDIR", &tmp);
    Process::start("demo", &mut command, folder).unwrap()
}

fn left_behind(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("tmp")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

/// The process ids that the demo says its engines have.
fn engines(said: &str) -> Vec<u32> {
    let after = said.split("`renewd run`, pid ").skip(1);
    after
        .map(|rest| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().unwrap()
        })
        .collect()
}

fn runs(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// How often a line of the part holds the text.
fn lines_with(part: &str, text: &str) -> usize {
    part.lines().filter(|line| line.contains(text)).count()
}

#[test]
fn the_tour_resumes_one_order_and_renews_with_a_second_and_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let mut process = demo(folder.path(), &[]);
    let status = process.wait_for_end(TOUR_MAX).unwrap();
    let said = process.stdout();
    assert_eq!(status.code(), Some(0), "{said}{}", process.stderr());

    let (first, rest) = said.split_once("\n4. ").unwrap();
    let (renewal, read_back) = rest.split_once("\n6. ").unwrap();
    let (before, after) = first.split_once("kill -9 ").unwrap();
    assert_eq!(lines_with(before, "order created"), 1, "{said}");
    assert_eq!(lines_with(after, "order created"), 0, "{said}");
    assert_eq!(lines_with(after, "the last life was killed"), 1, "{said}");
    assert_eq!(lines_with(after, "CA's own count: 1 newOrder"), 1, "{said}");
    assert_eq!(lines_with(renewal, "order created"), 1, "{said}");
    assert_eq!(lines_with(renewal, "CA's own count: 2 newOrder"), 1, "{said}");
    assert_eq!(lines_with(renewal, "ok 0 violations"), 1, "{said}");
    shows_two_certificates_without_colours(&said);
    for look in ["status\n", "timeline demo\n", "why demo\n", "status page: http://127.0.0.1:"] {
        assert!(read_back.contains(look), "{look}: {said}");
    }
    assert_eq!(lines_with(read_back, "HTTP/1.1 200 OK"), 1, "{said}");

    assert_eq!(left_behind(folder.path()), Vec::<String>::new());
    let engines = engines(&said);
    assert_eq!(engines.len(), 2, "{said}");
    assert!(!engines.into_iter().any(runs), "{said}");
}

fn shows_two_certificates_without_colours(said: &str) {
    let fingerprints: Vec<&str> = said.lines().filter(|line| line.contains("SHA-256")).collect();
    assert!(matches!(fingerprints.as_slice(), [a, b] if a != b), "{said}");
    assert!(!said.contains('\u{1b}'), "colours in a file: {said}");
}

#[test]
fn what_is_kept_can_be_read_and_its_log_is_whole() {
    let folder = TempDir::new().unwrap();
    let kept = folder.path().join("kept");
    let mut process = demo(folder.path(), &["--keep", kept.to_str().unwrap()]);
    process.wait_for_line("It keeps running", TOUR_MAX).unwrap();
    let engine = engines(&process.stdout()).pop().unwrap();
    assert!(runs(engine));
    process.sigterm().unwrap();
    let status = process.wait_for_end(STOP_MAX).unwrap();
    assert_eq!(status.code(), Some(0), "{}", process.stderr());
    assert!(!runs(engine));

    let mut verify = Command::new(host::binary().unwrap());
    verify.args(["log", "verify", "--json", "--log"]).arg(kept.join("state"));
    let mut verify = Process::start("verify", &mut verify, folder.path()).unwrap();
    let status = verify.wait_for_end(STOP_MAX).unwrap();
    assert_eq!(status.code(), Some(0), "{}", verify.stderr());
    let answer: serde_json::Value = serde_json::from_str(&verify.stdout()).unwrap();
    assert_eq!(answer["data"]["whole"], true, "{answer}");
    let told = process.stdout().lines().filter(|line| line.contains(" s  #")).count();
    assert_eq!(answer["data"]["events"], told, "every event was shown: {answer}");

    let mut again = demo_in_kept(folder.path(), &kept);
    let status = again.wait_for_end(STOP_MAX).unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(again.stderr().contains("is not empty"), "{}", again.stderr());
}

fn demo_in_kept(folder: &Path, kept: &Path) -> Process {
    let mut command = Command::new(host::binary().unwrap());
    command.args(["demo", "--keep"]).arg(kept);
    Process::start("again", &mut command, folder).unwrap()
}

#[test]
fn a_signal_in_the_middle_leaves_neither_process_nor_folder() {
    let folder = TempDir::new().unwrap();
    let mut process = demo(folder.path(), &[]);
    process.wait_for_line("order created", TOUR_MAX).unwrap();
    process.sigterm().unwrap();
    let status = process.wait_for_end(STOP_MAX).unwrap();
    assert_eq!(status.code(), Some(143), "{}", process.stderr());
    assert_eq!(left_behind(folder.path()), Vec::<String>::new());
    let engines = engines(&process.stdout());
    assert!(!engines.is_empty() && !engines.into_iter().any(runs));
}
