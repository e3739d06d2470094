use reqwest::Method;
use serde_json::{Value, json};

use super::below;
use super::visitors::generation;
use crate::caller::Answer;
use crate::stack::{PASSWORD, Stack, Tokens, unique};

/// A client that records what auth-service acknowledges.
pub struct Member {
    name: String,
    password: String,
    /// The password before `password`.
    old_password: Option<String>,
    /// The tokens of the open session.
    session: Option<Tokens>,
    /// True if the access token was issued before the password change: it is revoked, and the next call is a refresh.
    cut_off: bool,
    /// Names registered with [`PASSWORD`].
    registered: Vec<String>,
    /// Refresh tokens of sessions that were logged out.
    ended: Vec<String>,
    /// The number of checked entries in `registered` and in `ended`.
    found: (usize, usize),
    /// A call without a response.
    doubt: Option<Act>,
}

#[derive(Debug)]
enum Act {
    Refresh,
    LogIn,
    LogOut,
    Register(String),
    ChangePassword(String),
}

impl Member {
    pub async fn new(stack: &Stack) -> Self {
        let name = unique("member");
        stack.auth().post("/register", json!({"username": name, "password": PASSWORD})).await.is(201);
        let session = Some(stack.log_in(&name, PASSWORD).await);
        Self {
            name,
            password: PASSWORD.to_owned(),
            old_password: None,
            session,
            cut_off: false,
            registered: Vec::new(),
            ended: Vec::new(),
            found: (0, 0),
            doubt: None,
        }
    }

    /// The number of registrations and logouts that were acknowledged.
    pub fn count(&self) -> usize {
        self.registered.len() + self.ended.len()
    }

    /// Makes one call after the other until one gets no response.
    pub async fn work(&mut self, stack: &Stack) {
        while self.act(stack).await {}
    }

    /// Makes one call. Returns true if it got a response; else the caller must call [`Self::find_news`] next.
    pub async fn act(&mut self, stack: &Stack) -> bool {
        let act = self.next();
        match self.ask(stack, &act).await {
            Ok(answer) if !answer.is_unavailable() => {
                self.write_down(act, answer);
                true
            }
            _ => {
                self.doubt = Some(act);
                false
            }
        }
    }

    /// Checks that the service has every change acknowledged since the last check.
    pub async fn find_news(&mut self, stack: &Stack) {
        if let Some(act) = self.doubt.take() {
            self.clear_up(stack, act).await;
        }
        // The refresh comes before the slower checks: the grace period of a refresh without a response is running.
        if let Some(session) = &mut self.session {
            let next = stack.insist("/token", &json!({"token": session.refresh})).await.tokens();
            assert_eq!(generation(&next.refresh), generation(&session.refresh) + 1);
            *session = next;
            self.cut_off = false;
        }
        self.find_password(stack).await;
        self.find_registered(stack, &self.registered[self.found.0..]).await;
        self.find_ended(stack, &self.ended[self.found.1..]).await;
        self.found = (self.registered.len(), self.ended.len());
    }

    /// Checks that the service has every acknowledged change; returns their number.
    pub async fn find_all(&self, stack: &Stack) -> usize {
        self.find_password(stack).await;
        self.find_registered(stack, &self.registered).await;
        self.find_ended(stack, &self.ended).await;
        self.registered.len() + self.ended.len()
    }

    fn next(&self) -> Act {
        match (&self.session, below(8)) {
            (None, _) => Act::LogIn,
            _ if self.cut_off => Act::Refresh,
            (_, 0) => Act::LogOut,
            (_, 1) => Act::Register(unique("newcomer")),
            (_, 2) => Act::ChangePassword(format!("{PASSWORD} {}", unique("and"))),
            _ => Act::Refresh,
        }
    }

    async fn ask(&self, stack: &Stack, act: &Act) -> reqwest::Result<Answer> {
        let auth = stack.auth();
        let session = self.session.as_ref();
        match act {
            Act::Refresh => auth.try_post("/token", json!({"token": session.unwrap().refresh})).await,
            Act::LogOut => auth.try_post("/logout", json!({"token": session.unwrap().refresh})).await,
            Act::LogIn => auth.try_post("/login", credentials(&self.name, &self.password)).await,
            Act::Register(name) => auth.try_post("/register", credentials(name, PASSWORD)).await,
            Act::ChangePassword(new) => {
                let body = json!({"currentPassword": self.password, "newPassword": new});
                auth.bearer(&session.unwrap().access).try_call(Method::PUT, "/me/password", Some(body)).await
            }
        }
    }

    fn write_down(&mut self, act: Act, answer: Answer) {
        match act {
            Act::Refresh | Act::LogIn => {
                self.session = Some(answer.tokens());
                self.cut_off = false;
            }
            Act::LogOut => {
                answer.is(200);
                self.ended.extend(self.session.take().map(|session| session.refresh));
            }
            Act::Register(name) => {
                answer.is(201);
                self.registered.push(name);
            }
            Act::ChangePassword(new) => {
                answer.is(204);
                self.cut_off = true;
                self.old_password = Some(std::mem::replace(&mut self.password, new));
            }
        }
    }

    /// Finds out if the call without a response took effect, which it must completely or not at all.
    async fn clear_up(&mut self, stack: &Stack, act: Act) {
        match &act {
            // A refresh may be repeated with the same token, and an additional session does no harm.
            Act::Refresh | Act::LogIn => {}
            Act::LogOut => {
                let body = json!({"token": self.session.as_ref().unwrap().refresh});
                let answer = stack.insist("/logout", &body).await;
                self.write_down(act, answer);
            }
            Act::Register(name) => {
                let answer = stack.insist("/register", &credentials(name, PASSWORD)).await;
                if !answer.is_ok() {
                    answer.refused(409, "username_taken");
                }
                self.registered.push(name.clone());
            }
            Act::ChangePassword(new) => {
                let answer = stack.insist("/login", &credentials(&self.name, new)).await;
                if answer.is_ok() {
                    self.old_password = Some(std::mem::replace(&mut self.password, new.clone()));
                } else {
                    answer.refused(401, "invalid_credentials");
                }
            }
        }
    }

    async fn find_password(&self, stack: &Stack) {
        stack.insist("/login", &credentials(&self.name, &self.password)).await.is(200);
        if let Some(old) = &self.old_password {
            stack.insist("/login", &credentials(&self.name, old)).await.refused(401, "invalid_credentials");
        }
    }

    async fn find_registered(&self, stack: &Stack, names: &[String]) {
        for name in names {
            stack.insist("/login", &credentials(name, PASSWORD)).await.is(200);
        }
    }

    async fn find_ended(&self, stack: &Stack, tokens: &[String]) {
        for token in tokens {
            stack.insist("/token", &json!({"token": token})).await.refused(403, "invalid_refresh_token");
        }
    }
}

pub fn credentials(name: &str, password: &str) -> Value {
    json!({"username": name, "password": password})
}
