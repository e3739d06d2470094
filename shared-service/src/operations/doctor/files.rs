use super::CheckResult;
use crate::http::{ServerOptions, descriptors};

const WHAT: &str = "files";
/// Below this number of connections, the check warns if they are limited by open files and not by memory.
const FEW: usize = 500;

/// Checks the limit of open files; each connection takes one.
pub(super) fn files(options: &ServerOptions) -> CheckResult {
    let (limit, connections) = (descriptors::limit(), options.max_connections);
    let says = format!("the start allows itself {limit} open files (the hard limit), and {connections} connections");
    if descriptors::connections() <= connections && connections < FEW {
        return CheckResult::warn(WHAT, says + ": raise the limit, with `ulimit -Hn` or LimitNOFILE");
    }
    CheckResult::ok(WHAT, says)
}
