//! Exports as `MongoDB`, Mongoose, Sequelize and Postgres write them.

use shared_claims::Role;

use super::{Desk, GOOD};

const BCRYPT: &str = "$2b$04$uvuBjaGkDowoTbW6Vvf03eq.GaLGs.1YyY34ZuHoo2W13VnkNlrkK";
const CREATED: i64 = 1_714_979_289_010;

/// A user base of `MongoDB`, Express and React: without user names, but for one that is an email.
fn from_mern() -> [(&'static str, String); 6] {
    let person = |number: usize, more: &str| {
        let admin = number == 1;
        format!(r#"{{"_id":{{"$oid":"65f0{number:020}"}},"name":"Ann {number}","email":"Ann@{number}.example.org","#)
            + &format!(r#""password":"{BCRYPT}","isAdmin":{admin}{more},"__v":0}}"#)
    };
    let relaxed = r#","createdAt":{"$date":"2024-05-06T07:08:09.010Z"}"#;
    let people = [
        person(1, &format!(r#","isActive":true{relaxed}"#)),
        person(2, &format!(r#","isActive":false{relaxed}"#)),
        person(3, &format!(r#","username":"Ann@3.example.org"{relaxed}"#)),
    ];
    let lines = people.join("\n");
    let canonical = lines
        .replace("\"__v\":0", "\"__v\":{\"$numberInt\":\"0\"}")
        .replace("\"2024-05-06T07:08:09.010Z\"", "{\"$numberLong\":\"1714979289010\"}");
    let [hash_a, hash_y] = ["$2a$", "$2y$"].map(|version| BCRYPT.replace("$2b$", version));
    let array = serde_json::from_str::<serde_json::Value>(&format!("[{}]", people.join(","))).unwrap();
    let mongo = format!(
        "_id,name,email,password,isAdmin,isActive,createdAt,username,__v\n\
        ObjectId(65f000000000000000000001),\"Ann, 1\",Ann@1.example.org,{BCRYPT},true,true,2024-05-06T07:08:09.010Z,,0\n\
        ObjectId(65f000000000000000000002),Ann,Ann@2.example.org,{hash_a},false,false,1714979289010,,0\n\
        ObjectId(65f000000000000000000003),Ann,,{hash_y},false,,2024-05-06T09:08:09.010+0200,Ann@3.example.org,0\n"
    );
    let postgres = format!(
        "\u{feff}id;name;email;password_hash;is_admin;is_active;created_at;deleted_at;user_name\r\n\
        1;Ann;Ann@1.example.org;{BCRYPT};t;t;2024-05-06 07:08:09.01+00;\\N;\\N\r\n\
        2;Ann; Ann@2.example.org ;{BCRYPT};f;f;2024-05-06 07:08:09.01;2025-01-01 00:00:00+00;NULL\r\n\
        3;Ann;Ann@3.example.org;{BCRYPT};0;1;1714979289010.0;;\r\n"
    );
    [
        ("mongoexport", lines.clone()),
        ("mongoexport --jsonFormat=canonical", canonical),
        ("mongoexport --jsonArray", format!("[{}]\n", people.join(","))),
        ("mongoexport --jsonArray --pretty", serde_json::to_string_pretty(&array).unwrap()),
        ("mongoexport --type=csv", mongo),
        ("COPY … TO … CSV", postgres),
    ]
}

#[tokio::test]
async fn user_names_are_derived_from_emails() {
    for (format, people) in from_mern() {
        for desk in Desk::each().await {
            desk.run(&["add", "ann-2"], GOOD).await.unwrap();
            let arguments = ["import", "-", "--usernames-from-email", "--role-field", "isAdmin"];
            let said = desk.run(&arguments, &people).await.unwrap();
            let added = "3 added; 0 were there already and are as they were\nuser names derived: ann (line ";
            assert!(said.starts_with(added) && said.contains("), ann-3 (line "), "{format}: {said}");
            assert!(said.contains("name (3)") && !said.to_lowercase().contains("isa"), "{format}: {said}");
            for (login, name, role, disabled) in [
                ("ann@1.example.org", "ann", Role::Admin, false),
                (" Ann@2.example.ORG ", "ann-3", Role::Member, true),
                ("ann@3.example.org", "ann-4", Role::Member, false),
            ] {
                let user = desk.user(login).await.expect(login);
                assert_eq!((user.username.as_str(), user.role), (name, role), "{format}: {login}");
                assert_eq!((user.disabled, user.created_at), (disabled, CREATED), "{format}: {login}");
                assert!(desk.can_sign_in(login, "correct horse battery").await, "{format}: {login}");
            }
            let said = desk.run(&arguments, &people).await.unwrap();
            let again =
                "0 added; 3 were there already and are as they were\nthere already: ann, ann-3, ann-4\nignored: ";
            assert!(said.starts_with(again), "{format}: {said}");
        }
    }
}

#[tokio::test]
async fn derived_user_names_are_free_in_the_database_and_in_the_file() {
    for desk in Desk::each().await {
        desk.run(&["add", "info", "--email", "info@0.example"], GOOD).await.unwrap();
        let person = |fields: &str| format!(r#"{{{fields},"hash":"{BCRYPT}"}}"#);
        let mut people: Vec<_> =
            (0..300).map(|number| person(&format!(r#""email":"info@{number}.example""#))).collect();
        people.push(person(r#""username":"info-7""#));
        people.push(person(r#""email":"info-8@example.org""#));
        let said = desk.run(&["import", "-", "--usernames-from-email"], &people.join("\n")).await.unwrap();
        assert!(
            said.starts_with("301 added; 1 were there already and are as they were\nthere already: info\n"),
            "{said}"
        );
        assert!(said.contains("info-6 (line 6), info-8 (line 7), "), "{said}");
        assert_eq!(desk.user("info@1.example").await.unwrap().username.as_str(), "info-2");
        assert_eq!(desk.user("info-8@example.org").await.unwrap().username.as_str(), "info-8-2");
    }
}

#[tokio::test]
async fn each_mark_of_a_disabled_account_counts() {
    let desk = Desk::sqlite().await;
    for (number, (mark, disabled)) in [
        (r#""disabled":true"#, true),
        (r#""isDisabled":1"#, true),
        (r#""isActive":false"#, true),
        (r#""is_active":"f""#, true),
        (r#""active":0"#, true),
        (r#""enabled":"false""#, true),
        (r#""isEnabled":false"#, true),
        (r#""banned":true"#, true),
        (r#""isBanned":"t""#, true),
        (r#""blocked":true"#, true),
        (r#""isSuspended":true"#, true),
        (r#""deleted":true"#, true),
        (r#""deletedAt":{"$date":1714979289010}"#, true),
        (r#""deleted_at":"2024-05-06 07:08:09""#, true),
        (r#""bannedAt":1714979289010"#, true),
        (r#""status":"Suspended""#, true),
        (r#""status":"inactive""#, true),
        (r#""status":false"#, true),
        (r#""isActive":false,"enabled":true"#, true),
        (r#""isActive":true,"banned":false,"deletedAt":null,"status":"active""#, false),
        (r#""deletedAt":"","deleted_at":false,"email":"","passwordHash":null"#, false),
        (r#""status":"pending","blocked":[],"emailVerified":false"#, false),
    ]
    .into_iter()
    .enumerate()
    {
        let person = format!(r#"{{"username":"user{number}","password":"{BCRYPT}",{mark}}}"#);
        desk.run(&["import", "-"], &person).await.unwrap();
        assert_eq!(desk.user(&format!("user{number}")).await.unwrap().disabled, disabled, "{mark}");
    }
}

#[tokio::test]
async fn a_role_field_maps_flags_texts_and_lists() {
    let desk = Desk::sqlite().await;
    for (number, (role, expected)) in [
        (r#""admin""#, Role::Admin),
        (r#"["user","ADMIN"]"#, Role::Admin),
        (r#"[{"name":"admin"}]"#, Role::Admin),
        (r#"{"User":2001,"Admin":5150}"#, Role::Admin),
        (r#""[\"user\",\"admin\"]""#, Role::Admin),
        (r#""{user,admin}""#, Role::Admin),
        (r#""user, admin""#, Role::Admin),
        ("true", Role::Admin),
        ("1", Role::Admin),
        ("\"t\"", Role::Admin),
        ("\"user\"", Role::Member),
        ("\"administrator of nothing\"", Role::Member),
        (r#"{"User":2001,"Admin":null}"#, Role::Member),
        (r#"{"$oid":"65f000000000000000000001"}"#, Role::Member),
        ("[]", Role::Member),
        ("0", Role::Member),
        ("null", Role::Member),
    ]
    .into_iter()
    .enumerate()
    {
        let person = format!(r#"{{"username":"user{number}","password":"{BCRYPT}","roles":{role}}}"#);
        desk.run(&["import", "-", "--role-field", "roles"], &person).await.unwrap();
        assert_eq!(desk.user(&format!("user{number}")).await.unwrap().role, expected, "{role}");
        let other = person.replace(&format!("user{number}"), &format!("other{number}"));
        let said = desk.run(&["import", "-"], &other).await.unwrap();
        assert_eq!(said.contains("ignored: roles (1)"), role != "null", "{said}");
        assert_eq!(desk.user(&format!("other{number}")).await.unwrap().role, Role::Member, "ignored without option");
    }
    let person = format!(r#"{{"username":"ann","password":"{BCRYPT}","role":"customer"}}"#);
    let people = [person.clone(), person.replace("ann", "ben").replace("customer", "admin")].join("\n");
    desk.run(&["import", "-", "--role-field", "role"], &people).await.unwrap();
    for (name, role) in [("ann", Role::Member), ("ben", Role::Admin)] {
        assert_eq!(desk.user(name).await.unwrap().role, role, "{name}");
    }
}

#[tokio::test]
async fn date_in_no_known_form_is_counted_as_ignored() {
    let desk = Desk::sqlite().await;
    let person = format!(r#"{{"username":"ann","password":"{BCRYPT}","createdAt":"06.05.2024"}}"#);
    let said = desk.run(&["import", "-"], &person).await.unwrap();
    assert!(said.ends_with("\nignored: createdAt (1)\n"), "{said}");
    assert!(desk.user("ann").await.unwrap().created_at > CREATED, "the default is the time of the import");
}
