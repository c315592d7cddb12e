//! `renewd-fuzz [--seconds N] [--seed N] [TARGET [FILE]]`: runs all targets or one for a time, or one input
//! alone; `renewd-fuzz seeds` writes the seeds that are made and not written by hand. Begun by
//! `cargo xtask fuzz`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool for a person at a terminal")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use renewd_fuzz::driver::{self, Bound, files, sentence};
use renewd_fuzz::mirror_segment;
use renewd_fuzz::targets::{TARGETS, Target, find};

/// Per target, unless told otherwise: what a person waits for.
const SECONDS: u64 = 60;

struct Wish {
    seconds: u64,
    seed: u64,
    targets: Vec<Target>,
    file: Option<PathBuf>,
}

fn main() -> ExitCode {
    let outcome = match std::env::args().nth(1).as_deref() {
        Some("seeds") => seeds().map(|()| true),
        _ => wish(std::env::args().skip(1)).and_then(|wish| run(&wish)),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(cause) => {
            eprintln!("{cause}");
            ExitCode::from(2)
        }
    }
}

fn wish(mut arguments: impl Iterator<Item = String>) -> Result<Wish, String> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut wish =
        Wish { seconds: SECONDS, seed: clock.as_secs(), targets: TARGETS.to_vec(), file: None };
    let number = |text: Option<String>| {
        let text = text.unwrap_or_default();
        text.parse().map_err(|_| format!("`{text}` is not a number"))
    };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seconds" => wish.seconds = number(arguments.next())?,
            "--seed" => wish.seed = number(arguments.next())?,
            name => {
                let known: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
                let known = known.join(", ");
                let target = find(name).ok_or(format!("there is no `{name}`; there is {known}"))?;
                wish.targets = vec![target];
                wish.file = arguments.next().map(PathBuf::from);
            }
        }
    }
    Ok(wish)
}

/// Whether nothing failed.
fn run(wish: &Wish) -> Result<bool, String> {
    if let (Some(file), [target]) = (&wish.file, wish.targets.as_slice()) {
        return one(*target, file);
    }
    let (mut inputs, mut failures) = (0, 0);
    for target in &wish.targets {
        let bound = Bound::Time(Duration::from_secs(wish.seconds));
        let tally = driver::run(*target, bound, wish.seed, &|text| println!("{text}"))
            .map_err(|cause| format!("{}: {cause}", target.name))?;
        for failure in &tally.failures {
            println!("{}", sentence(target, failure));
        }
        let seconds = tally.took.as_secs().max(1);
        let (name, seed, count) = (target.name, wish.seed, tally.inputs);
        println!("{name}: seed {seed}, {count} inputs, {} a second", count / seconds);
        inputs += tally.inputs;
        failures += tally.failures.len();
    }
    println!("fuzz: targets {}, inputs {inputs}, failures {failures}", wish.targets.len());
    Ok(failures == 0)
}

fn one(target: Target, file: &std::path::Path) -> Result<bool, String> {
    let input = std::fs::read(file).map_err(|cause| format!("{}: {cause}", file.display()))?;
    match driver::once(target, &input) {
        Ok(()) => println!("fuzz: targets 1, inputs 1, failures 0"),
        Err(failed) => {
            println!("{}\n  at {}", failed.words, failed.place);
            println!("fuzz: targets 1, inputs 1, failures 1");
            return Ok(false);
        }
    }
    Ok(true)
}

/// The golden log in each of its shapes.
fn seeds() -> Result<(), String> {
    let folder = files::own().join("corpus/mirror_segment");
    std::fs::create_dir_all(&folder).map_err(|cause| cause.to_string())?;
    let frames: Vec<Vec<u8>> = mirror_segment::seed().into_iter().map(|f| f.bytes).collect();
    for shape in 0..16_u8 {
        let seed = [&[shape], frames.concat().as_slice()].concat();
        let file = folder.join(format!("whole-{shape:02}"));
        std::fs::write(file, seed).map_err(|cause| cause.to_string())?;
    }
    for (name, left_out) in [("cut-in-a-batch", 1), ("cut-before-a-batch", 4)] {
        let kept = frames.iter().take(frames.len().saturating_sub(left_out));
        let seed: Vec<u8> = std::iter::once(0).chain(kept.flatten().copied()).collect();
        std::fs::write(folder.join(name), seed).map_err(|cause| cause.to_string())?;
    }
    Ok(())
}
