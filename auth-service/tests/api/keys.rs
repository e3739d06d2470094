//! `GET /.well-known/jwks.json`, and access tokens that a private key signs.

use reqwest::Method;
use serde_json::{Value, json};
use shared_claims::{PublicKey, SigningKey};

use crate::answer::names;
use crate::forge::header;
use crate::service::{MEMBER, Service};

const JWKS: &str = "/.well-known/jwks.json";

fn key(algorithm: &str) -> (String, PublicKey) {
    let pem = SigningKey::generate_pem(algorithm).unwrap();
    let public = SigningKey::from_pem(&pem).unwrap().public().unwrap().clone();
    (pem.trim_end().to_owned(), public)
}

#[tokio::test]
async fn public_keys_are_published_the_signing_one_first() {
    let ((signing, first), (_, second)) = (key("ES256"), key("EdDSA"));
    let previous = second.pem().unwrap();
    let settings = [("ACCESS_TOKEN_KEY", &*signing), ("ACCESS_TOKEN_KEY_PREVIOUS", previous.trim_end())];
    let service = Service::start(settings).await;
    let answer = service.nobody().get(JWKS).await.is(200);
    assert_eq!(answer.header("content-type"), "application/jwk-set+json");
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
    let set = answer.json();
    assert_eq!(names(&set), ["keys"]);
    let listed = set["keys"].as_array().unwrap();
    let kids: Vec<&Value> = listed.iter().map(|key| &key["kid"]).collect();
    assert_eq!(kids, [first.key_id(), second.key_id()]);
    assert_eq!(names(&listed[0]), ["alg", "crv", "kid", "kty", "use", "x", "y"]);
    assert_eq!(names(&listed[1]), ["alg", "crv", "kid", "kty", "use", "x"]);
    let tag = answer.header("etag").to_owned();
    assert!(tag.starts_with('"'), "a strong ETag: {tag}");
    let again = service.nobody().with("If-None-Match", &tag).get(JWKS).await.is(304);
    assert_eq!((again.header("etag"), &*again.body), (&*tag, ""));
    let head = service.nobody().call(Method::HEAD, JWKS, None).await.is(200);
    assert_eq!((head.header("etag"), &*head.body), (&*tag, ""));
}

#[tokio::test]
async fn private_key_signs_in_the_place_of_the_secret() {
    for algorithm in ["ES256", "EdDSA"] {
        let (signing, public) = key(algorithm);
        let old = Service::start([]).await;
        assert_eq!(old.nobody().get(JWKS).await.is(200).body, r#"{"keys":[]}"#);
        let by_secret = old.log_in(MEMBER).await;
        let service = Service::start_on(old.database.clone(), [("ACCESS_TOKEN_KEY", &*signing)]).await;
        let by_key = service.refresh(&by_secret.refresh).await.is(200).pair();
        assert_eq!(header(&by_key.access), json!({"typ": "at+jwt", "alg": algorithm, "kid": public.key_id()}));
        for token in [&by_secret.access, &by_key.access] {
            service.bearer(token).get("/me").await.is(200);
        }
        old.bearer(&by_key.access).get("/me").await.fails(401, "invalid_token");
        let alone = [("ACCESS_TOKEN_KEY", &*signing), ("ACCESS_TOKEN_SECRET", "")];
        let service = Service::start_on(old.database.clone(), alone).await;
        service.bearer(&by_secret.access).get("/me").await.fails(401, "invalid_token");
        service.bearer(&by_key.access).get("/me").await.is(200);
    }
}
