//! How much memory there is for this process: the machine's, or less where a control group (cgroup)
//! bounds it, as in a container or under systemd's `MemoryMax`.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where control groups stand in the file system.
const GROUPS: &str = "/sys/fs/cgroup";

/// The memory of this machine or, when that is less, of the control groups that this process runs
/// in, bytes. `None` where the system does not say.
pub fn machine_memory() -> Option<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    bounded(&meminfo, &groups, Path::new(GROUPS))
}

/// The total of `meminfo`, or the least bound of the groups in `groups`, which is what Linux shows
/// in `/proc/self/cgroup`.
fn bounded(meminfo: &str, groups: &str, root: &Path) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let total = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.saturating_mul(1 << 10);
    let bounds = groups.lines().filter_map(|line| bound(line, root));
    Some(bounds.fold(total, u64::min))
}

/// The least bound of one group and all above it. Inside a container, the path of the group may be
/// the one that the host sees, and then only the root is there.
fn bound(line: &str, root: &Path) -> Option<u64> {
    let (_, rest) = line.split_once(':')?;
    let (controllers, path) = rest.split_once(':')?;
    let (root, file) = match controllers {
        // Version 2.
        "" => (root.to_owned(), "memory.max"),
        // Version 1.
        some if some.split(',').any(|one| one == "memory") => {
            (root.join("memory"), "memory.limit_in_bytes")
        }
        _ => return None,
    };
    let group: PathBuf = root.join(path.trim_start_matches('/'));
    let groups = group.ancestors().take_while(|group| group.starts_with(&root));
    // A bound that does not exist is "max", or a number beyond any memory.
    let bounds = groups.filter_map(|group| fs::read_to_string(group.join(file)).ok());
    bounds.filter_map(|text| text.trim().parse().ok()).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemFree: 1 kB\nMemTotal:        8388608 kB\nBuffers: 2 kB\n";
    const GIB: u64 = 1 << 30;

    fn put(root: &Path, path: &str, text: &str) {
        let file = root.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    #[test]
    fn the_machine_has_what_it_says_unless_a_group_has_less() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let found = |groups: &str| bounded(MEMINFO, groups, root);
        assert_eq!(found(""), Some(8 * GIB));
        assert_eq!(found("nonsense\n:\n::\n0::/../../..\n"), Some(8 * GIB));

        // Version 2: the least of the group and those above it.
        put(root, "system.slice/worker.service/memory.max", "max\n");
        let worker = "0::/system.slice/worker.service\n";
        assert_eq!(found(worker), Some(8 * GIB));
        put(root, "system.slice/memory.max", "4294967296\n");
        assert_eq!(found(worker), Some(4 * GIB));
        put(root, "system.slice/worker.service/memory.max", "2147483648\n");
        assert_eq!(found(worker), Some(2 * GIB));
        // In a container, the group's own path is not there, and its bound is at the root.
        put(root, "memory.max", "1073741824\n");
        assert_eq!(found("0::/docker/0123456789\n"), Some(GIB));
        assert_eq!(found("0::/\n"), Some(GIB));
        fs::remove_file(root.join("memory.max")).unwrap();

        // Version 1, beside groups of other controllers and an empty one of version 2.
        let groups = "5:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n0::/\n";
        put(root, "memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(found(groups), Some(8 * GIB));
        put(root, "memory/docker/x/memory.limit_in_bytes", "3221225472\n");
        assert_eq!(found(groups), Some(3 * GIB));
        put(root, "cpu/docker/x/memory.limit_in_bytes", "1\n");
        assert_eq!(found(groups), Some(3 * GIB));
        assert_eq!(bounded("MemTotal: many kB", groups, root), None);
    }
}
