use std::fmt::Write;

use super::process;

/// A line of the page.
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) labels: String,
    pub(super) value: f64,
}

/// What is known of the process as a whole.
pub(super) fn of_process() -> impl Iterator<Item = Line> {
    let line = |name, help, value: Option<f64>| Some(Line { name, help, labels: String::new(), value: value? });
    let started = "When the process started, in seconds since 1970";
    let memory = "The memory that the process holds, in bytes";
    [
        line("process_start_time_seconds", started, process::start_time()),
        line("process_resident_memory_bytes", memory, process::resident_memory()),
    ]
    .into_iter()
    .flatten()
}

/// Appends `lines`, in which those of one name stand together.
pub(super) fn write_lines(text: &mut String, lines: &[Line]) {
    let mut before = "";
    for Line { name, help, labels, value } in lines {
        if *name != before {
            // Writing to a String does not fail.
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n");
        }
        let _ = writeln!(text, "{name}{labels} {value}");
        before = name;
    }
}
