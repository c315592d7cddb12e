//! What the processes of a peer spend that gets one certificate per process.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use renewd_tests::process::Process;

use super::{Ca, Spent};
use crate::error::BenchError;
use crate::{rig, usage};

/// All processes of one start together. lego waits five seconds between two looks by itself.
const TIME_MAX: Duration = Duration::from_secs(300);
/// Between two looks at the processes: the error of a wall time.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Runs all commands, at most `at_once` at a time, and says what they spent together.
pub(super) fn spend(
    ca: &Ca,
    folder: &Path,
    commands: Vec<(String, Command)>,
    at_once: usize,
) -> Result<Spent, BenchError> {
    let (before, cpu) = (ca.requests(), usage::children_cpu_s()?);
    let from = Instant::now();
    let mut waiting = VecDeque::from(commands);
    let mut running: Vec<Running> = Vec::new();
    let (mut peak_mib, mut looked_at_s) = (f64::NAN, 0.0);
    while !(waiting.is_empty() && running.is_empty()) {
        if from.elapsed() > TIME_MAX {
            return Err(BenchError::Wrong(format!("not done after {TIME_MAX:?}")));
        }
        while running.len() < at_once
            && let Some((name, mut command)) = waiting.pop_front()
        {
            let process = Process::start(&name, &mut command, folder)?;
            running.push(Running { process, cpu_s: 0.0 });
        }
        rig::pause(LOOK_EVERY);
        let mut still = Vec::with_capacity(running.len());
        for mut one in running {
            peak_mib = usage::peak_mib(one.process.id()).map_or(peak_mib, |now| now.max(peak_mib));
            if at_once == 1 {
                one.look();
            }
            if one.goes_on()? {
                still.push(one);
            } else {
                looked_at_s += one.cpu_s;
            }
        }
        running = still;
    }
    // The kernel's sum is exact to 10 ms. For one small process that is coarse: there we look, and
    // miss only what it does after the last look and in threads and children that have ended.
    let cpu_s = f64::max(usage::children_cpu_s()? - cpu, looked_at_s);
    Ok(Spent {
        wall_s: from.elapsed().as_secs_f64(),
        cpu_s,
        peak_mib,
        requests: f64::from(ca.requests().saturating_sub(before)),
    })
}

struct Running {
    process: Process,
    /// At the last look.
    cpu_s: f64,
}

impl Running {
    fn look(&mut self) {
        let now = usage::cpu_s(self.process.id()).unwrap_or(0.0);
        self.cpu_s = self.cpu_s.max(now);
    }

    fn goes_on(&mut self) -> Result<bool, BenchError> {
        match self.process.ended() {
            None => Ok(true),
            Some(status) if status.success() => Ok(false),
            Some(status) => {
                let said = self.process.stdout() + &self.process.stderr();
                Err(BenchError::Wrong(format!("it ended with {status}: {said}")))
            }
        }
    }
}
