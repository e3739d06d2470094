//! Accepted and refused forms of `.env`.

use shared_claims::Secret;

use super::Desk;
use crate::service::ACCESS_SECRET;

/// A desk with `setting` in the third line of `.env`, spelt as `written`.
fn with_line(setting: &str, written: &str) -> Desk {
    let mut desk = Desk::new();
    desk.settings.retain(|(name, _)| *name != setting);
    desk.env_file(&format!("# The operator's.\nLOG_FORMAT=json\n{setting}={written}\nRUST_LOG=warn\n"));
    desk
}

#[test]
fn secret_that_env_file_would_change_is_refused_with_its_line() {
    for (written, why) in [
        ("horse$battery-staple-horse-battery-staple", "a variable, bare"),
        ("$horse", "a variable and nothing else"),
        ("#horse-battery-staple-horse-battery-staple", "# at the beginning"),
        ("\"horse$battery-staple-horse-battery-staple\"", "a variable, in double quotes"),
        ("horse${LOG_FORMAT}-staple-horse-battery-staple", "a variable with a value"),
        ("horse-battery-staple-horse-battery-staple$", "$ at the end"),
        ("horse$$battery-staple-horse-battery-staple", "$ twice"),
        ("horse\\$battery-staple-horse-battery-staple", "an escaped $"),
        ("horse\\\\battery-staple-horse-battery-staple", "a backslash"),
        ("\"horse\\nbattery-staple-horse-battery-staple\"", "a line break"),
        ("horse\"battery\"-staple-horse-battery-staple", "quotes within"),
        ("horse'battery'-staple-horse-battery-staple", "single quotes within"),
        ("'horse-battery'-staple-horse-battery-staple", "single quotes around a part"),
        ("horse\\ battery-staple-horse-battery-staple", "an escaped space"),
        ("horse-battery-staple-horse-battery-staple #5", "a comment, or a part of it"),
    ] {
        for setting in ["ACCESS_TOKEN_SECRET", "PASSWORD_PEPPER", "REDIS_URL", "AUTH_DATABASE_URL"] {
            let ended = with_line(setting, written).run(&["config"], "").is(1);
            let expected = format!("{setting} is changed by the rules of .env, line 3: put it in single quotes");
            assert!(ended.err.contains(&expected), "{why}: {ended:?}");
            assert!(!ended.err.contains("horse") && !ended.err.contains("staple"), "{why}: {ended:?}");
        }
    }
    with_line("PASSWORD_PEPPER", " # none yet").run(&["config"], "").is(0);
    let desk = with_line("ACCESS_TOKEN_SECRET", "horse$battery").set("ACCESS_TOKEN_SECRET", ACCESS_SECRET);
    desk.run(&["config"], "").is(0);
}

#[test]
fn secret_in_env_file_is_kept_as_written() {
    for (written, secret, why) in [
        ("horse#battery-staple-horse-battery-staple", "horse#battery-staple-horse-battery-staple", "# within, bare"),
        (
            "'horse$battery \"staple\" \\n # horse-battery'",
            "horse$battery \"staple\" \\n # horse-battery",
            "single quotes",
        ),
        ("\"horse battery 'staple' # horse-battery\"", "horse battery 'staple' # horse-battery", "double quotes"),
        ("  'horse$battery-staple-horse-battery'  # mine", "horse$battery-staple-horse-battery", "a comment behind"),
        ("horse-battery-staple-horse-battery-staple \r", "horse-battery-staple-horse-battery-staple", "from Windows"),
    ] {
        let ended = with_line("ACCESS_TOKEN_SECRET", written).run(&["config"], "").is(0);
        let kid = Secret::parse(secret).unwrap().key_id();
        assert!(ended.out.contains(&format!("ACCESS_TOKEN_SECRET=***  # set, kid {kid}\n")), "{why}: {ended:?}");
    }
}

#[test]
fn env_file_may_begin_with_a_byte_order_mark() {
    let mut desk = Desk::new();
    let lines: Vec<_> = desk.settings.drain(..).map(|(name, value)| format!("{name}='{value}'\r\n")).collect();
    desk.env_file(&format!("\u{feff}{}", lines.concat()));
    desk.run(&["config"], "").is(0);
}

#[test]
fn variable_like_a_setting_is_warned_of() {
    let desk = Desk::new().set("JWT_SECRET", "x").set("PORT", "8080").set("BCRYPT_COTS", "").set("HOME", "/root");
    desk.env_file("ACCESS_TOKEN_TLL=5m\nREDIS_URL_FILLE=x\nPOSTGRES_PASSWORD=x\nNODE_ENV=production\n");
    let desk = desk.set("PATH", "/bin").set("AUTH_PORT", "tcp://10.0.0.1:3000").set("HOSTNAME", "auth");
    let warnings = [
        "ACCESS_TOKEN_TLL is set, but is no setting: did you mean ACCESS_TOKEN_TTL?",
        "JWT_SECRET is set, but is no setting: did you mean ACCESS_TOKEN_SECRET?",
        "PORT is set, but is no setting: did you mean AUTH_ADDR?",
        "REDIS_URL_FILLE is set, but is no setting: did you mean REDIS_URL_FILE?",
    ];
    let ended = desk.run(&["doctor"], "").is(0);
    let found: Vec<&str> = ended.out.lines().filter_map(|line| line.strip_prefix("warn  settings    ")).collect();
    assert_eq!(found, warnings, "{ended:?}");
    let ended = desk.set("AUTH_ADDR", "192.0.2.1:3000").run(&[], "").is(1);
    let logged: Vec<&str> =
        ended.err.lines().filter(|line| line.contains(" WARN  shared_service::settings ")).collect();
    assert!(
        logged.len() == 4 && warnings.iter().zip(&logged).all(|(warning, line)| line.ends_with(warning)),
        "{ended:?}"
    );
}
