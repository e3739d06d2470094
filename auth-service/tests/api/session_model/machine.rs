//! Drives the model and the real code through the same events, and compares every answer.

use std::collections::HashMap;

use auth_service::grants::{Refused, TokenResponse};
use auth_service::sessions::SessionId;
use auth_service::users::UserChange;
use futures_util::future::{BoxFuture, FutureExt, join_all};
use serde_json::Value;
use shared_claims::{AccessClaims, RefreshClaims, Role};
use shared_service::clock::now_ms;

use super::Flaw;
use super::model::{Answer, Event, Rules, Token, User, World};
use super::script::{Forgery, Op, Rival, USERS, Which};
use super::subject::{Subject, UNIT};
use crate::forge::{access_token, parts, signed, tampered};
use crate::service::{ACCESS_SECRET, REFRESH_SECRET};

/// One script, on users of its own.
pub struct Case<'a> {
    subject: &'a Subject,
    /// The start of the case, by the real clock.
    started_ms: i64,
    /// Half minutes since the start, by the clock that the subject sees.
    now: i64,
    users: Vec<String>,
    sessions: Vec<SessionId>,
    tokens: Vec<Issued>,
    /// The text of each refresh token, by session and generation: a retry must return the same text.
    texts: HashMap<(usize, i64), String>,
    /// The possible states: more than one after concurrent events.
    worlds: Vec<World>,
    history: Vec<String>,
}

#[derive(Clone)]
struct Issued {
    token: Token,
    text: String,
}

/// The subject's answer, before its sessions and times are translated into the model's.
enum Reply {
    Granted(Box<TokenResponse>),
    Plain(Answer),
}

impl<'a> Case<'a> {
    pub fn new(subject: &'a Subject) -> Self {
        let world = World { users: vec![User::default(); USERS], sessions: vec![] };
        Self {
            subject,
            started_ms: now_ms(),
            now: 0,
            users: vec![],
            sessions: vec![],
            tokens: vec![],
            texts: HashMap::new(),
            worlds: vec![world],
            history: vec![],
        }
    }

    /// Runs the script to its end, or to the first answer that the model does not give.
    pub async fn run(mut self, ops: &[Op]) -> Result<(), String> {
        for _ in 0..USERS {
            self.users.push(self.subject.add().await);
        }
        self.subject.set_clock(0);
        for op in ops {
            self.take(op).await.map_err(|why| format!("{why}\nhistory:\n{}", self.history.join("\n")))?;
        }
        self.compare_lists().await.map_err(|why| format!("{why}\nhistory:\n{}", self.history.join("\n")))
    }

    async fn take(&mut self, op: &Op) -> Result<(), String> {
        match op {
            Op::Pass(units) => {
                self.now += units;
                self.subject.set_clock(self.now);
                self.history.push(format!("time is {}", self.now));
                self.compare_lists().await
            }
            Op::Sweep => {
                self.subject.sweep().await;
                Ok(())
            }
            Op::LogIn { user, outdated } => {
                self.happen(vec![Event::LogIn { user: *user, outdated: *outdated }]).await?;
                self.compare_lists().await
            }
            Op::Refresh { which, copies, forgery } => {
                let Some(issued) = self.presented(*which, *forgery) else { return Ok(()) };
                let copies = if self.goes_on(&issued) { *copies } else { 1 };
                self.present(vec![(Event::Refresh(issued.token), issued.text); copies]).await
            }
            Op::LogOut { which, forgery } => {
                let Some(issued) = self.presented(*which, *forgery) else { return Ok(()) };
                self.present(vec![(Event::LogOut(issued.token), issued.text)]).await
            }
            Op::EndAll { user, but_of } => {
                let except = but_of.and_then(|which| self.presented(which, None)).map(|issued| issued.token.session);
                self.happen(vec![Event::EndAll { user: *user, except }]).await
            }
            Op::Race { which, with } => self.race(*which, with).await,
            Op::SetAdmin { user, admin } => self.happen(vec![Event::SetAdmin { user: *user, admin: *admin }]).await,
            Op::SetDisabled { user, disabled } => {
                self.happen(vec![Event::SetDisabled { user: *user, disabled: *disabled }]).await
            }
            Op::Delete { user } => self.happen(vec![Event::Delete { user: *user }]).await,
        }
    }

    async fn race(&mut self, which: Which, with: &Rival) -> Result<(), String> {
        let Some(one) = self.presented(which, None).filter(|one| self.goes_on(one)) else { return Ok(()) };
        let two = match with {
            Rival::Refresh { which } | Rival::LogOut { which } => {
                self.presented(*which, None).filter(|two| self.goes_on(two)).unwrap_or(one.clone())
            }
            Rival::EndAll { .. } => one.clone(),
        };
        let rival = match with {
            Rival::Refresh { .. } => Event::Refresh(two.token),
            Rival::LogOut { .. } => Event::LogOut(two.token),
            Rival::EndAll { user } => Event::EndAll { user: *user, except: None },
        };
        self.present(vec![(Event::Refresh(one.token), one.text), (rival, two.text)]).await
    }

    /// A token, or a forgery made from it.
    fn presented(&self, which: Which, forgery: Option<Forgery>) -> Option<Issued> {
        let last = self.sessions.len().checked_sub(1)?;
        let of_session = |issued: &&Issued| issued.token.session == last - which.session % (last + 1);
        let generation = |issued: &Issued| issued.token.generation;
        let newest = self.tokens.iter().filter(of_session).map(generation).max()?;
        let wanted = (newest - which.behind).max(1);
        let found = self.tokens.iter().filter(of_session).find(|issued| generation(issued) == wanted);
        let Issued { mut token, text } = found?.clone();
        let Some(forgery) = forgery else { return Some(Issued { token, text }) };
        let mut claims = parts(&text)[1].clone();
        let text = match forgery {
            Forgery::Tampered => {
                token.forged = true;
                tampered(&text)
            }
            Forgery::SignedForAccess => {
                token.forged = true;
                resigned(&claims, ACCESS_SECRET)
            }
            Forgery::Ahead => {
                token.generation += 100;
                claims["gen"] = token.generation.into();
                resigned(&claims, REFRESH_SECRET)
            }
            Forgery::OfAnotherUser => {
                token.user = (token.user + 1) % USERS;
                claims["sub"] = self.users[token.user].clone().into();
                resigned(&claims, REFRESH_SECRET)
            }
            Forgery::Expired => {
                token.expires_at = 0;
                expired(&claims)
            }
        };
        Some(Issued { token, text })
    }

    /// True if the token's user is enabled. Otherwise a refresh is two steps, the rotation and the end of the session,
    /// and concurrent events may fall between them, so that nothing can be concluded.
    fn goes_on(&self, issued: &Issued) -> bool {
        self.worlds.iter().all(|world| world.users[issued.token.user].may_sign_in())
    }

    async fn happen(&mut self, events: Vec<Event>) -> Result<(), String> {
        self.present(events.into_iter().map(|event| (event, String::new())).collect()).await
    }

    /// Runs these events concurrently, each with the text of its token.
    async fn present(&mut self, events: Vec<(Event, String)>) -> Result<(), String> {
        let replies = join_all(events.iter().map(|(event, text)| self.answer(event, text))).await;
        let mut answers = vec![];
        for reply in replies {
            answers.push(self.translated(reply)?);
        }
        let events: Vec<Event> = events.into_iter().map(|(event, _)| event).collect();
        self.history.push(format!("{events:?}\n    -> {answers:?}"));
        self.believe(&events, &answers)
    }

    /// Keeps the worlds in which these events, in some order, have these answers.
    fn believe(&mut self, events: &[Event], answers: &[Answer]) -> Result<(), String> {
        let (mut worlds, mut expected, rules) = (vec![], vec![], &self.subject.rules);
        for world in &self.worlds {
            for (order, choice) in orders(events).into_iter().flat_map(|order| choices(events, &order, rules)) {
                let (mut world, mut foreseen) = (world.clone(), vec![None; events.len()]);
                for number in order {
                    foreseen[number] = Some(world.step(rules, self.now, &events[number], choice));
                }
                let foreseen: Vec<Answer> = foreseen.into_iter().flatten().collect();
                if same(events, &foreseen, answers) && !worlds.contains(&world) {
                    worlds.push(world);
                }
                expected.push(foreseen);
            }
        }
        if worlds.is_empty() {
            return Err(format!("the model expects one of {expected:#?}"));
        }
        self.worlds = worlds;
        Ok(())
    }

    fn answer<'b>(&'b self, event: &'b Event, text: &'b str) -> BoxFuture<'b, Reply> {
        let subject = self.subject;
        async move {
            Reply::Plain(match event {
                Event::LogIn { user, outdated } => match subject.log_in(&self.users[*user], *outdated).await {
                    Some(granted) => return Reply::Granted(Box::new(granted)),
                    None => Answer::NotLoggedIn,
                },
                Event::Refresh(_) => match self.refresh(text).await {
                    Ok(granted) => return Reply::Granted(Box::new(granted)),
                    Err(Refused::InvalidToken(_)) => Answer::Unproven,
                    Err(Refused::UnknownSession(_)) => Answer::Gone,
                    Err(Refused::Reused(_)) => Answer::Replayed,
                    Err(Refused::NoUser(_)) => Answer::NoUser,
                    Err(Refused::Store(error)) => panic!("{error}"),
                },
                Event::LogOut(token) => Answer::Ended(self.log_out(token, text).await),
                Event::EndAll { user, except } => {
                    let except = except.map(|session| self.sessions[session]);
                    Answer::AllEnded(subject.sessions.end_all(&self.users[*user], except).await.unwrap())
                }
                Event::SetAdmin { user, admin } => {
                    let role = if *admin { Role::Admin } else { Role::Member };
                    let change = UserChange { role: Some(role), ..UserChange::default() };
                    subject.change(&self.users[*user], &change).await;
                    Answer::Done
                }
                Event::SetDisabled { user, disabled } => {
                    let change = UserChange { disabled: Some(*disabled), ..UserChange::default() };
                    subject.change(&self.users[*user], &change).await;
                    Answer::Done
                }
                Event::Delete { user } => {
                    subject.delete(&self.users[*user]).await;
                    Answer::Done
                }
            })
        }
        .boxed()
    }

    async fn refresh(&self, text: &str) -> Result<TokenResponse, Refused> {
        let claims = &parts(text)[1];
        if self.subject.flaw == Some(Flaw::BelievesForgeries) {
            let (user, session) = (claims["sub"].as_str().unwrap(), claims["sid"].as_str().unwrap());
            let generation = claims["gen"].as_i64().unwrap();
            self.subject.sessions.rotate(user, session.parse().unwrap(), generation).await.unwrap();
        }
        if self.subject.flaw == Some(Flaw::UserNotRead) {
            let enabled = UserChange { disabled: Some(false), ..UserChange::default() };
            self.subject.change(claims["sub"].as_str().unwrap(), &enabled).await;
        }
        let granted = self.subject.refresh(text).await;
        match granted {
            Ok(mut granted) if self.subject.flaw == Some(Flaw::CopiedRole) => {
                granted.pair.access_token = with_role(&granted.pair.access_token, "member");
                Ok(granted)
            }
            granted => granted,
        }
    }

    async fn log_out(&self, token: &Token, text: &str) -> bool {
        let newest = self.tokens.iter().rfind(|issued| issued.token.session == token.session);
        let current = newest.is_some_and(|issued| issued.token.generation == token.generation);
        if self.subject.flaw == Some(Flaw::PickyLogout) && !current {
            return false;
        }
        self.subject.log_out(text).await.unwrap()
    }

    /// A reply in the model's terms. Granted tokens are checked, and kept for later events.
    fn translated(&mut self, reply: Reply) -> Result<Answer, String> {
        let granted = match reply {
            Reply::Plain(answer) => return Ok(answer),
            Reply::Granted(granted) => *granted,
        };
        let id = granted.session.id;
        let session = self.sessions.iter().position(|known| *known == id).unwrap_or_else(|| {
            self.sessions.push(id);
            self.sessions.len() - 1
        });
        let [_, refresh] = parts(&granted.pair.refresh_token);
        let [_, access] = parts(&granted.pair.access_token);
        let user = self.users.iter().position(|user| **user == *granted.user.id).ok_or("nobody we know")?;
        let generation = refresh["gen"].as_i64().ok_or("no gen")?;
        let (made_at, expires_at) = (self.units(&refresh["iat"]), self.units(&refresh["exp"]));

        let text = self.texts.entry((session, generation)).or_insert_with(|| granted.pair.refresh_token.clone());
        check(*text == granted.pair.refresh_token, "the same generation has the same token")?;
        for claims in [&refresh, &access] {
            check(claims["sub"] == self.users[user].as_str(), "sub")?;
            check(claims["sid"] == id.to_string(), "sid")?;
        }
        let ends_at = granted.session.ends_at / 1000;
        check(access["exp"].as_i64().is_some_and(|exp| exp <= ends_at), "the access token ends with the session")?;
        check(access["role"] == granted.user.role.to_string(), "the role is the one that was read")?;

        let token = Token { user, session, generation, expires_at, forged: false };
        self.tokens.push(Issued { token, text: granted.pair.refresh_token });
        Ok(Answer::Granted { session, generation, made_at, expires_at, admin: access["role"] == "admin" })
    }

    /// A time claim of a token, in half minutes since the start. A whole case takes less real time than half of one.
    fn units(&self, seconds: &Value) -> i64 {
        let ms = seconds.as_i64().unwrap_or(0) * 1000 + 999 - self.started_ms;
        ms.div_euclid(UNIT)
    }

    /// Keeps the worlds whose live sessions are the listed ones.
    async fn compare_lists(&mut self) -> Result<(), String> {
        for (user, id) in self.users.iter().enumerate() {
            let sessions = self.subject.sessions.list(id, None, usize::MAX).await.unwrap();
            let mut listed: Vec<_> = sessions.into_iter().map(|session| session.id).collect();
            listed.sort_unstable();
            let (ids, now) = (&self.sessions, self.now);
            let foreseen = |world: &World| {
                let mut living: Vec<_> = world.living(now, user).into_iter().map(|session| ids[session]).collect();
                living.sort_unstable();
                living == listed
            };
            self.worlds.retain(foreseen);
            check(!self.worlds.is_empty(), &format!("user {user} has other sessions: {listed:?}"))?;
        }
        Ok(())
    }
}

fn check(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

/// The possible orders of concurrent events. Equal events have only one.
fn orders(events: &[Event]) -> Vec<Vec<usize>> {
    let there = (0..events.len()).collect::<Vec<_>>();
    if events.iter().all(|event| *event == events[0]) {
        return vec![there];
    }
    vec![there.clone(), there.into_iter().rev().collect()]
}

/// `order` with each choice of the session that a login may end if several were unused equally long.
fn choices(events: &[Event], order: &[usize], rules: &Rules) -> Vec<(Vec<usize>, usize)> {
    let most = if matches!(events[0], Event::LogIn { .. }) { rules.most } else { 1 };
    (0..most).map(|choice| (order.to_vec(), choice)).collect()
}

/// True if the answers are the expected ones; equal concurrent events may have swapped theirs.
fn same(events: &[Event], foreseen: &[Answer], answers: &[Answer]) -> bool {
    if events.iter().any(|event| *event != events[0]) {
        return foreseen == answers;
    }
    let mut left = foreseen.to_vec();
    answers.iter().all(|answer| left.iter().position(|one| one == answer).map(|place| left.remove(place)).is_some())
}

fn resigned(claims: &Value, secret: &str) -> String {
    signed(
        &RefreshClaims {
            sub: text(claims, "sub"),
            exp: number(claims, "exp"),
            iat: number(claims, "iat"),
            jti: format!("{}.{}", text(claims, "sid"), number(claims, "gen")),
            sid: text(claims, "sid"),
            generation: number(claims, "gen"),
        },
        secret,
    )
}

fn expired(claims: &Value) -> String {
    let mut claims = claims.clone();
    for name in ["iat", "exp"] {
        claims[name] = (number(&claims, name) - 30 * 24 * 60 * 60).into();
    }
    resigned(&claims, REFRESH_SECRET)
}

fn with_role(token: &str, role: &str) -> String {
    let [_, claims] = parts(token);
    access_token(&AccessClaims {
        sub: text(&claims, "sub"),
        exp: number(&claims, "exp"),
        iat: number(&claims, "iat"),
        jti: text(&claims, "jti"),
        sid: text(&claims, "sid"),
        username: text(&claims, "username"),
        role: role.to_owned(),
    })
}

fn text(claims: &Value, name: &str) -> String {
    claims[name].as_str().unwrap().to_owned()
}

fn number(claims: &Value, name: &str) -> u64 {
    claims[name].as_u64().unwrap()
}
