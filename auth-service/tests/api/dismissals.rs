//! Callers who lose a right while their call is served: the write of the call is refused.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor};
use tokio::time::sleep;

use crate::caller::Caller;
use crate::database::Database;
use crate::mail::TO_LOG;
use crate::outages::keep_to_one_processor;
use crate::service::{GOOD, Person, Service, new_name, on_each_store};

const NEW: &str = "Mz4?tuRnip-9";

/// Statements that take a user's rights away, and true if the user loses their own account, too.
const DISMISSALS: [(&str, bool); 3] = [
    ("UPDATE users SET role = 'member' WHERE id = '{id}'", false),
    ("UPDATE users SET disabled = 1 WHERE id = '{id}'", true),
    ("DELETE FROM users WHERE id = '{id}'", true),
];

/// Long enough for a login to reach the thread that hashes, and for a call to pass authorization. A slower call is
/// refused by authorization instead.
const CHECKED: Duration = Duration::from_millis(300);

/// A bcrypt hash of another password, of cost 13.
const SLOW_HASH: &str = "$2b$13$uvuBjaGkDowoTbW6Vvf03eq.GaLGs.1YyY34ZuHoo2W13VnkNlrkK";

const SETTINGS: [(&str, &str); 4] = [("BCRYPT_COST", "9"), TO_LOG[0], TO_LOG[1], TO_LOG[2]];

/// A call that writes.
type Write = (Method, String, Value);

/// An admin who loses their rights, and the accounts that they try to change and to add.
struct Scene {
    rogue: Person,
    victim: Person,
    newcomer: String,
}

impl Scene {
    async fn new(service: &Service, root: &Caller<'_>) -> Self {
        Self { rogue: service.new_admin(root).await, victim: service.newcomer().await, newcomer: new_name() }
    }

    /// The calls that hash a password between authorization and the write.
    fn hashed(&self, of_owner: bool) -> Vec<Write> {
        let newcomer = json!({"username": self.newcomer, "password": GOOD, "role": "admin"});
        let mut writes = vec![
            (Method::POST, "/users".to_owned(), newcomer),
            (Method::PATCH, format!("/users/{}", self.victim.id), json!({"password": NEW})),
        ];
        if of_owner {
            let change = json!({"currentPassword": GOOD, "newPassword": NEW});
            writes.push((Method::PUT, "/me/password".to_owned(), change));
            writes.push((Method::DELETE, "/me".to_owned(), json!({"currentPassword": GOOD})));
        }
        writes
    }

    /// The same calls, and the change of the email address, which takes no turn.
    fn hashed_or_mailed(&self, of_owner: bool) -> Vec<Write> {
        let address = json!({"email": "new@example.org", "currentPassword": GOOD});
        let mailed = of_owner.then(|| (Method::PUT, "/me/email".to_owned(), address));
        self.hashed(of_owner).into_iter().chain(mailed).collect()
    }

    /// The other calls that write.
    fn plain(&self) -> Vec<Write> {
        let victim = format!("/users/{}", self.victim.id);
        vec![
            (Method::PATCH, format!("/users/{}", self.rogue.id), json!({"role": "admin", "disabled": false})),
            (Method::DELETE, victim.clone(), json!({})),
            (Method::DELETE, format!("{victim}/sessions"), json!({})),
        ]
    }

    /// Makes all of `writes` at once, and asserts that each is refused.
    async fn refused(&self, service: &Service, writes: Vec<Write>) {
        let rogue = service.bearer(&self.rogue.pair.access);
        let calls = writes.iter().map(|(method, path, body)| rogue.call(method.clone(), path, Some(body.to_string())));
        for answer in join_all(calls).await {
            assert!([401, 403].contains(&answer.status.as_u16()), "{answer:?}");
        }
    }

    /// Asserts that nothing was written.
    async fn unchanged(&self, service: &Service, root: &Caller<'_>, is_there: bool) {
        let found = root.get(&format!("/users?q={}", self.newcomer)).await.is(200);
        assert_eq!(found.header("x-total-count"), "0", "{found:?}");
        service.log_in((&self.victim.name, GOOD)).await;
        service.refresh(&self.victim.pair.refresh).await.is(200);
        if is_there {
            let back = root.patch(&format!("/users/{}", self.rogue.id), &json!({"disabled": false})).await.is(200);
            assert!(!back.body.is_empty());
            service.log_in((&self.rogue.name, GOOD)).await;
        }
    }
}

/// Logins that keep all four lanes of the one thread that hashes busy until long after twice [`CHECKED`]: each lane has
/// three of them, and the hash that they are checked against costs 16 times that of the others.
async fn crowd(service: &Service) -> impl Future<Output = ()> {
    let slow = service.newcomer().await.name;
    let import = format!("UPDATE users SET password_hash = '{SLOW_HASH}' WHERE username = '{slow}'");
    service.database.execute(&import).await;
    async move {
        join_all([GOOD; 12].map(|password| service.try_log_in((&slow, password)))).await;
    }
}

fn dismissal(text: &str, scene: &Scene) -> AssertSqlSafe<String> {
    AssertSqlSafe(text.replace("{id}", &scene.rogue.id))
}

#[tokio::test]
async fn account_dismissed_while_a_password_is_hashed_writes_nothing() {
    keep_to_one_processor();
    for database in Database::each().await {
        let service = Service::start_on(database, SETTINGS).await;
        let root = service.admin().await;
        for (text, of_owner) in DISMISSALS {
            println!("{text}");
            let scene = Scene::new(&service, &root).await;
            let crowd = crowd(&service).await;
            let calls = async {
                sleep(CHECKED).await;
                scene.refused(&service, scene.hashed_or_mailed(of_owner)).await;
            };
            let dismissal = async {
                sleep(CHECKED * 2).await;
                service.database.execute(&dismissal(text, &scene).0).await;
            };
            tokio::join!(crowd, calls, dismissal);
            scene.unchanged(&service, &root, !text.starts_with("DELETE")).await;
        }
    }
}

/// The account stays as it was: only the session of the caller has ended.
#[tokio::test]
async fn session_ended_while_a_password_is_hashed_writes_nothing() {
    keep_to_one_processor();
    on_each_store(SETTINGS, async |service| {
        let root = service.admin().await;
        let scene = Scene::new(service, &root).await;
        let crowd = crowd(service).await;
        let calls = async {
            sleep(CHECKED).await;
            let rogue = service.bearer(&scene.rogue.pair.access);
            let writes = scene.hashed_or_mailed(true);
            let calls =
                writes.iter().map(|(method, path, body)| rogue.call(method.clone(), path, Some(body.to_string())));
            for answer in join_all(calls).await {
                answer.fails(401, "invalid_token");
            }
        };
        let logout = async {
            sleep(CHECKED * 2).await;
            service.log_out(&scene.rogue.pair.refresh).await.is(200);
        };
        tokio::join!(crowd, calls, logout);
        scene.unchanged(service, &root, true).await;
    })
    .await;
}

#[tokio::test]
async fn account_dismissed_while_a_write_waits_for_its_turn_writes_nothing() {
    for database in Database::each().await {
        let begin = if database.url.starts_with("sqlite") { "BEGIN IMMEDIATE" } else { "BEGIN" };
        let service = Service::start_on(database, []).await;
        let root = service.admin().await;
        for (text, of_owner) in DISMISSALS {
            println!("{text}");
            let scene = Scene::new(&service, &root).await;
            let mut other = service.database.connect().await;
            other.execute(begin).await.unwrap();
            other.execute("UPDATE users_turn SET turn = turn + 1").await.unwrap();
            let calls = scene.refused(&service, [scene.hashed(of_owner), scene.plain()].concat());
            let dismissal = async {
                sleep(CHECKED).await;
                other.execute(dismissal(text, &scene)).await.unwrap();
                other.execute("COMMIT").await.unwrap();
            };
            tokio::join!(calls, dismissal);
            scene.unchanged(&service, &root, !text.starts_with("DELETE")).await;
        }
    }
}
