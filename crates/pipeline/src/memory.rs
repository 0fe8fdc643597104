//! Memory that this process may still take, where the system tells (Linux).

use graph::Graph;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, MemoryUse};

/// The least of what the machine, the control group and the limits of the process leave; `None` where the system names none.
pub(crate) fn available() -> Option<u64> {
    [machine(), group(), limits()].into_iter().flatten().min()
}

/// Refuses a network whose weights take so many bytes, and each of whose layers has an output for every input of a batch, where that
/// is more than is available.
///
/// # Errors
/// [`Error::Memory`], and shapes that don't fit together.
pub(crate) fn check_network(
    graph: &Graph,
    input: [usize; 2],
    weights: u64,
    batch: usize,
) -> Result<(), Error> {
    let Some(available) = available() else { return Ok(()) };
    let sum = |values: &mut dyn Iterator<Item = usize>| {
        values.fold(0, |sum: u64, values| sum.saturating_add(values as u64))
    };
    let values = sum(&mut graph.shapes(input)?.iter().map(|shape| shape.values()));
    let outputs = values.saturating_mul(batch as u64).saturating_mul(size_of::<f32>() as u64);
    let needed = outputs.saturating_add(weights);
    if needed <= available {
        return Ok(());
    }
    let parameters = sum(&mut graph.params(input)?.iter().map(graph::ParamSpec::values));
    Err(Error::Memory { what: MemoryUse::Network { parameters, values }, needed, available })
}

/// The number of bytes in a line such as `MemAvailable:   22733028 kB`.
fn kib(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

fn machine() -> Option<u64> {
    kib(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// What is left of `memory.max` here and in every group above.
fn group() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let root = Path::new("/sys/fs/cgroup");
    let folder: PathBuf = root.join(own);
    let left = |folder: &Path| {
        let number =
            |name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
        Some(number("memory.max")?.saturating_sub(number("memory.current")?))
    };
    folder.ancestors().take_while(|f| f.starts_with(root)).filter_map(left).min()
}

/// What is left of `ulimit -d` and `ulimit -v`.
fn limits() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let left = |limit: &str, used: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(limit))?;
        let limit: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(limit.saturating_sub(kib(&status, used)?))
    };
    [left("Max data size", "VmData:"), left("Max address space", "VmSize:")]
        .into_iter()
        .flatten()
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_bytes() {
        let text = "MemTotal:       24000000 kB\nMemAvailable:   22733028 kB\n";
        assert_eq!(kib(text, "MemAvailable:"), Some(22_733_028 * 1024));
        assert_eq!(kib(text, "SwapFree:"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn linux_tells() {
        let found = available().unwrap();
        assert!((1 << 20..1 << 50).contains(&found), "{found}");
    }
}
