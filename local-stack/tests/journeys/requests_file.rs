use std::fs;
use std::process::Command;

use crate::local_stack::start;
use crate::process::{Folder, file, root};

/// Runs `requests.http` with httpyac, non-interactively: each request must get the status in its title.
#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Node: ./test")]
async fn every_request_of_the_file_gets_the_status_in_its_title() {
    let folder = Folder::new();
    let (_running, stack) = start(&folder).await;
    let text = file("requests.http");
    let text = text.replace("http://localhost:3000", &stack.auth).replace("http://localhost:4000", &stack.books);
    let requests = text.lines().filter(|line| line.contains(" {{auth}}/") || line.contains(" {{books}}/")).count();
    fs::write(folder.path().join("requests.http"), text).unwrap();
    let done = Command::new(root().join("target/tools/httpyac/node_modules/.bin/httpyac"))
        .args(["send", "requests.http", "--all", "--output", "short"])
        .current_dir(folder.path())
        .env("no_proxy", "*")
        .output()
        .unwrap_or_else(|error| panic!("httpyac: {error}: run ./test, which installs what is missing"));
    let printed = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{printed}");
    assert_eq!(printed.matches("✓ status ").count(), requests, "each request has an assertion: {printed}");
}
