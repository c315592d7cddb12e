//! What a process has spent, from /proc.

use std::fs;
use std::time::Duration;

use crate::error::{BenchError, io};

/// Ticks per second of /proc/PID/stat: 100 on every Linux of today (USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time of all threads that a running process has now, to the nanosecond.
pub(crate) fn cpu_s(pid: u32) -> Result<f64, BenchError> {
    let folder = format!("/proc/{pid}/task");
    let mut total = Duration::ZERO;
    for task in fs::read_dir(&folder).map_err(io(format!("list {folder}")))? {
        let path = task.map_err(io(format!("list {folder}")))?.path();
        // A thread that ends meanwhile has no file any more.
        let text = fs::read_to_string(path.join("schedstat")).unwrap_or_default();
        let nanoseconds = text.split(' ').next().and_then(|word| word.parse().ok());
        total += Duration::from_nanos(nanoseconds.unwrap_or(0));
    }
    Ok(total.as_secs_f64())
}

/// The largest resident size so far, in MiB; `None` once the process has ended.
pub(crate) fn peak_mib(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u32 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(f64::from(kib) / 1024.0)
}

/// CPU time of all our children that have ended and were waited for, with theirs; in steps of 10 ms.
pub(crate) fn children_cpu_s() -> Result<f64, BenchError> {
    let path = "/proc/self/stat";
    let stat = fs::read_to_string(path).map_err(io(format!("read {path}")))?;
    // proc_pid_stat(5): after the name in parentheses comes field 3; cutime is 16, cstime 17.
    let ticks = stat.rsplit_once(')').map(|(_, rest)| {
        let fields = rest.split_ascii_whitespace().skip(13).take(2);
        fields.filter_map(|field| field.parse::<u32>().ok()).map(f64::from).sum::<f64>()
    });
    let ticks = ticks.ok_or_else(|| BenchError::Wrong(format!("{path} has no times: {stat}")))?;
    Ok(ticks / TICKS_PER_SECOND)
}
