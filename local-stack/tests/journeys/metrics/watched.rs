use std::collections::BTreeSet;
use std::fs::{self, File};
use std::process::Command;

use super::page::Page;
use crate::process::{Folder, file};

/// Fails if promtool reports anything about the page.
pub fn checked(page: &Page) {
    let folder = Folder::new();
    let path = folder.path().join("page");
    fs::write(&path, &page.0).unwrap();
    let said = promtool(Command::new("promtool").args(["check", "metrics"]).stdin(File::open(&path).unwrap()));
    assert_eq!(said, "", "{}", page.0);
}

/// Runs promtool, which must succeed; returns its output.
fn promtool(command: &mut Command) -> String {
    let done = command.output().expect("promtool is not installed: run ./test, which installs what is missing");
    let [out, err] = [done.stdout, done.stderr].map(|said| String::from_utf8(said).unwrap());
    assert!(done.status.success(), "{out}{err}");
    out + &err
}

pub fn whatever_is_watched_is_shown(auth: &Page, books: &Page) {
    let shown: BTreeSet<&str> = auth.names().union(&books.names()).copied().collect();
    let asked: BTreeSet<String> = expressions().iter().flat_map(|text| names(text)).collect();
    assert!(asked.len() > 8, "{asked:?}");
    // With sessions in Redis, the first gauge does not exist; without mail, the second does not.
    let known = |name: &str| shown.contains(name) || ["auth_sessions_open", "mail_outbox_age_seconds"].contains(&name);
    let missing: Vec<_> = asked.iter().filter(|name| !known(name)).collect();
    assert!(missing.is_empty(), "the alerts or the dashboard use {missing:?}, which no service exports");
}

/// All expressions of the alerts and the dashboard.
fn expressions() -> Vec<String> {
    let alerts = file("deploy/prometheus/alerts.yml");
    let alerts = alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: ").map(str::to_owned));
    let board: serde_json::Value = serde_json::from_str(&file("deploy/grafana/board.json")).unwrap();
    let panels = board["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    alerts.chain(panels.map(|target| target["expr"].as_str().unwrap().to_owned())).collect()
}

/// The metrics in an expression: names with an underscore, outside of braces, that are neither function nor label.
fn names(expression: &str) -> Vec<String> {
    let (mut plain, mut depth) = (String::new(), 0);
    for character in expression.replace("by (", "{").chars() {
        match character {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            // The end of `by (…)`.
            ')' if depth > 0 => depth -= 1,
            _ if depth == 0 => plain.push(character),
            _ => {}
        }
    }
    let words = plain.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let metrics = words.filter(|word| word.contains('_') && !word.ends_with('('));
    metrics.map(|word| word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()).collect()
}

#[test]
fn an_expression_names_its_metrics() {
    for (expression, expected, why) in [
        ("up == 0", vec![], "of Prometheus itself"),
        ("a_b > 1", vec!["a_b"], "alone"),
        ("a_b", vec!["a_b"], "at the end"),
        (r#"rate(a_b{c_d="e_f"}[5m])"#, vec!["a_b"], "with labels and a time"),
        ("histogram_quantile(0.9, sum by (c_d, le) (rate(a_b[5m])))", vec!["a_b"], "in a function, by a label"),
        ("absent(a_b) or absent(c_d)", vec!["a_b", "c_d"], "two"),
    ] {
        assert_eq!(names(expression), expected, "{why}");
    }
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Prometheus: ./test")]
fn prometheus_takes_the_alerts_and_the_examples() {
    let folder = Folder::new();
    fs::write(folder.path().join("alerts.yml"), file("deploy/prometheus/alerts.yml")).unwrap();
    // Debian's promtool is built without the discovery of pods: all else is checked.
    let pods = "kubernetes_sd_configs: &pods\n      - { role: pod, namespaces: { names: [tokens] } }";
    let kubernetes = file("deploy/prometheus/kubernetes.yml");
    assert!(kubernetes.contains(pods), "{kubernetes}");
    let kubernetes = kubernetes.replace(pods, "static_configs: &pods [{ targets: [pod] }]");
    let kubernetes = kubernetes.replace("kubernetes_sd_configs", "static_configs");
    for (text, name) in [(file("deploy/prometheus/prometheus.yml"), "prometheus.yml"), (kubernetes, "kubernetes.yml")] {
        let path = folder.path().join(name);
        fs::write(&path, &text).unwrap();
        // Each configuration names the file of the alerts, so promtool checks that, too.
        let said = promtool(Command::new("promtool").args(["check", "config"]).arg(path));
        assert!(said.contains("rules found"), "{name}: {said}");
        for job in ["auth-service", "books-service"] {
            assert!(text.contains(&format!("job_name: {job}\n")), "{name}: no job {job}, which the alerts use");
        }
    }
}
