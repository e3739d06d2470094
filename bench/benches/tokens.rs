//! The cost of verifying, signing and rotating one token, and of a look-up among revocations. See `bench/README.md`.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark has no caller that could handle an error")]

use std::env::temp_dir;
use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use auth_service::app::MIGRATIONS;
use auth_service::sessions::{Label, Rotation, Rules, SessionStore, SqlSessions};
use auth_service::sql::SqlStore;
use criterion::{Criterion, criterion_group, criterion_main};
use shared_claims::{AccessClaims, Keyring, PublicKeys, Revocation, Revocations, Secret, Signer, SigningKey, Verifier};
use shared_service::database;
use tokio::runtime::Runtime;
use uuid::Uuid;

const NOW: u64 = 1_769_860_800;
const LIFE: Duration = Duration::from_mins(15);
const AUDIENCE: &str = "books-service";

fn claims() -> AccessClaims {
    AccessClaims {
        sub: Uuid::now_v7().to_string(),
        exp: NOW + LIFE.as_secs(),
        iat: NOW,
        jti: Uuid::new_v4().to_string(),
        sid: Uuid::new_v4().to_string(),
        username: "john".to_owned(),
        role: "admin".to_owned(),
    }
}

/// Signer and verifier of each algorithm.
fn algorithms() -> [(&'static str, Signer<AccessClaims>, Verifier<AccessClaims>); 4] {
    ["HS256", "ES256", "EdDSA", "RS256"].map(|name| {
        let (signer, keys) = if name == "HS256" {
            let secret = Secret::parse("a secret of the bench, of 32 bytes and more").unwrap();
            let signer = Signer::new("auth-service", &[AUDIENCE.to_owned()], &secret).unwrap();
            (signer, Keyring::new([&secret], None).unwrap())
        } else {
            let key = SigningKey::from_pem(&SigningKey::generate_pem(name).unwrap_or_else(rsa_pem)).unwrap();
            let keys = PublicKeys::own(vec![key.public().unwrap().clone()]);
            let signer = Signer::with_key("auth-service", &[AUDIENCE.to_owned()], key).unwrap();
            (signer, Keyring::new([], Some(keys)).unwrap())
        };
        (name, signer, Verifier::with_keys("auth-service", AUDIENCE, LIFE, keys).unwrap())
    })
}

fn rsa_pem() -> String {
    let mut openssl = Command::new("openssl");
    openssl.args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    String::from_utf8(openssl.output().expect("openssl makes the RSA key").stdout).unwrap()
}

fn tokens(bench: &mut Criterion) {
    for (algorithm, signer, verifier) in algorithms() {
        let (claims, token) = (claims(), signer.sign(&claims()));
        let (rest, last) = token.split_at(token.len() - 4);
        let forged = format!("{rest}{}", if last == "AAAA" { "BBBB" } else { "AAAA" });
        verifier.verify(&token, NOW).unwrap();
        bench.bench_function(&format!("verify/{algorithm}/known"), |bench| {
            bench.iter(|| verifier.verify(black_box(&token), NOW).unwrap());
        });
        // `verify_expired_too`, for logouts, caches no token, so each one is new to it.
        bench.bench_function(&format!("verify/{algorithm}/new"), |bench| {
            bench.iter(|| verifier.verify_expired_too(black_box(&token), NOW).unwrap());
        });
        bench.bench_function(&format!("verify/{algorithm}/forged"), |bench| {
            bench.iter(|| verifier.verify(black_box(&forged), NOW).unwrap_err());
        });
        bench.bench_function(&format!("sign/{algorithm}"), |bench| bench.iter(|| signer.sign(black_box(&claims))));
    }
}

fn revocations(bench: &mut Criterion) {
    for entries in [0, 100_000] {
        let list = Revocations::new(None);
        let ended = |_| Revocation::Session { sid: Uuid::new_v4().to_string(), until: u64::MAX };
        list.add(&(0..entries).map(ended).collect::<Vec<_>>(), NOW);
        let claims = claims();
        bench.bench_function(&format!("revocations/look-up among {entries}"), |bench| {
            bench.iter(|| list.is_revoked(black_box(&claims.sid), &claims.sub, claims.iat));
        });
    }
}

/// A rotation in `SQLite`.
fn rotation(bench: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let file = temp_dir().join(format!("rotation-{}.db", Uuid::new_v4().simple()));
    let rules = Rules { refresh_ttl: LIFE, max_age: LIFE, grace: Duration::ZERO, access_ttl: LIFE };
    let user_id = Uuid::now_v7().to_string();
    let (store, session) = runtime.block_on(async {
        let pool = database::open(&format!("sqlite://{}?mode=rwc", file.display()), &MIGRATIONS, &[]).await.unwrap();
        let store = Arc::new(SqlSessions::on(SqlStore::open(pool).await.unwrap(), rules).await.unwrap());
        let session = store.open(&user_id, Label::default()).await.unwrap();
        (store, session)
    });
    let mut generation = session.generation;
    bench.bench_function("rotate/SQLite", |bench| {
        bench.iter(|| {
            let done = runtime.block_on(store.rotate(&user_id, session.id, generation)).unwrap();
            assert!(matches!(done, Rotation::Rotated(_)));
            generation += 1;
        });
    });
    for end in ["", "-wal", "-shm"] {
        drop(std::fs::remove_file(format!("{}{end}", file.display())));
    }
}

criterion_group!(benches, tokens, revocations, rotation);
criterion_main!(benches);
