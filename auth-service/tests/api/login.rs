use futures_util::future::join_all;
use serde_json::json;
use shared_service::clock::now_ms;

use crate::answer::names;
use crate::database::Database;
use crate::forge::parts;
use crate::service::{ADMIN, GOOD, MEMBER, Service, new_name};

#[tokio::test]
async fn a_login_gives_two_tokens() {
    let service = Service::start([]).await;
    let answer = service.try_log_in(ADMIN).await.is(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(answer.headers.get("set-cookie").is_none());
    let body = answer.json();
    assert_eq!(names(&body), ["accessToken", "expiresIn", "refreshToken", "tokenType"]);
    assert_eq!((&body["tokenType"], &body["expiresIn"]), (&json!("Bearer"), &json!(900)));

    let pair = answer.pair();
    let me = service.bearer(&pair.access).get("/me").await.is(200).json();
    let [header, access] = parts(&pair.access);
    assert_eq!(names(&header), ["alg", "kid", "typ"]);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("HS256"), &json!("at+jwt")));
    assert_eq!(names(&access), ["aud", "exp", "iat", "iss", "jti", "role", "sid", "sub", "username"]);
    assert_eq!(access["aud"], json!(["auth-service", "books-service"]));
    assert_eq!((&access["iss"], &access["sub"]), (&json!("auth-service"), &me["id"]));
    assert_eq!((&access["username"], &access["role"]), (&json!("john"), &json!("admin")));
    assert_eq!(access["exp"].as_i64().unwrap() - access["iat"].as_i64().unwrap(), 900);
    assert!((now_ms() / 1000 - access["iat"].as_i64().unwrap()).abs() <= 5);

    let [header, refresh] = parts(&pair.refresh);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("HS256"), &json!("rt+jwt")));
    assert_eq!(names(&refresh), ["aud", "exp", "gen", "iat", "iss", "jti", "sid", "sub"]);
    assert_eq!((&refresh["aud"], &refresh["iss"]), (&json!("auth-service"), &json!("auth-service")));
    assert_eq!((&refresh["sub"], &refresh["sid"]), (&access["sub"], &access["sid"]));
    assert_eq!(refresh["exp"].as_i64().unwrap() - refresh["iat"].as_i64().unwrap(), 7 * 86400);
    assert_eq!(refresh["gen"], 1);
}

#[tokio::test]
async fn the_settings_say_how_long_tokens_live() {
    let settings = [("ACCESS_TOKEN_TTL", "5m"), ("REFRESH_TOKEN_TTL", "1h"), ("TOKEN_ISSUER", "https://auth.example")];
    let service = Service::start(settings).await;
    let answer = service.try_log_in(MEMBER).await.is(200);
    assert_eq!(answer.json()["expiresIn"], 300);
    let [_, refresh] = parts(&answer.pair().refresh);
    assert_eq!(refresh["exp"].as_i64().unwrap() - refresh["iat"].as_i64().unwrap(), 3600);
    assert_eq!(refresh["iss"], "https://auth.example");
    service.refresh(&answer.pair().refresh).await.is(200);

    let service = Service::start([("SESSION_MAX_AGE", "1m")]).await;
    let answer = service.try_log_in(MEMBER).await.is(200);
    let body = answer.json();
    let expires_in = body["expiresIn"].as_i64().unwrap();
    assert!((55..=60).contains(&expires_in), "no token outlives its session: {expires_in}");
    let [_, access] = parts(&answer.pair().access);
    assert_eq!(access["exp"].as_i64().unwrap() - access["iat"].as_i64().unwrap(), expires_in);
    let [_, refresh] = parts(&answer.pair().refresh);
    assert!(refresh["exp"].as_i64().unwrap() - refresh["iat"].as_i64().unwrap() <= 60);
}

#[tokio::test]
async fn a_name_or_an_email_in_any_case_logs_in() {
    let service = Service::start([]).await;
    let body = json!({"username": "ben", "password": GOOD, "email": "ben@example.org"});
    service.nobody().post("/register", &body).await.is(201);
    for (body, why) in [
        (json!({"username": "ben", "password": GOOD}), "the name"),
        (json!({"username": "BEN", "password": GOOD}), "the name in another case"),
        (json!({"email": "ben@example.org", "password": GOOD}), "the email"),
        (json!({"email": "Ben@Example.ORG", "password": GOOD}), "the email in another case"),
        (json!({"username": "ben@example.org", "password": GOOD}), "the email where the name is asked for"),
        (json!({"username": "ben", "email": null, "password": GOOD}), "null is nothing"),
        (json!({"username": "ben", "email": "ben@example.org", "password": GOOD}), "both"),
        (json!({"username": "ben", "password": GOOD, "remember": [true], "cookie": false}), "unknown members"),
    ] {
        println!("{why}");
        service.nobody().post("/login", &body).await.is(200);
    }
}

#[tokio::test]
async fn spellings_of_a_login_name_one_account() {
    let service = Service::start([]).await;
    for (registered, spellings) in [
        ("jürgen@müller.example", &["jürgen@xn--mller-kva.example", "Ju\u{308}rgen@MU\u{308}LLER.example"][..]),
        ("संपर्क@डाटामेल.भारत", &["संपर्क@xn--c2bd4bq1db8d.xn--h2brj9c", " संपर्क@डाटामेल.भारत\u{a0}"]),
        ("தொடர்பு@எடுத்துக்காட்டு.இந்தியா", &["தொடர்பு@எடுத்துக்காட்டு.இந்தியா\n"]),
        ("ผู้ใช้@ตัวอย่าง.ไทย", &[]),
        ("যোগাযোগ@উদাহরণ.বাংলা", &[]),
    ] {
        let name = new_name();
        let body = json!({"username": name, "email": registered, "password": GOOD});
        let user = service.nobody().post("/register", &body).await.is(201).json()["user"].clone();
        assert_eq!(user["email"], registered);
        let names = [name.to_uppercase(), format!("\t{name} "), registered.to_owned()];
        for login in names.iter().map(String::as_str).chain(spellings.iter().copied()) {
            let (field, other) = if login.contains('@') { ("email", new_name()) } else { ("username", new_name()) };
            service.nobody().post("/login", &json!({field: login, "password": GOOD})).await.is(200);
            if field == "email" {
                let again = json!({"username": other, "email": login.trim(), "password": GOOD});
                service.nobody().post("/register", &again).await.fails(409, "email_taken");
            }
        }
    }
}

#[tokio::test]
async fn missing_login_members_are_named() {
    let service = Service::start([]).await;
    for (body, fields) in [
        (json!({}), &["username", "password"][..]),
        (json!({"username": "john"}), &["password"]),
        (json!({"password": GOOD}), &["username"]),
        (json!({"email": null, "password": GOOD}), &["username"]),
        (json!({"email": "a@example.org"}), &["password"]),
    ] {
        service.nobody().post("/login", &body).await.refuses(fields);
    }
}

#[tokio::test]
async fn refused_login_does_not_reveal_the_account() {
    let service = Service::start([]).await;
    let disabled = service.newcomer().await;
    let body = json!({"disabled": true});
    service.admin().await.patch(&format!("/users/{}", disabled.id), &body).await.is(200);
    let long = "x".repeat(60_000);
    let mut bodies = Vec::new();
    for (name, password, why) in [
        ("john", "password123member", "somebody else's password"),
        ("john", "", "an empty password"),
        ("john", &long, "a long password"),
        ("nobody", GOOD, "an unknown name"),
        ("nobody@example.org", GOOD, "an unknown email"),
        ("", GOOD, "an empty name"),
        ("jo\0hn", GOOD, "what can be no name"),
        (&long, GOOD, "a long name"),
        (&disabled.name, GOOD, "a disabled account"),
        (&disabled.name, "wrong", "a disabled account and a wrong password"),
    ] {
        println!("{why}");
        let answer = service.try_log_in((name, password)).await.fails(401, "invalid_credentials");
        assert_eq!(answer.header("www-authenticate"), r#"Bearer realm="api""#);
        let mut body = answer.json();
        body["requestId"] = json!(null);
        bodies.push(body);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
}

/// A password, and its hash in an Express service.
const EXPRESS: (&str, &str) = ("correct horse battery", "$2b$04$uvuBjaGkDowoTbW6Vvf03eq.GaLGs.1YyY34ZuHoo2W13VnkNlrkK");

#[tokio::test]
async fn an_imported_password_is_rewritten_and_no_login_beside_it_fails() {
    for database in Database::each().await {
        let service = Service::start_on(database, []).await;
        let (password, hash) = EXPRESS;
        for _ in 0..5 {
            let name = service.newcomer().await.name;
            let import = format!("UPDATE users SET password_hash = '{hash}' WHERE username = '{name}'");
            service.database.execute(&import).await;
            let logins = join_all((0..8).map(|_| service.try_log_in((&name, password)))).await;
            for login in logins {
                let pair = login.is(200).pair();
                service.refresh(&pair.refresh).await.is(200);
            }
            let stored = stored_hash(&service, &name).await;
            assert!(stored.starts_with("fixed:$2b$04$"), "{stored}");
            service.try_log_in((&name, GOOD)).await.is(401);
        }
    }
}

/// The time of the rewrite would reveal that the password is right.
#[tokio::test]
async fn withheld_right_password_rewrites_no_hash() {
    let service = Service::start([("ACCOUNT_FAILURE_LIMIT", "3")]).await;
    let (password, hash) = EXPRESS;
    let mut withheld = 0;
    for _ in 0..3 {
        let name = service.newcomer().await.name;
        let import = format!("UPDATE users SET password_hash = '{hash}' WHERE username = '{name}'");
        service.database.execute(&import).await;
        let guesses = (0..20).map(|number| service.try_log_in((&name, if number == 17 { password } else { "guess" })));
        let answers = join_all(guesses).await;
        if answers[17].status == 429 {
            withheld += 1;
            assert_eq!(stored_hash(&service, &name).await, hash);
        }
    }
    assert!(withheld > 0, "the limit was reached each time after the right password");
}

#[tokio::test]
async fn imported_password_differing_after_72_bytes_still_logs_in() {
    for database in Database::each().await {
        let service = Service::start_on(database, []).await;
        let name = service.newcomer().await.name;
        let owners = "seven quiet owls count ships at night and one of them sings to the harbour!!";
        let owners = format!("{owners}{}", "!".repeat(80 - owners.len()));
        let hash = bcrypt::hash(&owners, 4).unwrap();
        let import = format!("UPDATE users SET password_hash = '{hash}' WHERE username = '{name}'");
        service.database.execute(&import).await;
        for password in [format!("{} another", &owners[..72]), owners[..72].to_owned(), owners.clone()] {
            service.log_in((&name, &password)).await;
            assert_eq!(stored_hash(&service, &name).await, hash, "{password}");
        }
        service.try_log_in((&name, &owners[..71])).await.fails(401, "invalid_credentials");
    }
}

#[tokio::test]
async fn password_repeated_after_nul_is_401_for_an_imported_hash() {
    let service = Service::start([]).await;
    let name = service.newcomer().await.name;
    let hash = bcrypt::hash("abc defg hij", 4).unwrap();
    service.database.execute(&format!("UPDATE users SET password_hash = '{hash}' WHERE username = '{name}'")).await;
    service.try_log_in((&name, "abc defg hij\0abc defg hij")).await.fails(401, "invalid_credentials");
    assert_eq!(stored_hash(&service, &name).await, hash);
    service.log_in((&name, "abc defg hij")).await;
}

#[tokio::test]
async fn password_in_another_unicode_form_logs_in() {
    let service = Service::start([]).await;
    let (composed, decomposed) = ("zw\u{f6}lf stille L\u{f6}wen", "zwo\u{308}lf stille Lo\u{308}wen");
    for (chosen, sent) in [(composed, decomposed), (decomposed, composed)] {
        let name = new_name();
        service.nobody().post("/register", &json!({"username": name, "password": chosen})).await.is(201);
        service.log_in((&name, chosen)).await;
        service.log_in((&name, sent)).await;
    }
}

/// While `BCRYPT_COST` is being changed, each instance rewrites the hashes that the other wrote.
#[tokio::test]
async fn instances_of_different_costs_refuse_no_right_password() {
    for database in Database::each().await {
        let database = std::sync::Arc::new(database);
        let one = Service::start_on(database.clone(), []).await;
        let two = Service::start_on(database, [("BCRYPT_COST", "5")]).await;
        let person = one.newcomer().await;
        for round in 0..5 {
            let logins = (0..16).map(|number| [&one, &two][number % 2].try_log_in((&person.name, GOOD)));
            for (number, login) in join_all(logins).await.into_iter().enumerate() {
                assert_eq!(login.status, 200, "round {round}, login {number}: {login:?}");
            }
        }
        let (old, new) = (GOOD, "another vK7#qz!Lw2");
        let body = json!({"currentPassword": old, "newPassword": new});
        let owner = one.bearer(&person.pair.access);
        let logins = join_all((0..8).map(|_| two.try_log_in((&person.name, old))));
        let (change, _) = tokio::join!(owner.put("/me/password", &body), logins);
        change.is(204);
        two.log_in((&person.name, new)).await;
        one.try_log_in((&person.name, old)).await.fails(401, "invalid_credentials");
    }
}

async fn stored_hash(service: &Service, name: &str) -> String {
    let mut connection = service.database.connect().await;
    let select = sqlx::query_scalar("SELECT password_hash FROM users WHERE username = $1").bind(name);
    select.fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn demo_users_exist_only_with_demo_data() {
    let service = Service::start([("DEMO_DATA", "false")]).await;
    for person in [ADMIN, MEMBER] {
        service.try_log_in(person).await.is(401);
    }

    let service = Service::start([]).await;
    let body = json!({"currentPassword": MEMBER.1, "newPassword": GOOD});
    service.member().await.put("/me/password", &body).await.is(204);
    let again = Service::start_on(service.database.clone(), []).await;
    again.try_log_in(MEMBER).await.is(401);
    again.log_in((MEMBER.0, GOOD)).await;
    again.log_in(ADMIN).await;
}
