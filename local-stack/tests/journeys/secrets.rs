//! Both secrets are replaced while two instances of each service run, as docs/runbook.md says.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use rustix::process::Signal;
use serde_json::json;
use tokio::time::sleep;

use crate::process::{Folder, Program};
use crate::stack::{PASSWORD, Stack, Tokens, unique};
use crate::targets::{Database, binary, is_outside, logged, random_secret, redis_url};

/// One instance behind a load balancer, which takes it out before it ends and puts it back when it listens.
struct Seat {
    binary: &'static str,
    settings: Vec<(&'static str, String)>,
    program: RefCell<Option<Program>>,
    stack: RefCell<Option<Rc<Stack>>>,
    out: Cell<bool>,
}

/// The signing secrets of an instance, and the previous ones that it verifies.
#[derive(Clone)]
struct Secrets<'a> {
    signs: [&'a str; 2],
    verifies: Option<[&'a str; 2]>,
}

struct Fleet {
    auth: [Seat; 2],
    books: [Seat; 2],
    databases: [Database; 2],
    folder: Folder,
}

impl Seat {
    fn new(binary: &'static str, settings: &[(&'static str, &str)]) -> Self {
        let ours = [
            ("AUTH_ADDR", "127.0.0.1:0"),
            ("BOOKS_ADDR", "127.0.0.1:0"),
            ("WORKERS", "2"),
            ("BCRYPT_COST", "4"),
            ("IP_RATE_LIMIT", "0"),
        ];
        let settings = ours.iter().chain(settings).map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { binary, settings, program: RefCell::default(), stack: RefCell::default(), out: Cell::default() }
    }

    /// Ends the running instance, if any, as an operator does, and starts another with these secrets.
    async fn replace(&self, folder: &Folder, secrets: &Secrets<'_>) {
        while self.stack.borrow().as_ref().is_some_and(|stack| Rc::strong_count(stack) > 1) {
            // Out of the load balancer's pool; requests in flight are finished.
            self.out.set(true);
            sleep(Duration::from_millis(2)).await;
        }
        self.stack.take();
        self.out.set(false);
        if let Some(program) = self.program.take() {
            program.signal(Signal::TERM);
            let (code, output) = program.end().await;
            assert_eq!(code, Some(0), "{output:#?}");
        }
        let mut settings: Vec<_> = self.settings.iter().map(|(name, value)| (*name, &**value)).collect();
        settings.extend(["ACCESS_TOKEN_SECRET", "REFRESH_TOKEN_SECRET"].into_iter().zip(secrets.signs));
        let previous = ["ACCESS_TOKEN_SECRET_PREVIOUS", "REFRESH_TOKEN_SECRET_PREVIOUS"];
        settings.extend(secrets.verifies.iter().flat_map(|secrets| previous.into_iter().zip(*secrets)));
        let program = Program::start(&binary(self.binary), folder.path(), &settings);
        let base = logged(&program).await;
        self.stack.replace(Some(Rc::new(Stack::new(self.binary, base.clone(), base))));
        self.program.replace(Some(program));
    }
}

impl Fleet {
    async fn start(secrets: &Secrets<'_>) -> Self {
        let (people, library, redis) = (Database::new().await, Database::new().await, redis_url());
        let auth = || Seat::new("auth-service", &[("AUTH_DATABASE_URL", &people.url), ("REDIS_URL", &redis)]);
        let books = || Seat::new("books-service", &[("BOOKS_DATABASE_URL", &library.url)]);
        let (auth, books) = ([auth(), auth()], [books(), books()]);
        let fleet = Self { auth, books, databases: [people, library], folder: Folder::new() };
        fleet.roll(secrets).await;
        fleet
    }

    /// Replaces all instances, one after the other.
    async fn roll(&self, secrets: &Secrets<'_>) {
        for seat in self.books.iter().chain(&self.auth) {
            seat.replace(&self.folder, secrets).await;
        }
    }

    async fn remove(self) {
        for seat in self.auth.into_iter().chain(self.books) {
            drop(seat);
        }
        for database in self.databases {
            database.remove().await;
        }
    }
}

/// An instance in the load balancer's pool, in turn.
fn turn(seats: &[Seat; 2], count: &Cell<usize>) -> Rc<Stack> {
    count.set(count.get() + 1);
    let seats = [&seats[count.get() % 2], &seats[(count.get() + 1) % 2]];
    seats
        .into_iter()
        .find_map(|seat| seat.stack.borrow().clone().filter(|_| !seat.out.get()))
        .expect("one of two instances is in the pool")
}

/// Sends all kinds of requests to all instances until `over`. Each response must be the same as without a change.
async fn use_all(fleet: &Fleet, over: &Cell<bool>, rounds: &Cell<usize>) {
    let count = Cell::new(0);
    let auth = || turn(&fleet.auth, &count);
    let name = unique("visitor");
    auth().auth().post("/register", json!({"username": name, "password": PASSWORD})).await.is(201);
    while !over.get() {
        let mut tokens = auth().log_in(&name, PASSWORD).await;
        for _ in 0..5 {
            assert_served(fleet, &count, &tokens).await;
            tokens = auth().refresh(&tokens.refresh).await.tokens();
            assert_served(fleet, &count, &tokens).await;
        }
        auth().auth().post("/logout", json!({"token": tokens.refresh})).await.is(200);
        rounds.set(rounds.get() + 1);
    }
}

async fn assert_served(fleet: &Fleet, count: &Cell<usize>, tokens: &Tokens) {
    turn(&fleet.auth, count).auth().bearer(&tokens.access).get("/me").await.is(200);
    turn(&fleet.books, count).books().bearer(&tokens.access).get("/books").await.is(200);
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres and Redis: ./test")]
async fn secrets_are_replaced_without_one_failed_request() {
    if is_outside("replacing secrets") {
        return;
    }
    let ours: Vec<String> = (0..4).map(|_| random_secret()).collect();
    let (old, new) = ([&*ours[0], &*ours[1]], [&*ours[2], &*ours[3]]);
    let fleet = Fleet::start(&Secrets { signs: old, verifies: None }).await;
    let (over, rounds) = (Cell::new(false), [const { Cell::new(0) }; 4]);
    let users = join_all(rounds.iter().map(|rounds| use_all(&fleet, &over, rounds)));
    let operator = async {
        for secrets in [
            Secrets { signs: old, verifies: Some(new) },
            Secrets { signs: new, verifies: Some(old) },
            Secrets { signs: new, verifies: None },
        ] {
            fleet.roll(&secrets).await;
            // The old tokens may expire once every user has logged in again.
            let begun: Vec<usize> = rounds.iter().map(Cell::get).collect();
            while rounds.iter().zip(&begun).any(|(now, then)| now.get() < then + 2) {
                sleep(Duration::from_millis(2)).await;
            }
        }
        over.set(true);
    };
    join(users, operator).await;
    fleet.remove().await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres and Redis: ./test")]
async fn secret_replaced_in_one_step_refuses_tokens() {
    if is_outside("replacing secrets") {
        return;
    }
    let ours: Vec<String> = (0..4).map(|_| random_secret()).collect();
    let (old, new) = ([&*ours[0], &*ours[1]], [&*ours[2], &*ours[3]]);
    let fleet = Fleet::start(&Secrets { signs: old, verifies: None }).await;
    fleet.auth[0].replace(&fleet.folder, &Secrets { signs: new, verifies: Some(old) }).await;
    let [one, two] = [0, 1].map(|seat: usize| fleet.auth[seat].stack.borrow().clone().unwrap());
    let name = unique("visitor");
    one.auth().post("/register", json!({"username": name, "password": PASSWORD})).await.is(201);
    let tokens = one.log_in(&name, PASSWORD).await;
    two.auth().bearer(&tokens.access).get("/me").await.refused(401, "invalid_token");
    two.refresh(&tokens.refresh).await.refused(403, "invalid_refresh_token");
    let earlier = two.log_in(&name, PASSWORD).await;
    one.auth().bearer(&earlier.access).get("/me").await.is(200);
    one.refresh(&earlier.refresh).await.is(200);
    fleet.remove().await;
}
