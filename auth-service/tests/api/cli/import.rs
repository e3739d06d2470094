//! `users import` and `users export`.

use std::path::PathBuf;

use auth_service::cli::CliError;
use shared_claims::Role;

use super::{Desk, GOOD};

const BCRYPT: &str = "$2b$04$uvuBjaGkDowoTbW6Vvf03eq.GaLGs.1YyY34ZuHoo2W13VnkNlrkK";

/// Exports as Express services with those databases make them.
fn from_express() -> String {
    [
        format!(r#"{{"id":7,"username":"User1","email":"User@Email.com","password":"{BCRYPT}","admin":true}}"#),
        format!(r#"{{"_id":{{"$oid":"65f0"}},"username":"carla","password":"{BCRYPT}","__v":0}}"#),
        String::new(),
        format!(r#"{{"username":"dora","passwordHash":"{BCRYPT}","role":"admin","disabled":true,"createdAt":1000}}"#),
        format!(r#"{{"username":"emil","email":null,"passwordHash":"{BCRYPT}","createdAt":{{"$date":"2024"}}}}"#),
    ]
    .join("\n")
}

#[tokio::test]
async fn people_of_an_express_service_can_sign_in() {
    for desk in Desk::each().await {
        let people = format!("\u{feff}{}", from_express());
        let said = desk.run(&["import", "-"], &people).await.unwrap();
        assert_eq!(said, "4 added; 0 were there already and are as they were\n");
        for (name, role, disabled) in [
            ("user1", Role::Admin, false),
            ("user@email.com", Role::Admin, false),
            ("carla", Role::Member, false),
            ("dora", Role::Admin, true),
            ("emil", Role::Member, false),
        ] {
            let user = desk.user(name).await.unwrap();
            assert_eq!((user.role, user.disabled), (role, disabled), "{name}");
            assert!(desk.can_sign_in(name, "correct horse battery").await, "{name}");
        }
        assert_eq!(desk.user("dora").await.unwrap().created_at, 1000);
    }
}

#[tokio::test]
async fn a_second_import_changes_nothing() {
    for desk in Desk::each().await {
        desk.run(&["import", "-"], &from_express()).await.unwrap();
        desk.run(&["set-password", "carla"], "Mz4?tuRnip-9\n").await.unwrap();
        desk.run(&["set-role", "carla", "admin"], "").await.unwrap();
        let before = desk.run(&["export"], "").await.unwrap();
        let said = desk.run(&["import", "-"], &from_express()).await.unwrap();
        assert_eq!(said, "0 added; 4 were there already and are as they were\n");
        assert_eq!(desk.run(&["export"], "").await.unwrap(), before, "what was changed since stays");
    }
}

#[tokio::test]
async fn an_import_adds_all_or_nobody_and_names_every_bad_line() {
    let good = format!(r#"{{"username":"anna","passwordHash":"{BCRYPT}"}}"#);
    let with = |fields: &str| format!(r#"{{"username":"ben","passwordHash":"{BCRYPT}",{fields}}}"#);
    for desk in Desk::each().await {
        for (line, expected) in [
            ("secret".to_owned(), "is not JSON from character 1 on; write one object a line"),
            ("[]".to_owned(), "is a JSON array; write one object a line (jq -c '.[]' does)"),
            ("7".to_owned(), "is not a JSON object"),
            (format!(r#"{{"passwordHash":"{BCRYPT}"}}"#), "username is missing"),
            (r#"{"username":"ben"}"#.to_owned(), "passwordHash is missing"),
            (r#"{"username":"ben","password":"secret"}"#.to_owned(), "password is not a bcrypt hash"),
            (format!(r#"{{"username":"b n","passwordHash":"{BCRYPT}"}}"#), "username must have 3 to 32 characters"),
            (with(r#""email":"ben""#), "email must be an email address"),
            (with(r#""email":["ben@example.org"]"#), "email must be a text"),
            (with(r#""role":"customer""#), "role must be member or admin"),
            (with(r#""role":"member","admin":true"#), "role and admin contradict each other"),
            (with(r#""disabled":"no""#), "disabled must be true or false"),
            (with(r#""createdAt":-1"#), "createdAt must be milliseconds since 1970"),
            (with("").replace(",}", "}").replace("ben", "Anna"), "username stands in line 1 already"),
            (with("").replace(",}", "}").replace("$04$", "$20$"), "passwordHash has a bcrypt cost above 14"),
            (with("").replace(",}", "}").replace("$2b$", "pepper-00000000:$2b$"), "passwordHash was made with a"),
        ] {
            let people = format!("{good}\n\n{line}\n");
            let Err(CliError::Import(bad)) = desk.run(&["import", "-"], &people).await else { panic!("{line}") };
            let [bad] = bad.try_into().unwrap();
            assert_eq!(bad.number, 3, "{line}");
            assert!(bad.why.starts_with(expected), "{line}: {}", bad.why);
            assert!(!bad.why.contains("secret") && !bad.why.contains("uvuBjaGkDow"), "{}", bad.why);
        }
        let both = desk.run(&["import", "-"], &format!("1\n{good}\n2\n")).await.unwrap_err().to_string();
        assert_eq!(
            both,
            "nobody was imported, because of 2 of the lines\nline 1: is not a JSON object\nline 3: is not a JSON object"
        );
        assert!(desk.user("anna").await.is_none(), "the good line was not imported either");
    }
}

#[tokio::test]
async fn an_import_takes_nobody_elses_email_or_id() {
    for desk in Desk::each().await {
        desk.run(&["add", "anna", "--email", "anna@example.org"], GOOD).await.unwrap();
        let id = desk.user("anna").await.unwrap().id;
        let mut people: Vec<_> =
            (0..250).map(|number| format!(r#"{{"username":"user{number}","passwordHash":"{BCRYPT}"}}"#)).collect();
        people.push(format!(r#"{{"username":"ben","email":"ANNA@example.org","passwordHash":"{BCRYPT}"}}"#));
        people.push(format!(r#"{{"username":"dora","id":"{id}","passwordHash":"{BCRYPT}"}}"#));
        let Err(CliError::Import(bad)) = desk.run(&["import", "-"], &people.join("\n")).await else { panic!() };
        let bad: Vec<_> = bad.iter().map(|bad| (bad.number, bad.why.as_str())).collect();
        assert_eq!(bad, [(251, "email belongs to another user"), (252, "id belongs to another user")]);
        assert!(desk.user("user0").await.is_none());
    }
}

#[tokio::test]
async fn an_export_moves_everybody_to_another_database() {
    let [sqlite, postgres] = Desk::each().await;
    sqlite.run(&["add", "root", "--role", "admin", "--email", "root@example.org"], GOOD).await.unwrap();
    sqlite.run(&["import", "-"], &from_express()).await.unwrap();
    let everybody = sqlite.run(&["export"], "").await.unwrap();
    assert_eq!(everybody.lines().count(), 5);

    let file =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.jsonl", sqlite.user("root").await.unwrap().id));
    std::fs::write(&file, &everybody).unwrap();
    postgres.run(&["import", file.to_str().unwrap()], "").await.unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(postgres.run(&["export"], "").await.unwrap(), everybody, "ids, hashes and all");
    assert!(postgres.can_sign_in("root", GOOD).await);
}
