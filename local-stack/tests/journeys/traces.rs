use serde_json::json;

use crate::process::{Output, Program};
use crate::targets::walk_watching;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

#[tokio::test]
async fn every_line_of_a_request_names_the_trace_of_its_caller() {
    walk_watching(&[("RUST_LOG", "info")], async |stack, programs| {
        let anna = json!({"username": "anna", "password": "password123member"});
        for (value, is_taken, why) in [
            (format!("00-{TRACE}-{PARENT}-01"), true, "to the letter"),
            (format!("00-{}-{PARENT}-01", TRACE.to_uppercase()), false, "in upper case"),
            (format!("00-{TRACE}-{PARENT}-01-x"), false, "with more behind it"),
        ] {
            let answer = stack.auth().with("traceparent", value).post("/login", anna.clone()).await.is(200);
            let lines = lines_of(&programs[0], answer.header("x-request-id")).await;
            for line in lines {
                let is_there =
                    [format!("trace_id={TRACE}"), format!("parent_id={PARENT}")].map(|it| line.contains(&it));
                assert_eq!(is_there, [is_taken; 2], "{why}: {line}");
                assert!(is_taken || !line.contains("trace_id"), "{why}: {line}");
            }
        }
    })
    .await;
}

/// The log lines of the login `request`: the audit event and the line of the request.
async fn lines_of(program: &Program, request: &str) -> Vec<String> {
    let id = format!("request_id={request}");
    let lines = |output: &Output| {
        let lines: Vec<_> = output.err.iter().filter(|line| line.contains(&id)).cloned().collect();
        lines.iter().any(|line| line.contains(" http request ")).then_some(lines)
    };
    let lines = program.says(lines).await;
    assert!(lines.iter().any(|line| line.contains("event=login.ok")), "{lines:?}");
    lines
}
