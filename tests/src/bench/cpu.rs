//! What processes have used, from `/proc`: no clock of ours, no unsafe call.

use std::path::Path;

/// Processor time of a process, in nanoseconds: the sum over its threads that are alive.
pub fn process_ns(pid: u32) -> anyhow::Result<u64> {
    threads_ns(&Path::new("/proc").join(pid.to_string()).join("task"))
}

/// Processor time of this process.
pub fn own_ns() -> anyhow::Result<u64> {
    threads_ns(Path::new("/proc/self/task"))
}

fn threads_ns(tasks: &Path) -> anyhow::Result<u64> {
    let mut sum = 0;
    for task in std::fs::read_dir(tasks)? {
        // A thread may end between the listing and the reading.
        let Ok(text) = std::fs::read_to_string(task?.path().join("schedstat")) else { continue };
        sum += text.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}

/// The most memory a process has had resident, in MB.
pub fn peak_rss_mb(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kb.unwrap_or(0) / 1024)
}

/// Memory that this process has resident now, and the most it had since [`forget_peak`], in bytes.
pub fn own_memory_bytes() -> anyhow::Result<(u64, u64)> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kb| kb * 1024)
    };
    Ok((field("VmRSS:"), field("VmHWM:")))
}

/// From now on the most is what is resident now.
pub fn forget_peak() -> anyhow::Result<()> {
    const RESET_PEAK: &str = "5";
    Ok(std::fs::write("/proc/self/clear_refs", RESET_PEAK)?)
}
