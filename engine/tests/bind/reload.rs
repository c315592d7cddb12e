//! Reload commands: their environment, their end, and the end of all that they started.

use super::*;

fn reloading(generation: Generation) -> Durable<Generation> {
    let mut binding = Binding::default();
    binding.evolve(&meta(), &BindingEvent::ReloadRequested { generation });
    binding.reloading.unwrap()
}

fn reload(script: &str, timeout: Duration) -> BTreeMap<BindingId, ReloadCommand> {
    let command = ReloadCommand {
        argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
        timeout,
        certificate: "site".to_owned(),
        directory: PathBuf::from("/srv/site"),
    };
    BTreeMap::from([(BINDING, command)])
}

async fn run(
    reloads: BTreeMap<BindingId, ReloadCommand>,
) -> Result<(), renewd_events::problem::Problem> {
    let world = world(reloads);
    let intent = reloading(Generation(3));
    world.bindings.reload(BINDING, &intent).await
}

#[tokio::test]
async fn a_reload_command_gets_a_clean_environment() {
    let root = TempDir::new().unwrap();
    let out = root.path().join("env");
    let script = format!("env | sort > {}", out.display());
    run(reload(&script, Duration::from_secs(120))).await.unwrap();
    let text = fs::read_to_string(out).unwrap();
    for line in [
        "RENEWD_CERTIFICATE=site",
        "RENEWD_DIRECTORY=/srv/site",
        "RENEWD_GENERATION=3",
        "RENEWD_EVENT_SEQ=7",
        "PATH=/usr/local/sbin:",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(!text.contains("CARGO"), "{text}");
}

#[tokio::test]
async fn a_failed_reload_tells_status_and_the_end_of_its_output() {
    let script = "seq 1 100000; echo the reason >&2; exit 3";
    let problem = run(reload(script, Duration::from_secs(120))).await.unwrap_err();
    assert_eq!(problem.kind, "reloadFailed");
    assert!(problem.detail.contains("exit status: 3"), "{}", problem.detail);
    assert!(problem.detail.ends_with("the reason\n"), "{}", problem.detail);
    assert!(problem.detail.len() <= 1024);
    let none = run(BTreeMap::new()).await.unwrap_err();
    assert_eq!(none.kind, "noReloadCommand");
    let mut relative = reload("", Duration::from_secs(1));
    relative.get_mut(&BINDING).unwrap().argv = vec!["bin/x".to_owned()];
    let problem = run(relative).await.unwrap_err();
    assert_eq!(problem.kind, "reloadNotStarted");
}

#[tokio::test]
async fn a_reload_that_hangs_is_ended_with_its_children() {
    let root = TempDir::new().unwrap();
    let pid = root.path().join("pid");
    let script = format!("sleep 300 & echo $! > {}; wait", pid.display());
    assert_eq!(hangs(&script, &pid).await, "reloadTimeout");
    assert!(ends(&pid).await, "the sleeping child is gone");
}

#[tokio::test]
async fn a_child_that_outlives_the_command_and_ignores_term_is_ended_too() {
    let root = TempDir::new().unwrap();
    let pid = root.path().join("pid");
    let script = format!("(trap '' TERM; exec sleep 300) & echo $! > {}; wait", pid.display());
    assert_eq!(hangs(&script, &pid).await, "reloadTimeout");
    assert!(ends(&pid).await, "the sleeping child is gone");
}

/// An effect that is cut is dropped: nothing of the command may run on beside the next try.
#[tokio::test]
async fn a_reload_that_is_dropped_is_ended_with_its_children() {
    let root = TempDir::new().unwrap();
    let pid = root.path().join("pid");
    let script = format!("sleep 300 & echo $! > {}; wait", pid.display());
    let cut = run(reload(&script, Duration::from_secs(240)));
    tokio::select! {
        ended = cut => panic!("it ended by itself: {ended:?}"),
        () = until(|| is_written(&pid)) => {}
    }
    assert!(ends(&pid).await, "the sleeping child is gone");
}

/// Whether the process whose number is in this file is soon gone, or only waits to be reaped.
async fn ends(pid: &Path) -> bool {
    let child = fs::read_to_string(pid).unwrap();
    let gone = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.trim()));
        stat.map_or(true, |stat| stat.contains(") Z "))
    };
    tokio::time::timeout(Duration::from_secs(60), until(gone)).await.is_ok()
}

/// Looks until it holds.
async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// Whether a script has written its whole line.
fn is_written(file: &Path) -> bool {
    fs::read_to_string(file).is_ok_and(|text| text.ends_with('\n'))
}

/// What becomes of a script that never ends by itself. It is given more time until the time-out comes
/// after it has written the number of its child: a shell starts when the machine lets it.
async fn hangs(script: &str, pid: &Path) -> String {
    for ms in [300, 3_000, 30_000, 240_000] {
        let problem = run(reload(script, Duration::from_millis(ms))).await.unwrap_err();
        if is_written(pid) {
            return problem.kind;
        }
    }
    "the script did not even start".to_owned()
}

/// A service that the command starts keeps the output open; the command itself has ended.
#[tokio::test]
async fn a_reload_that_leaves_a_service_behind_ends() {
    // Were it waited for, the time-out would come first.
    run(reload("sleep 120 & exit 0", Duration::from_secs(60))).await.unwrap();
}
