/// Calls with access tokens: devices, passwords.
mod account;
/// Calls with refresh tokens.
mod tokens;

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::calls::{Answer, Call, Soak, Stuck};
use crate::chance::Chance;
use crate::session::{Fate, Session};
use crate::tally::Violation;

/// The highest number of sessions per person.
const SEATS: usize = 5;
const PASSWORD: &str = "seven quiet owls read maps";

/// A client that owns people and their sessions. It does one thing at a time with them, so it knows which response to
/// expect. It repeats a call until it gets a response.
pub struct Client<'a> {
    soak: &'a Soak,
    chance: Chance,
    /// Random numbers for the second of two simultaneous calls, so that both calls are reproducible.
    aside: Chance,
    people: Vec<Person>,
    /// The last refresh tokens of ended sessions.
    graves: Vec<String>,
}

struct Person {
    name: String,
    password: String,
    /// The number of earlier passwords.
    changes: usize,
    sessions: [Option<Session>; SEATS],
    /// The highest number of further sessions, from logins whose response was lost.
    orphans: usize,
}

type Done = Result<(), Stuck>;

impl<'a> Client<'a> {
    /// The client with this number. It will have `sessions` sessions.
    pub fn new(soak: &'a Soak, seed: u64, number: u64, sessions: usize) -> Self {
        let people = (0..sessions.div_ceil(SEATS)).map(|_| Person {
            name: format!("soak-{}", &Uuid::new_v4().simple().to_string()[..16]),
            password: PASSWORD.to_owned(),
            changes: 0,
            sessions: [const { None }; SEATS],
            orphans: 0,
        });
        let (chance, aside) = (Chance::new(seed, 2 * number), Chance::new(seed, 2 * number + 1));
        Self { soak, chance, aside, people: people.collect(), graves: Vec::new() }
    }

    /// Registers all people and opens all sessions.
    pub async fn set_up(&mut self) -> Done {
        for person in 0..self.people.len() {
            let body = self.people[person].credentials();
            let answer = self.post("register", "/register", body).await?;
            self.expect("register", &answer, 201, &[409]);
            for seat in 0..SEATS {
                self.log_in(person, seat).await?;
            }
        }
        Ok(())
    }

    /// Makes random calls one after the other until no more servers are killed or stopped.
    pub async fn run(&mut self) -> Done {
        while !self.soak.over.get() {
            let (person, seat) = (self.chance.below(self.people.len()), self.chance.below(SEATS));
            if self.people[person].sessions[seat].is_none() {
                self.log_in(person, seat).await?;
                continue;
            }
            match self.chance.below(1000) {
                0..700 => self.refresh(person, seat).await?,
                700..770 => self.refresh_twice(person, seat).await?,
                770..840 => self.repeat(person, seat).await?,
                840..860 => self.replay(person, seat).await?,
                860..900 => self.knock().await?,
                900..930 => self.log_out(person, seat).await?,
                930..980 => self.look_at_devices(person, seat).await?,
                980..990 => self.sign_out_device(person, seat).await?,
                990..995 => self.sign_out_everywhere(person, seat).await?,
                _ => self.change_password(person, seat).await?,
            }
        }
        Ok(())
    }

    /// Checks the state of every session that was ever opened. Returns the number of live and of ended sessions.
    pub async fn check(&mut self) -> Result<(usize, usize), Stuck> {
        let mut alive = 0;
        for person in 0..self.people.len() {
            for seat in 0..SEATS {
                if self.people[person].sessions[seat].is_some() {
                    self.refresh(person, seat).await?;
                }
            }
            let living = self.people[person].sessions.iter().position(Option::is_some);
            if let Some(seat) = living {
                self.look_at_devices(person, seat).await?;
            }
            alive += self.people[person].sessions.iter().flatten().count();
        }
        for grave in 0..self.graves.len() {
            self.knock_at(grave).await?;
        }
        Ok((alive, self.graves.len()))
    }

    async fn log_in(&mut self, person: usize, seat: usize) -> Done {
        let body = self.people[person].credentials();
        let answer = self.post("login", "/login", body).await?;
        self.people[person].orphans += answer.tries - 1;
        if answer.status == 200 {
            self.people[person].sessions[seat] = Some(Session::opened(&answer));
        } else {
            self.soak.violation(Violation::Refused, format!("login with the right password: {}", answer.body));
        }
        Ok(())
    }

    /// Expects `status`, or one of `again` if an earlier try may have taken effect.
    fn expect(&self, what: &str, answer: &Answer, status: u16, again: &[u16]) {
        if answer.status != status && !(answer.tries > 1 && again.contains(&answer.status)) {
            self.soak.violation(Violation::Refused, format!("{what}: {} {}", answer.status, answer.body));
        }
    }

    fn change(&mut self, person: usize, seat: usize, change: impl FnOnce(&mut Session, &Soak) -> Fate) {
        let session = self.people[person].sessions[seat].as_mut();
        if session.is_some_and(|session| change(session, self.soak) == Fate::Ended) {
            self.end(person, seat);
        }
    }

    fn end(&mut self, person: usize, seat: usize) {
        self.graves.extend(self.people[person].sessions[seat].take().map(|session| session.token));
    }

    async fn post(&mut self, kind: &'static str, path: &str, body: Value) -> Result<Answer, Stuck> {
        self.soak.insist(&mut self.chance, &post(kind, path, body)).await
    }

    /// Makes a call with the access token of a live session.
    async fn as_member(
        &mut self,
        kind: &'static str,
        method: Method,
        path: &str,
        (person, seat): (usize, usize),
        body: Value,
    ) -> Result<Answer, Stuck> {
        let bearer = self.people[person].sessions[seat].as_ref().map(|session| session.access.clone());
        let call = Call { kind, method, path: path.to_owned(), bearer, body };
        self.soak.insist(&mut self.chance, &call).await
    }
}

impl Person {
    fn credentials(&self) -> Value {
        json!({"username": self.name, "password": self.password})
    }
}

fn post(kind: &'static str, path: &str, body: Value) -> Call {
    Call { kind, method: Method::POST, path: path.to_owned(), bearer: None, body }
}
