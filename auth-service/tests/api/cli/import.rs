//! `users import` and `users export`.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use auth_service::cli::CliError;
use serde_json::Value;
use shared_claims::Role;

use super::{Desk, GOOD};

const BCRYPT: &str = "$2b$04$uvuBjaGkDowoTbW6Vvf03eq.GaLGs.1YyY34ZuHoo2W13VnkNlrkK";

/// Lines as exports of Express services have them.
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
async fn imported_users_of_an_express_service_can_log_in() {
    for desk in Desk::each().await {
        let people = format!("\u{feff}{}", from_express());
        let said = desk.run(&["import", "-"], &people).await.unwrap();
        assert_eq!(said, "4 added; 0 were there already and are as they were\nignored: __v (1), _id (1), id (1)\n");
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
        let expected = "0 added; 4 were there already and are as they were\n\
            there already: user1, carla, dora, emil\nignored: __v (1), _id (1), id (1)\n";
        assert_eq!(said, expected);
        assert_eq!(desk.run(&["export"], "").await.unwrap(), before, "changes after the first import stay");
    }
}

#[tokio::test]
async fn import_adds_all_or_none_and_names_every_bad_line() {
    let good = format!(r#"{{"username":"anna","passwordHash":"{BCRYPT}"}}"#);
    let with = |fields: &str| format!(r#"{{"username":"ben","passwordHash":"{BCRYPT}",{fields}}}"#);
    for desk in Desk::each().await {
        for (line, expected) in [
            ("secret".to_owned(), "is not JSON, see column 1"),
            ("[]".to_owned(), "invalid: must be a JSON object"),
            ("7".to_owned(), "invalid: must be a JSON object"),
            (with(r#""username":"carl""#), "must have each name once"),
            (format!(r#"{{"passwordHash":"{BCRYPT}"}}"#), "username is missing; --usernames-from-email derives one"),
            (
                format!(r#"{{"username":"ben@example.org","passwordHash":"{BCRYPT}"}}"#),
                "username is an email; --usernames-from-email derives a user name from it",
            ),
            (r#"{"username":"ben"}"#.to_owned(), "passwordHash is missing"),
            (r#"{"username":"ben","password":"secret"}"#.to_owned(), "password is not a bcrypt hash"),
            (format!(r#"{{"username":"b n","passwordHash":"{BCRYPT}"}}"#), "username must have 3 to 32 characters"),
            (with(r#""email":"ben""#), "email must be an email address"),
            (with(r#""email":["ben@example.org"]"#), "email must be a text"),
            (
                with(r#""role":"customer""#),
                "role must be member or admin; --role-field role makes a member of any other",
            ),
            (with(r#""email":"ben@example.org","Email":"ben@example.com""#), "Email and email contradict each other"),
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
        let both = desk.run(&["import", "-"], &format!("{{}}\n{good}\n2\n")).await.unwrap_err().to_string();
        assert_eq!(
            both,
            "no user was imported, because of 2 of the lines\n\
            line 1: username is missing; --usernames-from-email derives one\nline 3: invalid: must be a JSON object"
        );
        assert!(desk.user("anna").await.is_none(), "the good line was not imported either");
    }
}

#[tokio::test]
async fn import_refuses_taken_emails_and_ids() {
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
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres: ./test")]
async fn export_moves_all_users_to_another_database() {
    let [sqlite, postgres] = [Desk::sqlite().await, Desk::of(crate::users::Stage::postgres().await).await];
    sqlite.run(&["add", "root", "--role", "admin", "--email", "root@example.org"], GOOD).await.unwrap();
    sqlite.run(&["import", "-"], &from_express()).await.unwrap();
    let everybody = sqlite.run(&["export"], "").await.unwrap();
    assert_eq!(everybody.lines().count(), 5);

    let file =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.jsonl", sqlite.user("root").await.unwrap().id));
    std::fs::write(&file, &everybody).unwrap();
    postgres.run(&["import", file.to_str().unwrap()], "").await.unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(postgres.run(&["export"], "").await.unwrap(), everybody, "all fields are equal, with ids and hashes");
    assert!(postgres.can_sign_in("root", GOOD).await);
}

/// Valid and invalid lines: the email of `carla` is that of the account `root`, and `Anna` repeats `anna`.
fn some_bad() -> String {
    [
        format!(r#"{{"username":"anna","passwordHash":"{BCRYPT}"}}"#),
        r#"{"username":"ben","password":"plain text"}"#.to_owned(),
        "no JSON".to_owned(),
        format!(r#"{{"username":"carla","email":"TAKEN@xn--mller-kva.example","passwordHash":"{BCRYPT}"}}"#),
        format!(r#"{{"username":"Anna","passwordHash":"{BCRYPT}"}}"#),
        format!(r#"{{"username":"dora","passwordHash":"{BCRYPT}"}}"#),
    ]
    .join("\n")
}

#[tokio::test]
async fn skip_invalid_imports_the_others_and_writes_down_why() {
    for desk in Desk::each().await {
        desk.run(&["add", "root", "--email", "taken@müller.example"], GOOD).await.unwrap();
        let id = desk.user("root").await.unwrap().id;
        let people = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{id}.jsonl"));
        let file = PathBuf::from(format!("{}.rejected", people.display()));
        std::fs::write(&people, some_bad()).unwrap();
        let (said, done) = desk.run_to_the_end(&["import", people.to_str().unwrap(), "--skip-invalid"], "").await;
        assert_eq!(said, "2 added; 0 were there already and are as they were\n");
        let why = done.unwrap_err().to_string();
        assert_eq!(why, format!("4 of the lines were not imported: see {}", file.display()));
        for (name, is_there) in [("anna", true), ("ben", false), ("carla", false), ("dora", true)] {
            assert_eq!(desk.user(name).await.is_some(), is_there, "{name}");
        }
        let why = desk.refusal(&["import", people.to_str().unwrap(), "--skip-invalid"], "").await;
        assert!(why.starts_with(&format!("{}: File exists", file.display())), "{why}");
        let rejected = std::fs::read_to_string(&file).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "a private file: hashes");
        std::fs::remove_file(&file).unwrap();
        std::fs::remove_file(&people).unwrap();
        let rejected: Vec<Value> = rejected.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let reasons: Vec<_> =
            rejected.iter().map(|bad| (bad["line"].as_u64(), bad["reason"].as_str().unwrap())).collect();
        let [ben, none, carla, anna] = reasons[..] else { panic!("{reasons:?}") };
        assert_eq!((ben.0, &ben.1[..30]), (Some(2), "password is not a bcrypt hash "));
        assert_eq!((none.0, &none.1[..11]), (Some(3), "is not JSON"));
        assert_eq!(carla, (Some(4), "email belongs to another user"));
        assert_eq!(anna, (Some(5), "username stands in line 1 already"));
        assert_eq!(rejected[2]["record"]["username"], "carla", "the record can be corrected and imported again");
    }
}

#[tokio::test]
async fn skip_invalid_names_bad_lines_of_standard_input() {
    let desk = Desk::sqlite().await;
    let (said, done) = desk.run_to_the_end(&["import", "-", "--skip-invalid"], &some_bad()).await;
    assert_eq!(said, "3 added; 0 were there already and are as they were\n");
    let why = done.unwrap_err().to_string();
    assert!(why.starts_with("3 of the lines were not imported\nline 2: password is not a bcrypt hash ("), "{why}");
    assert!(!why.contains("plain text") && why.ends_with("\nline 5: username stands in line 1 already"), "{why}");
    desk.run(&["import", "-", "--skip-invalid"], &from_express()).await.unwrap();
}

#[tokio::test]
async fn unwritable_file_of_rejected_lines_stops_the_import() {
    let desk = Desk::sqlite().await;
    let why = desk.refusal(&["import", "-", "--skip-invalid=/nonexistent/rejected"], &some_bad()).await;
    assert!(why.starts_with("/nonexistent/rejected: "), "{why}");
    assert!(desk.user("anna").await.is_none());
}

#[tokio::test]
async fn duplicate_in_another_spelling_is_refused() {
    let desk = Desk::sqlite().await;
    let person = |fields: &str| format!(r#"{{{fields},"passwordHash":"{BCRYPT}"}}"#);
    for (first, second, expected) in [
        (r#""username":"anna""#, r#""username":"ANNA""#, "username"),
        (r#""email":"a@müller.example""#, r#""email":"A@xn--mller-kva.example""#, "email"),
        (r#""email":"a@müller.example""#, "\"email\":\"a@mu\u{308}ller.example\"", "email"),
        (r#""email":"a@example.org""#, r#""username":" A@Example.org""#, "email"),
        (
            r#""username":"anna","id":"0192a3b4-0000-7000-8000-00000000000a""#,
            r#""username":"ben","_id":{"$uuid":"0192A3B4-0000-7000-8000-00000000000A"}"#,
            "id",
        ),
    ] {
        let people = [person(first), String::new(), person(second)].join("\n");
        let done = desk.run(&["import", "-", "--usernames-from-email"], &people).await;
        let Err(CliError::Import(bad)) = done else { panic!("{second}") };
        let bad: Vec<_> = bad.iter().map(|bad| (bad.number, bad.why.clone())).collect();
        assert_eq!(bad, [(3, format!("{expected} stands in line 1 already"))], "{second}");
    }
}
