//! Third services in other languages and verifiers of other JWT libraries, with tokens of a secret and of private keys.

use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use rustix::process::Signal;
use serde_json::{Value, json};
use shared_service::clock::now_ms;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::process::{Folder, Output, PATIENCE, Program, root};
use crate::stack::Stack;
use crate::targets::{binary, is_outside, logged, random_secret, variable};
use crate::tokens::{signed, with};

const PYTHON: &str = "target/tools/orders-fastapi/bin/python";

/// The third services: folder in examples, program, arguments of the program.
const SERVICES: [(&str, &str, &[&str]); 2] = [
    ("orders-express", "node", &["server.mjs"]),
    ("orders-fastapi", PYTHON, &["-m", "uvicorn", "main:app", "--port", "0"]),
];

/// Verifiers: name, true if it supports `EdDSA`, program, folder, code. Each fetches the keys from the URL in its first
/// argument, and prints the `sub` of the token in the second.
const VERIFIERS: [(&str, bool, &str, &str, &str); 3] = [
    (
        "jose",
        true,
        "node",
        "examples/orders-express",
        "import { createRemoteJWKSet, jwtVerify } from 'jose';
        const [url, token] = process.argv.slice(-2);
        const expected = { typ: 'at+jwt', issuer: 'auth-service', audience: 'orders-service' };
        console.log((await jwtVerify(token, createRemoteJWKSet(new URL(url)), expected)).payload.sub);",
    ),
    (
        "jsonwebtoken and jwks-rsa",
        false,
        "node",
        "target/tools/jwks-rsa",
        "import { createRequire } from 'node:module';
        const require = createRequire(process.cwd() + '/');
        const jwt = require('jsonwebtoken');
        const [jwksUri, token] = process.argv.slice(-2);
        const keys = require('jwks-rsa')({ jwksUri });
        const key = (header, done) => keys.getSigningKey(header.kid, (error, key) => done(error, key?.getPublicKey()));
        const expected = { algorithms: ['ES256', 'RS256'], issuer: 'auth-service', audience: 'orders-service' };
        jwt.verify(token, key, expected, (error, claims) => { if (error) throw error; console.log(claims.sub); });",
    ),
    (
        "PyJWT",
        true,
        PYTHON,
        "examples/orders-fastapi",
        "import jwt, sys
url, token = sys.argv[-2:]
key = jwt.PyJWKClient(url).get_signing_key_from_jwt(token)
expected = {'issuer': 'auth-service', 'audience': 'orders-service'}
print(jwt.decode(token, key, algorithms=['ES256', 'EdDSA', 'RS256'], **expected)['sub'])",
    ),
];

/// auth-service with the demo users, and with `orders-service` in the audience of its tokens.
struct Auth {
    program: Program,
    url: String,
    folder: Folder,
}

impl Auth {
    /// Starts auth-service, which signs with `secret` or else with a key of this algorithm.
    async fn start(secret: Option<&str>, algorithm: &str) -> Self {
        let (folder, refresh) = (Folder::new(), random_secret());
        fs::write(folder.path().join("key.pem"), generated(algorithm)).unwrap();
        let signs = secret.map_or(("ACCESS_TOKEN_KEY_FILE", "key.pem"), |secret| ("ACCESS_TOKEN_SECRET", secret));
        let settings = [
            signs,
            ("AUTH_ADDR", "127.0.0.1:0"),
            ("AUTH_DATABASE_URL", "sqlite://auth.db?mode=rwc"),
            ("REFRESH_TOKEN_SECRET", &*refresh),
            ("ACCESS_TOKEN_AUDIENCE", "auth-service,orders-service"),
            ("DEMO_DATA", "true"),
            ("WORKERS", "2"),
            ("BCRYPT_COST", "4"),
        ];
        let program = Program::start(&binary("auth-service"), folder.path(), &settings);
        Self { url: logged(&program).await, program, folder }
    }

    /// Starts the service `name` of the examples; returns it and its URL.
    async fn join(&self, service: (&str, &str, &[&str]), secret: Option<&str>) -> (Program, String) {
        join(&self.url, service, secret).await
    }
}

/// Starts the service `name` of the examples beside the auth-service at `auth`; returns it and its URL.
async fn join(
    auth: &str,
    (name, program, arguments): (&str, &str, &[&str]),
    secret: Option<&str>,
) -> (Program, String) {
    let path = variable("PATH").unwrap();
    let ours = [("PATH", &*path), ("AUTH_URL", auth), ("ORDERS_PORT", "0"), ("PYTHONDONTWRITEBYTECODE", "1")];
    let settings: Vec<_> = ours.into_iter().chain(secret.map(|secret| ("ACCESS_TOKEN_SECRET", secret))).collect();
    let program = if program.contains('/') { root().join(program) } else { program.into() };
    let program = Program::start_with(&program, arguments, &root().join("examples").join(name), &settings);
    let address = |line: &String| Some(line[line.find("http://127.0.0.1:")?..].split(' ').next()?.to_owned());
    let address = program.says(|output: &Output| output.out.iter().chain(&output.err).find_map(address)).await;
    (program, address)
}

/// An auth-service whose clock is behind, and which sends `body` whatever is requested; returns its URL.
async fn odd_auth(body: Arc<Mutex<String>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let body = body.lock().unwrap().clone();
            let head =
                "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nConnection: close\r\nContent-Length: ";
            // An error is no failure: the service has ended.
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes()).await;
        }
    });
    url
}

/// A valid access token of anna, to be changed: header and claims.
fn honest() -> (Value, Value) {
    let iat = now();
    let claims = json!({
        "iss": "auth-service", "aud": ["orders-service"], "sub": "u-1", "sid": "s-1", "jti": "t-1", "username": "anna",
        "role": "member", "iat": iat, "exp": iat + 900,
    });
    (json!({"alg": "HS256", "typ": "at+jwt"}), claims)
}

fn now() -> u64 {
    u64::try_from(now_ms() / 1000).unwrap()
}

fn generated(algorithm: &str) -> String {
    let output = Command::new(binary("auth-service")).args(["keygen", "--algorithm", algorithm]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until `token` is accepted or refused. The limit is 1.5 seconds, and some more for a busy machine.
async fn wait_until(stack: &Stack, token: &str, is_accepted: bool) {
    let begun = Instant::now();
    loop {
        let answer = stack.books().bearer(token).get("/orders").await;
        if answer.is_ok() == is_accepted {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(4), "{answer:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Node and Python: ./test")]
async fn third_services_follow_secret_keys_and_revocations() {
    if is_outside("third services") {
        return;
    }
    let secret = random_secret();
    for (secret, algorithm) in [(Some(&*secret), "ES256"), (None, "ES256"), (None, "EdDSA")] {
        let auth = Auth::start(secret, algorithm).await;
        for service in SERVICES {
            println!("{} with {}", service.0, secret.map_or(algorithm, |_| "HS256"));
            let (_running, orders) = auth.join(service, secret).await;
            // orders-service takes the place of books-service.
            let stack = Stack::new(service.0, auth.url.clone(), orders);
            let (anna, john) = (stack.anna().await, stack.john().await);
            let get = async |token: &str| stack.books().bearer(token).get("/orders").await;
            assert_eq!(get(&anna.access).await.is(200).body, "No orders yet, anna.\n");
            let added = stack.books().bearer(&anna.access).post("/orders", json!({"item": "pen"})).await.is(200);
            assert_eq!(added.body, "One pen for anna.\n");
            let (rest, signature) = anna.access.rsplit_once('.').unwrap();
            let forged = format!("{rest}.{}", signature.chars().rev().collect::<String>());
            for token in ["", "x", &anna.refresh, &forged] {
                let refused = get(token).await.is(401);
                assert!(refused.header("www-authenticate").starts_with("Bearer error="), "{refused:#?}");
                stack.books().bearer(token).post("/orders", json!({"item": "pen"})).await.is(401);
            }
            stack.auth().post("/logout", json!({"token": anna.refresh})).await.is(200);
            wait_until(&stack, &anna.access, false).await;
            get(&john.access).await.is(200);
            if secret.is_none() {
                // The key has leaked, and is replaced.
                fs::write(auth.folder.path().join("key.pem"), generated(algorithm)).unwrap();
                auth.program.signal(Signal::HUP);
                wait_until(&stack, &john.access, false).await;
                let renewed = stack.refresh(&john.refresh).await.tokens();
                wait_until(&stack, &renewed.access, true).await;
            }
        }
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Node and Python: ./test")]
async fn third_services_refuse_every_token_that_others_refuse() {
    let (secret, body) = (random_secret(), Arc::new(Mutex::new(r#"{"keys":[],"cursor":"c","entries":[]}"#.to_owned())));
    let url = odd_auth(body).await;
    for service in SERVICES {
        println!("{}", service.0);
        let (_running, orders) = join(&url, service, Some(&secret)).await;
        let stack = Stack::new(service.0, url.clone(), orders);
        let (header, claims) = honest();
        let get = async |header: &Value, claims: &Value| {
            println!("{header} {claims}");
            stack.books().bearer(signed(header, claims, &secret)).get("/orders").await
        };
        for typ in ["at+jwt", "application/at+jwt"] {
            get(&with(header.clone(), &json!({"typ": typ})), &claims).await.is(200);
        }
        for change in [
            json!({"sub": ""}),
            json!({"sub": 1}),
            json!({"sid": ""}),
            json!({"sid": ["s-1"]}),
            json!({"jti": 1}),
            json!({"username": ""}),
            json!({"username": {"name": "anna"}}),
            json!({"role": "root"}),
            json!({"role": ["admin"]}),
            json!({"iat": now().to_string()}),
            json!({"iat": now() + 60}),
            json!({"iat": now() + 4, "exp": now() + 2}),
            json!({"exp": true}),
            json!({"exp": 1e300}),
            serde_json::from_str(&format!(r#"{{"exp": {}.5}}"#, now() + 60)).unwrap(),
            json!({"exp": now() + 1000}),
        ] {
            get(&header, &with(claims.clone(), &change)).await.is(401);
        }
        let good = signed(&header, &claims, &secret);
        for (values, status) in [
            (vec![format!("bEARER  {good}")], 200),
            (vec![format!("Bearer {good} x")], 401),
            (vec![format!("Bearer {good}"), format!("Bearer {good}")], 401),
            (vec![format!("Bearer {good}"), "Basic x".to_owned()], 401),
        ] {
            let caller = values.iter().fold(stack.books(), |caller, value| caller.with("Authorization", value));
            println!("{values:?}");
            caller.get("/orders").await.is(status);
        }
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Node and Python: ./test")]
async fn challenge_of_third_services_is_valid_whatever_the_token_says() {
    let (secret, url) = (random_secret(), odd_auth(Arc::default()).await);
    for service in SERVICES {
        let (_running, orders) = join(&url, service, Some(&secret)).await;
        let stack = Stack::new(service.0, url.clone(), orders);
        for text in ["\u{20ac}", "a\rb", "a\nb", "\0", "\\", "x\", error=\"insufficient_scope"] {
            println!("{} {text:?}", service.0);
            let token = signed(&with(honest().0, &json!({"crit": [text], text: 1})), &honest().1, "no secret");
            let refused = stack.books().bearer(token).get("/orders").await.is(401);
            let challenge = refused.header("www-authenticate");
            assert!(challenge.starts_with(r#"Bearer error="invalid_token", error_description=""#), "{challenge}");
            assert!(challenge.matches('"').count() == 4 && !challenge.contains('\\'), "{challenge}");
        }
        // A lone surrogate, which Rust cannot write.
        let header = BASE64URL.encode(r#"{"alg":"HS256","typ":"at+jwt","crit":["\ud800"],"\ud800":1}"#);
        stack.books().bearer(format!("{header}.e30.AA")).get("/orders").await.is(401);
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Node and Python: ./test")]
async fn third_services_survive_an_odd_answer_and_drop_no_entry_early() {
    let (secret, body) = (random_secret(), Arc::new(Mutex::new("null".to_owned())));
    let url = odd_auth(Arc::clone(&body)).await;
    for service in SERVICES {
        println!("{}", service.0);
        "null".clone_into(&mut body.lock().unwrap());
        let (_running, orders) = join(&url, service, Some(&secret)).await;
        let stack = Stack::new(service.0, url.clone(), orders);
        let (header, claims) = honest();
        let token = signed(&header, &claims, &secret);
        wait_until(&stack, &token, true).await;
        // The end is in the past by the clock here, and not by that of auth-service.
        let list = json!({"keys": [], "cursor": "c", "entries": [{"sid": "s-1", "until": 1_767_225_700}]});
        list.to_string().clone_into(&mut body.lock().unwrap());
        wait_until(&stack, &token, false).await;
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Node and Python: ./test")]
async fn third_services_check_the_token_before_the_body() {
    let (secret, url) = (random_secret(), odd_auth(Arc::default()).await);
    for service in SERVICES {
        println!("{}", service.0);
        let (_running, orders) = join(&url, service, Some(&secret)).await;
        let stack = Stack::new(service.0, url.clone(), orders);
        let mut stream = TcpStream::connect(stack.books.trim_start_matches("http://")).await.unwrap();
        let head =
            "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 150000000\r\n\r\n{";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        timeout(PATIENCE, stream.read_exact(&mut status)).await.expect("it waits for the body").unwrap();
        assert_eq!(&status, b"HTTP/1.1 401");
        let (header, claims) = honest();
        let member = stack.books().bearer(signed(&header, &claims, &secret));
        member.post("/orders", json!({"item": "pen"})).await.is(200);
        member.post("/orders", json!({"item": "x".repeat(110_000)})).await.is(413);
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Node and Python: ./test")]
async fn verifiers_of_other_makes_accept_published_keys() {
    if is_outside("verifiers of other makes") {
        return;
    }
    for algorithm in ["ES256", "EdDSA"] {
        let auth = Auth::start(None, algorithm).await;
        let stack = Stack::new("verifiers", auth.url.clone(), auth.url.clone());
        let anna = stack.anna().await;
        let me = stack.auth().bearer(&anna.access).get("/me").await.is(200).text("id");
        for (name, knows_eddsa, program, folder, code) in VERIFIERS {
            if algorithm == "EdDSA" && !knows_eddsa {
                continue;
            }
            let run = if program == "node" { ["--input-type=module", "-e"] } else { ["-B", "-c"] };
            let program = if program.contains('/') { root().join(program) } else { program.into() };
            let mut command = Command::new(program);
            command.args(run).arg(code).arg(format!("{}/.well-known/jwks.json", auth.url)).arg(&anna.access);
            let done = command.current_dir(root().join(folder)).env("no_proxy", "*").output();
            let done =
                done.unwrap_or_else(|error| panic!("{name}: {error}: run ./test, which installs what is missing"));
            assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), me, "{name}: {done:?}");
        }
    }
}
