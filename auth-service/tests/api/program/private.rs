//! Files that belong to the operator alone: `.env`, databases, secrets.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{Desk, Ended, Served};
use crate::service::GOOD;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A desk whose settings are in `.env` alone.
fn with_file() -> Desk {
    let mut desk = Desk::new();
    let lines: Vec<_> = desk.settings.drain(..).map(|(name, value)| format!("{name}='{value}'\n")).collect();
    desk.env_file(&lines.concat());
    desk
}

/// The program in a shell whose umask makes new files readable by all users.
fn under_common_umask(desk: &Desk, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "umask 022; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_auth-service")]).args(arguments);
    command.current_dir(&desk.folder).env_clear().envs(desk.settings.iter().map(|(n, v)| (n, v)));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

#[test]
fn env_file_of_the_working_folder_is_read_and_named() {
    let desk = with_file();
    let path = fs::canonicalize(&desk.folder).unwrap().join(".env").display().to_string();
    // Others may add files here, as in /tmp.
    set_mode(&desk.folder, 0o1777);
    let ended = desk.run(&["doctor"], "").is(0);
    assert!(ended.out.contains(&format!("ok    settings    {path} is read, too\n")), "{ended:?}");
    assert!(!ended.out.contains("can be read by others"), "{ended:?}");
    set_mode(&desk.folder.join(".env"), 0o644);
    let ended = desk.run(&["doctor"], "").is(0);
    assert!(ended.out.contains(&format!("warn  settings    {path} can be read by others: chmod 600")), "{ended:?}");
    let ended = desk.set("AUTH_ADDR", "192.0.2.1:3000").run(&[], "").is(1);
    assert!(ended.err.contains(&format!("settings are read from the environment and from {path}\n")), "{ended:?}");
    assert!(ended.err.contains(&format!("{path} can be read by others: chmod 600")), "{ended:?}");
}

#[test]
fn env_file_of_a_folder_above_is_not_read() {
    let mut desk = with_file();
    desk.run(&["config"], "").is(0);
    desk.folder.push("below");
    fs::create_dir(&desk.folder).unwrap();
    let ended = desk.run(&["config"], "").is(1);
    desk.folder.pop();
    assert!(ended.err.contains("ACCESS_TOKEN_SECRET is not set"), "{ended:?}");
}

#[test]
fn env_file_that_others_control_is_refused() {
    type Change = fn(&Path);
    let cases: [(Change, &str, &str); 7] = [
        (|file| set_mode(file, 0o666), "others can write it (mode 666): chmod 600", "writable by all"),
        (|file| set_mode(file, 0o620), "others can write it (mode 620): chmod 600", "writable by a group"),
        (|file| set_mode(file, 0o602), "others can write it (mode 602): chmod 600", "writable by strangers"),
        (
            |file| {
                let elsewhere = file.with_file_name("elsewhere");
                fs::rename(file, &elsewhere).unwrap();
                symlink(elsewhere, file).unwrap();
            },
            "it is a symbolic link",
            "a link",
        ),
        (|file| (fs::remove_file(file).unwrap(), symlink("/nowhere", file).unwrap()).1, "it is a symbolic", "dangling"),
        (|file| (fs::remove_file(file).unwrap(), fs::create_dir(file).unwrap()).1, "it is no regular file", "a folder"),
        (
            |file| {
                fs::remove_file(file).unwrap();
                mknodat(CWD, file, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
            },
            "it is no regular file",
            "a FIFO",
        ),
    ];
    for (change, expected, why) in cases {
        let desk = with_file();
        change(&desk.folder.join(".env"));
        is_refused(&desk, expected, why);
    }
    let desk = with_file();
    // Only root can give a file away.
    if chown(desk.folder.join(".env"), Some(65_534), None).is_ok() {
        is_refused(&desk, "it belongs to user 65534, not to user 0 or root: chown it", "of another user");
    }
}

fn is_refused(desk: &Desk, expected: &str, why: &str) {
    let expected = format!("/.env cannot be used: {expected}");
    for arguments in [&[][..], &["config"], &["users", "list"]] {
        let ended = desk.run(arguments, "").is(1);
        assert!(ended.err.contains(&expected), "{why}: {ended:?}");
    }
    let ended = desk.run(&["doctor"], "").is(1);
    let line = ended.out.lines().find(|line| line.contains(&expected));
    assert!(line.is_some_and(|line| line.starts_with("FAIL  settings")), "{why}: {ended:?}");
}

#[test]
fn new_databases_and_core_dumps_are_private() {
    let desk = Desk::new();
    let service = Served::of(under_common_umask(&desk, &[]).spawn().unwrap());
    for name in ["auth.db", "auth.db-wal", "auth.db-shm"] {
        assert_eq!(mode(&desk.folder.join(name)), 0o600, "{name}");
    }
    let limits = fs::read_to_string(format!("/proc/{}/limits", service.process.id())).unwrap();
    let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    assert!(core.split_whitespace().take(2).all(|limit| ["0", "1"].contains(&limit)), "{core}");
    drop(service);
    let desk = Desk::new();
    let ended = Ended::from(under_common_umask(&desk, &["users", "list"]).output().unwrap()).is(0);
    assert_eq!(mode(&desk.folder.join("auth.db")), 0o600, "created by a command: {ended:?}");
}

#[test]
fn database_that_others_can_read_is_warned_of() {
    let desk = Desk::new();
    desk.run(&["users", "add", "anna"], GOOD).is(0);
    let warning = "AUTH_DATABASE_URL names a database that others can read: chmod 600 auth.db";
    for (mode, is_warned) in [(0o600, false), (0o604, true), (0o640, true)] {
        set_mode(&desk.folder.join("auth.db"), mode);
        let ended = desk.run(&["doctor"], "").is(0);
        let is_there = ended.out.lines().any(|line| line.starts_with(&format!("warn  settings    {warning}")));
        assert_eq!(is_there, is_warned, "{mode:o}: {ended:?}");
    }
    let ended = desk.set("AUTH_ADDR", "192.0.2.1:3000").run(&[], "").is(1);
    assert!(ended.err.lines().any(|line| line.contains(" WARN ") && line.contains(warning)), "{ended:?}");
}

#[test]
fn keygen_adopts_no_file_that_others_prepared() {
    let desk = Desk::bare();
    let file = |name: &str| desk.folder.join(name);
    fs::write(file("secret.draft"), "prepared").unwrap();
    set_mode(&file("secret.draft"), 0o666);
    desk.run(&["keygen", "secret"], "").is(0);
    assert_eq!(mode(&file("secret")), 0o600);
    assert_eq!(fs::read_to_string(file("secret.draft")).unwrap(), "prepared", "the file of another user is unchanged");
    let secret = fs::read_to_string(file("secret")).unwrap();
    let files = || fs::read_dir(&desk.folder).unwrap().count();
    assert_eq!(files(), 2, "no draft is left");

    set_mode(&file("secret"), 0o666);
    let ended = desk.run(&["keygen", "secret"], "").is(1);
    assert!(ended.err.contains("secret: others can write it (mode 666): chmod 600"), "{ended:?}");
    assert_eq!(fs::read_to_string(file("secret")).unwrap(), secret);
    symlink("elsewhere", file("link")).unwrap();
    let ended = desk.run(&["keygen", "link"], "").is(1);
    assert!(ended.err.contains("link: it is a symbolic link"), "{ended:?}");
    assert!(!file("elsewhere").exists());
    assert_eq!(files(), 3, "no draft is left");
}

#[test]
fn keygens_at_the_same_time_agree_on_one_secret() {
    let desk = Desk::bare();
    let children: Vec<_> = (0..8).map(|_| desk.command(&["keygen", "secret"]).spawn().unwrap()).collect();
    for child in children {
        Ended::from(child.wait_with_output().unwrap()).is(0);
    }
    assert_eq!(fs::read_to_string(desk.folder.join("secret")).unwrap().len(), 64);
    assert_eq!(fs::read_dir(&desk.folder).unwrap().count(), 1, "no draft is left");
}
