use std::fs;
use std::path::Path;

/// The maximum memory of one connection without pipelining, measured as 180 KB: an incomplete head of 128 KB, or a body
/// of 64 KB, and buffers.
const OF_CONNECTION: u64 = 192 * 1024;

/// The number of connections that fill half of the process's memory in the worst case; unlimited if no limit can be
/// read.
pub(crate) fn connections() -> usize {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let limit = limit(&read("/proc/self/cgroup"), Path::new("/sys/fs/cgroup"), &read("/proc/meminfo"));
    usize::try_from(limit / 2 / OF_CONNECTION).unwrap_or(usize::MAX)
}

/// The smallest memory limit, in bytes, of the process's control group and its parents, or of the machine. In a
/// container, `mounted` is the container's own group.
fn limit(groups: &str, mounted: &Path, machine: &str) -> u64 {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let of_groups =
        Path::new(own).ancestors().flat_map(|group| ["memory.max", "memory.high"].map(|name| group.join(name)));
    let files = of_groups.chain(["memory/memory.limit_in_bytes".into()]).map(|name| mounted.join(name));
    let limits = files.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
    let total =
        machine.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok());
    limits.chain(total.map(|kilobytes: u64| kilobytes * 1024)).min().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const MACHINE: &str = "MemTotal:       16384 kB\nMemFree:         1024 kB\n";

    #[test]
    fn smallest_limit_around_the_process_counts() {
        let root = std::env::temp_dir().join(format!("cgroup-{}", Uuid::new_v4().simple()));
        let write = |name: &str, text: &str| {
            let file = root.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        let of = |groups: &str| limit(groups, &root, MACHINE);
        assert_eq!(of("0::/a/b\n"), 16_384 * 1024, "no group has a limit: the machine's memory");
        write("a/b/memory.max", "max\n");
        write("a/b/memory.high", "9000000\n");
        write("a/memory.max", "8000000\n");
        assert_eq!(of("1:name=systemd:/x\n0::/a/b\n"), 8_000_000, "the group around it");
        write("a/b/memory.high", "7000000\n");
        assert_eq!(of("0::/a/b\n"), 7_000_000, "the softer limit of its own");
        write("memory.max", "6000000\n");
        assert_eq!(of("0::/\n"), 6_000_000, "in a container");
        assert_eq!(of("0::/elsewhere\n"), 6_000_000, "in a container that sees the host's names");
        write("memory/memory.limit_in_bytes", "5000000\n");
        assert_eq!(of("4:memory:/\n"), 5_000_000, "version 1");
        assert_eq!(limit("", Path::new("/nowhere"), ""), u64::MAX);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn heads_of_all_connections_fill_half_of_the_memory_at_most() {
        let machine = fs::read_to_string("/proc/meminfo").unwrap();
        let memory = limit("", Path::new("/sys/fs/cgroup"), &machine);
        let connections = connections() as u64;
        assert!(connections > 0 && connections * 128 * 1024 <= memory / 2, "{connections} in {memory}");
    }
}
