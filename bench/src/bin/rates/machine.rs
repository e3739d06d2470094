use std::fs;

/// Model, cores, memory, kernel and load of the machine, on which all figures depend.
pub fn facts() -> String {
    let line = |file: &str, start: &str| {
        let text = fs::read_to_string(format!("/proc/{file}")).unwrap_or_default();
        let value = text.lines().find_map(|line| line.strip_prefix(start)).unwrap_or("?");
        value.trim_start_matches([' ', '\t', ':']).to_owned()
    };
    let cores = fs::read_to_string("/proc/cpuinfo").unwrap_or_default().matches("processor\t").count();
    format!(
        "{}, {cores} cores, {}, Linux {}; load average {}",
        line("cpuinfo", "model name"),
        line("meminfo", "MemTotal:"),
        line("sys/kernel/osrelease", ""),
        line("loadavg", "")
    )
}
