//! `bench start`: the responder of a process whose log holds 10,000 certificates.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use renewd_tests::host::{self, Host};
use renewd_tests::ports;
use renewd_tests::process::Process;

use crate::error::{BenchError, io};
use crate::figure::{Figure, Goal, median};
use crate::history::{self, History, Lineage};
use crate::log_file::{End, Filler};
use crate::peer::with_version;
use crate::{nginx, rig, say};

/// Certificates that are issued already; one more waits for its validation.
const CERTIFICATES: u32 = 10_000;
/// And as few as most hosts have.
const FEW: u32 = 10;
/// Starts after a kill, of which the middle and the worst are told.
const STARTS: usize = 25;
/// Repetitions; the middle one counts.
const ROUNDS: usize = 3;
/// Seconds of load in one round.
const LOAD_S: u32 = 3;
/// Connections that wrk keeps alive: a CA has fewer, and more only wait for each other.
const CONNECTIONS: u32 = 32;
/// From exec to the answer: a debug build needs seconds.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
/// For one plan of each certificate, some thousand appends per second.
const PLAN_TIME_MAX: Duration = Duration::from_secs(120);
/// Between two tries to connect: the error of the measure.
const TRY_EVERY: Duration = Duration::from_micros(200);
/// Where challenges are fetched (RFC 8555 section 8.3).
const PATH: &str = ".well-known/acme-challenge";

pub(crate) fn run() -> Result<Vec<Figure>, BenchError> {
    let few = killed_and_started(FEW)?;
    let many = killed_and_started(CERTIFICATES)?;
    let bare = (0..ROUNDS).map(|_| bare_exec()).collect::<Result<Vec<_>, _>>()?;
    let (ours, theirs) = loads(&many)?;
    let exec = median(bare);
    let nginx = with_version("nginx")?;
    let mut figures = vec![
        Figure::new("challenge answers, keep-alive", median(ours), "answers/s")
            .beside(format!("{nginx}, a static file, one worker"), median(theirs))
            .goal(Goal::AtLeast(35_000.0)),
    ];
    for (killed, certificates) in [(few, "10"), (many, "10,000")] {
        let worst = killed.starts.iter().copied().fold(0.0, f64::max);
        let what =
            format!("exec to challenge answered, {certificates} certificates, after kill -9");
        figures.push(
            Figure::new(format!("{what}: median of {STARTS}"), median(killed.starts), "ms")
                .beside("exec of renewd --version", exec),
        );
        figures.push(Figure::new(format!("{what}: worst of {STARTS}"), worst, "ms"));
    }
    Ok(figures)
}

/// A host whose log is full of certificates, one of them waiting for its validation.
struct Killed {
    host: Host,
    port: u16,
    token: String,
    /// From exec to the answer, milliseconds, each after a kill.
    starts: Vec<f64>,
}

fn killed_and_started(certificates: u32) -> Result<Killed, BenchError> {
    let [port, nobody] = ports::free()?;
    // Nobody listens there: a real CA would end the challenge that must stay answered.
    let url = format!("https://127.0.0.1:{nobody}/directory");
    let history = History::at(&url);
    let sites = (0..=certificates).map(|number| history.lineage(number));
    let sites = sites.collect::<Result<Vec<_>, _>>()?;
    let host = rig::host(&rig::Wanted {
        directory_url: &url,
        root_pem: None,
        http_port: port,
        https_port: None,
        profile: None,
        sites: &sites,
    })?;
    say::progress(&format!("start: writing the log of {certificates} certificates"));
    let token = fill(&host, &history, &sites)?;
    let issued = sites.len() - 1;
    // The first start plans all renewals; what is measured is every later one.
    let mut renewd = host.start(&["run"])?;
    rig::wait_for(&mut renewd, "RenewalScheduled", issued, PLAN_TIME_MAX)?;
    renewd.sigkill()?;
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let (mut renewd, time) = answering(&host, port, &token)?;
        renewd.sigkill()?;
        starts.push(time.as_secs_f64() * 1000.0);
    }
    Ok(Killed { host, port, token, starts })
}

/// Answers per second of renewd and of nginx.
fn loads(killed: &Killed) -> Result<(Vec<f64>, Vec<f64>), BenchError> {
    let [nginx_port] = ports::free()?;
    let webroot = tempfile::tempdir().map_err(io("make a temporary folder"))?;
    let folder = webroot.path().join(PATH);
    std::fs::create_dir_all(&folder).map_err(io("make the webroot"))?;
    let answer = history::answer(&killed.token);
    std::fs::write(folder.join(&killed.token), &answer).map_err(io("write the token"))?;
    let (renewd, _) = answering(&killed.host, killed.port, &killed.token)?;
    let nginx = nginx::serve(webroot.path(), nginx_port)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        ours.push(load(killed.port, &killed.token)?);
        theirs.push(load(nginx_port, &killed.token)?);
        say::progress(&format!("start: load {round} of {ROUNDS}"));
    }
    drop((renewd, nginx));
    Ok((ours, theirs))
}

/// Fills the log; gives the token that waits for the CA.
fn fill(host: &Host, history: &History, sites: &[Lineage]) -> Result<String, BenchError> {
    let now = rig::now();
    let mut filler = Filler::create(&host.state_dir().join("log"), now)?;
    filler.push(history.account())?;
    let Some((waiting, issued)) = sites.split_last() else {
        return Err(BenchError::Wrong("there are no certificates".to_owned()));
    };
    for site in issued {
        filler.push(vec![site.declared()])?;
        for batch in site.renewal_unserved(1, now) {
            filler.push(batch)?;
        }
    }
    filler.push(vec![waiting.declared()])?;
    for batch in waiting.up_to_challenge(1, now) {
        filler.push(batch)?;
    }
    filler.end(End::Clean)?;
    Ok(waiting.token(1))
}

/// Starts renewd and waits for its first right answer; says how long that was from exec.
fn answering(host: &Host, port: u16, token: &str) -> Result<(Process, Duration), BenchError> {
    let answer = history::answer(token);
    let from = Instant::now();
    let mut renewd = host.start(&["run"])?;
    while !fetch(port, token).is_ok_and(|text| text.ends_with(&answer)) {
        if from.elapsed() > ANSWER_TIME_MAX || renewd.ended().is_some() {
            let said = renewd.stderr();
            return Err(BenchError::Wrong(format!("no challenge was answered: {said}")));
        }
        rig::pause(TRY_EVERY);
    }
    Ok((renewd, from.elapsed()))
}

fn fetch(port: u16, token: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(ANSWER_TIME_MAX))?;
    let request = format!(
        "GET /{PATH}/{token} HTTP/1.1\r\nHost: www.example.org\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(4096).read_to_string(&mut answer)?;
    Ok(answer)
}

/// Milliseconds of the smallest thing that the binary can do.
fn bare_exec() -> Result<f64, BenchError> {
    let binary = host::binary()?;
    let from = Instant::now();
    let output = Command::new(&binary).arg("--version").output();
    let output = output.map_err(io(format!("start {}", binary.display())))?;
    match output.status.success() {
        true => Ok(from.elapsed().as_secs_f64() * 1000.0),
        false => Err(BenchError::Wrong("renewd --version failed".to_owned())),
    }
}

/// Answers per second, as wrk counts them.
fn load(port: u16, token: &str) -> Result<f64, BenchError> {
    let output = Command::new("wrk")
        .args(["--threads", "1", "--connections", &CONNECTIONS.to_string()])
        .args(["--duration", &format!("{LOAD_S}s")])
        .arg(format!("http://127.0.0.1:{port}/{PATH}/{token}"))
        .output()
        .map_err(io("start wrk (apt-get install wrk)"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err(BenchError::Wrong(format!("wrong answers under load:\n{text}")));
    }
    let line = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    line.and_then(|number| number.trim().parse().ok())
        .ok_or_else(|| BenchError::Wrong(format!("wrk gave no figure:\n{text}{said}")))
}
