//! The page and `session.js` in two browsers, with the real services. The tests are in the `.mjs` files beside
//! this one; a file is one test here, and a test of it that fails is named in the output.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One file runs at a time, because Chromium alone uses two cores.
static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser")
}

/// Installs what `package-lock.json` lists, once. npm writes its own record last.
fn install() {
    let lock = File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser-npm.lock")).unwrap();
    lock.lock().unwrap();
    let changed = |name: &str| folder().join(name).metadata().and_then(|file| file.modified()).ok();
    if changed("node_modules/.package-lock.json") < changed("package-lock.json") {
        let npm = Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
            .current_dir(folder())
            .output();
        let npm = npm.expect("npm does not start: run ./test");
        assert!(npm.status.success(), "npm ci failed: {}", String::from_utf8_lossy(&npm.stderr));
    }
}

/// Runs the tests of `file`.
fn run(file: &str) {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    install();
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec", file]).current_dir(folder()).stdin(Stdio::null());
    // Everything listens on this machine, so a proxy that the environment names is not used.
    node.env("LOCAL_STACK", env!("CARGO_BIN_EXE_local-stack")).env("no_proxy", "*");
    let output = node.output().expect("node does not start: run ./test");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{file}");
    assert!(said.contains("fail 0") && !said.contains("tests 0"), "{file} has no test");
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Node and Chromium: ./test")]
fn session_client_keeps_tabs_in_step_and_survives_outages() {
    run("session.mjs");
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Node and Chromium: ./test")]
fn page_serves_every_journey_of_member_and_admin() {
    run("journeys.mjs");
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Node and Chromium: ./test")]
fn links_by_mail_and_by_an_admin_lead_back_into_an_account() {
    run("mail.mjs");
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Node and Chromium: ./test")]
fn page_is_accessible_and_fits_every_width_in_both_themes() {
    run("looks.mjs");
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Node and Chromium: ./test")]
fn page_needs_no_other_origin_and_no_other_site_can_use_its_session() {
    run("origins.mjs");
}

#[test]
#[ignore = "long: ./test --long installs WebKit and runs it"]
fn session_client_and_back_button_hold_in_webkit() {
    run("webkit.mjs");
}
