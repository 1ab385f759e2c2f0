//! What a process has cost so far, as Linux tells it.

use std::fs;

use anyhow::{Context, Result};

/// Memory in MiB: resident now, the most it ever was, and the part that is neither file nor program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) resident: f64,
    pub(crate) peak: f64,
    pub(crate) anonymous: f64,
}

impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { resident, peak, anonymous } = self;
        write!(f, "{resident:.0} MiB resident, {anonymous:.0} of it anonymous, peak {peak:.0}")
    }
}

pub(crate) fn memory(process: u32) -> Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kib: f64 = line.context("a line of status")?.trim().trim_end_matches(" kB").parse()?;
        anyhow::Ok(kib / 1024.0)
    };
    Ok(Memory { resident: of("VmRSS")?, peak: of("VmHWM")?, anonymous: of("RssAnon")? })
}

/// Seconds of processor time (`proc_pid_stat(5)`, fields 14 and 15, in ticks of 10 ms).
pub(crate) fn processor(process: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, after_the_name) = stat.rsplit_once(')').context("the name of the process")?;
    let fields: Vec<&str> = after_the_name.split_whitespace().collect();
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
}

/// MiB sent to the disk.
pub(crate) fn written(process: u32) -> Result<f64> {
    let io = fs::read_to_string(format!("/proc/{process}/io"))?;
    let bytes: f64 =
        io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).context("write_bytes")?.parse()?;
    Ok(bytes / 1_048_576.0)
}

/// How busy the machine is: the load of the last minute. Figures of a busy machine are to be read as such.
pub(crate) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("?").to_owned()
}

/// The first child of a process: what runs under a tracer.
pub(crate) fn child(process: u32) -> Result<u32> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"))?;
    Ok(children.split_whitespace().next().context("a child")?.parse()?)
}
