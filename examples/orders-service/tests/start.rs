//! The start of the program.

use std::process::Command;

#[test]
fn start_without_a_setting_names_it() {
    let ended = Command::new(env!("CARGO_BIN_EXE_orders-service")).env_clear().output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(ended.stderr).unwrap(),
        "orders-service: ACCESS_TOKEN_SECRET: environment variable not found\n"
    );
}
