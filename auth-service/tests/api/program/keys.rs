use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::slice;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::{Desk, Served};

#[test]
fn keygen_makes_a_private_key_once() {
    for algorithm in ["ES256", "EdDSA"] {
        let desk = Desk::bare().set("ACCESS_TOKEN_KEY_FILE", "key.pem");
        let kid = desk.run(&["keygen", "--algorithm", algorithm, "key.pem"], "").is(0).out;
        let path = desk.folder.join("key.pem");
        let key = fs::read_to_string(&path).unwrap();
        assert!(key.starts_with("-----BEGIN PRIVATE KEY-----\n"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(desk.run(&["keygen", "--algorithm", algorithm, "key.pem"], "").is(0).out, kid);
        let other = if algorithm == "ES256" { "EdDSA" } else { "ES256" };
        let ended = desk.run(&["keygen", "--algorithm", other, "key.pem"], "").is(1);
        assert!(ended.err.contains(&format!("key.pem is a key for another algorithm than {other}")), "{ended:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), key, "the key is kept");
        desk.run(&["keygen", "--algorithm", algorithm, "a.pem", "b.pem"], "").is(1);
        assert!(desk.run(&["keygen", "--algorithm", algorithm], "").is(0).out.starts_with("-----BEGIN PRIVATE"));
        assert_eq!(desk.run(&["keys"], "").is(0).out, format!("{}  {algorithm}  in use\n", kid.trim_end()));
        let set: Value = serde_json::from_str(&desk.run(&["keys", "--jwks"], "").is(0).out).unwrap();
        assert_eq!(set["keys"][0]["kid"], kid.trim_end());
        let public = desk.run(&["keys", "--pem"], "").is(0).out;
        assert!(public.starts_with("-----BEGIN PUBLIC KEY-----\n") && !key.contains(public.lines().nth(1).unwrap()));
        let previous = Desk::bare().set("ACCESS_TOKEN_KEY_PREVIOUS", public.trim_end());
        let shown = previous.run(&["keys"], "").is(0).out;
        let other = format!("{}  {algorithm}  standby or previous\n", kid.trim_end());
        assert_eq!(shown, format!("access tokens are signed with ACCESS_TOKEN_SECRET (HS256)\n{other}"));
    }
    Desk::bare().run(&["keygen", "--algorithm", "RS256"], "").is(2);
}

#[test]
fn doctor_names_a_key_file_that_every_user_can_read() {
    let desk = Desk::new().set("ACCESS_TOKEN_KEY_FILE", "key.pem");
    let kid = desk.run(&["keygen", "--algorithm", "ES256", "key.pem"], "").is(0).out;
    let examined = |mode| {
        fs::set_permissions(desk.folder.join("key.pem"), Permissions::from_mode(mode)).unwrap();
        desk.run(&["doctor"], "").is(0).out
    };
    let well = examined(0o440);
    assert!(well.contains(&format!("ES256 of access tokens, kid {}: in use", kid.trim_end())), "{well}");
    assert!(!well.contains("every user can read"), "{well}");
    assert!(examined(0o644).contains("ACCESS_TOKEN_KEY_FILE: every user can read key.pem (mode 644): chmod 600"));
}

#[tokio::test]
async fn verdict_names_algorithm_and_key() {
    let desk = Desk::new().set("ACCESS_TOKEN_KEY_FILE", "key.pem").set("DEMO_DATA", "true");
    let kid = desk.run(&["keygen", "--algorithm", "ES256", "key.pem"], "").is(0).out;
    let service = desk.serve();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = serde_json::json!({"username": "anna", "password": "password123member"});
    let answer = client.post(service.url("/login")).json(&body).send().await.unwrap();
    let pair: Value = answer.json().await.unwrap();
    let token = pair["accessToken"].as_str().unwrap();
    let ended = desk.run(&["token", "verify", "-"], token).is(0);
    assert!(ended.out.ends_with(&format!("accepted: ES256, kid {kid}")), "{ended:?}");
    desk.run(&["keygen", "--algorithm", "ES256", "next.pem"], "").is(0);
    fs::rename(desk.folder.join("next.pem"), desk.folder.join("key.pem")).unwrap();
    let ended = desk.run(&["token", "verify", "-"], token).is(1);
    let expected = "refused: The token's key is not known; `auth-service keys` lists the known ones\n";
    assert!(ended.err.ends_with(expected), "{ended:?}");
}

#[tokio::test]
async fn more_keys_than_a_verifier_accepts_are_refused() {
    let desk = Desk::new().set("ACCESS_TOKEN_KEY_FILE", "key.pem").set("ACCESS_TOKEN_KEY_PREVIOUS_FILE", "others.pem");
    desk.run(&["keygen", "--algorithm", "ES256", "key.pem"], "").is(0);
    let others: Vec<_> = (0..16).map(|_| desk.run(&["keygen", "--algorithm", "ES256"], "").is(0).out).collect();
    let file = desk.folder.join("others.pem");
    fs::write(&file, others[..15].concat()).unwrap();
    let service = desk.serve();
    assert_eq!(kids(&service).await.len(), 16);
    fs::write(&file, others.concat()).unwrap();
    service.signal(Signal::HUP);
    let why = "ACCESS_TOKEN_KEY_PREVIOUS holds too many keys: with the key in use, 17 would be published, and a verifier \
               accepts 16";
    service.says(why).await;
    assert_eq!(kids(&service).await.len(), 16);
    let doctor = desk.run(&["doctor"], "").is(1);
    assert!(doctor.out.contains(why), "{doctor:?}");
    let start = desk.run(&[], "").is(1);
    assert!(start.err.contains(why), "{start:?}");
}

async fn kids(service: &Served) -> Vec<Value> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(service.url("/.well-known/jwks.json")).send().await.unwrap();
    let set: Value = answer.json().await.unwrap();
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect()
}

#[tokio::test]
async fn hangup_reads_the_keys_again_and_an_unusable_file_changes_nothing() {
    let desk = Desk::new().set("ACCESS_TOKEN_KEY_FILE", "key.pem");
    let [first, second] = ["key.pem", "next.pem"].map(|file| {
        let kid = desk.run(&["keygen", "--algorithm", "ES256", file], "").is(0).out;
        Value::from(kid.trim_end())
    });
    let service = desk.serve();
    assert_eq!(kids(&service).await, slice::from_ref(&first));
    fs::write(desk.folder.join("key.pem"), "-----BEGIN PRIVATE KEY-----\nMIGHAgEA").unwrap();
    service.signal(Signal::HUP);
    service.says("the keys of access tokens stay as they were").await;
    assert_eq!(kids(&service).await, [first]);
    fs::rename(desk.folder.join("next.pem"), desk.folder.join("key.pem")).unwrap();
    service.signal(Signal::HUP);
    for _ in 0..100 {
        if kids(&service).await == slice::from_ref(&second) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(kids(&service).await, [second]);
    service.signal(Signal::TERM);
    let (code, log) = service.end().await;
    assert_eq!(code, Some(0));
    assert!(log.contains("the keys of access tokens stay as they were"), "{log}");
}
