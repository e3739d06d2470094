//! The rules of sessions as an executable specification: states, events and results, without a store or real tokens.
//!
//! Time is counted in half minutes from the beginning. All durations of rules are odd and all steps of time are even,
//! so the seconds that a real store takes never change a result.

/// Durations, in half minutes.
pub struct Rules {
    pub ttl: i64,
    pub max_age: i64,
    /// Zero means no grace.
    pub grace: i64,
    /// The maximum number of live sessions per user.
    pub most: usize,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct World {
    pub users: Vec<User>,
    pub sessions: Vec<Session>,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct User {
    pub admin: bool,
    pub disabled: bool,
    pub deleted: bool,
    /// True if all sessions still have to end because the user was disabled. The next login does that first.
    pub owes_end: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    pub user: usize,
    pub generation: i64,
    pub rotated_at: i64,
    pub idle_ends_at: i64,
    pub ends_at: i64,
    pub ended: bool,
}

/// A refresh token, and what is wrong with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Token {
    pub user: usize,
    pub session: usize,
    pub generation: i64,
    pub expires_at: i64,
    pub forged: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// A login; `outdated` if the password changes before the session exists.
    LogIn {
        user: usize,
        outdated: bool,
    },
    Refresh(Token),
    LogOut(Token),
    /// Ends all sessions of a user, or all but one, as a password change does.
    EndAll {
        user: usize,
        except: Option<usize>,
    },
    SetAdmin {
        user: usize,
        admin: bool,
    },
    SetDisabled {
        user: usize,
        disabled: bool,
    },
    Delete {
        user: usize,
    },
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// Two tokens: a refresh token with this generation and expiry, and an access token with this role.
    Granted {
        session: usize,
        generation: i64,
        made_at: i64,
        expires_at: i64,
        admin: bool,
    },
    NotLoggedIn,
    /// The token is invalid, so that no store was called.
    Unproven,
    Gone,
    Replayed,
    NoUser,
    /// True if the session was alive.
    Ended(bool),
    /// The number of live sessions.
    AllEnded(u64),
    Done,
}

impl World {
    /// Applies an event, and returns the answer. Of sessions last used in the same half minute, `choice` determines the
    /// one that a login ends.
    pub fn step(&mut self, rules: &Rules, now: i64, event: &Event, choice: usize) -> Answer {
        match event {
            Event::LogIn { user, outdated } => self.log_in(rules, now, (*user, *outdated), choice),
            Event::Refresh(token) => self.refresh(rules, now, token),
            Event::LogOut(token) => Answer::Ended(!token.forged && self.end(now, token.user, token.session)),
            Event::EndAll { user, except } => {
                let all = 0..self.sessions.len();
                let ended = all.filter(|&session| Some(session) != *except && self.end(now, *user, session)).count();
                Answer::AllEnded(ended as u64)
            }
            Event::SetAdmin { user, admin } => self.change(*user, |user| user.admin = *admin),
            Event::SetDisabled { user, disabled } => self.change(*user, |user| {
                user.disabled = *disabled;
                user.owes_end |= *disabled;
            }),
            Event::Delete { user } => self.change(*user, |user| user.deleted = true),
        }
    }

    /// The live sessions of a user.
    pub fn living(&self, now: i64, user: usize) -> Vec<usize> {
        let alive = |&session: &usize| self.sessions[session].user == user && self.sessions[session].is_alive(now);
        (0..self.sessions.len()).filter(alive).collect()
    }

    fn log_in(&mut self, rules: &Rules, now: i64, (user, outdated): (usize, bool), choice: usize) -> Answer {
        if self.users[user].deleted {
            return Answer::NotLoggedIn;
        }
        if std::mem::take(&mut self.users[user].owes_end) {
            for session in self.living(now, user) {
                self.sessions[session].ended = true;
            }
        }
        self.make_room(rules, now, user, choice);
        if outdated || !self.users[user].may_sign_in() {
            return Answer::NotLoggedIn;
        }
        self.sessions.push(Session {
            user,
            generation: 1,
            rotated_at: now,
            idle_ends_at: now + rules.ttl.min(rules.max_age),
            ends_at: now + rules.max_age,
            ended: false,
        });
        self.granted(self.sessions.len() - 1)
    }

    /// Ends the session that was unused longest if the user has no room for another.
    fn make_room(&mut self, rules: &Rules, now: i64, user: usize, choice: usize) {
        let living = self.living(now, user);
        if living.len() < rules.most {
            return;
        }
        let used_at = |session: &usize| self.sessions[*session].rotated_at;
        let longest = living.iter().map(used_at).min();
        let oldest: Vec<_> = living.iter().filter(|session| Some(used_at(session)) == longest).collect();
        let session = *oldest[choice % oldest.len()];
        self.sessions[session].ended = true;
    }

    fn refresh(&mut self, rules: &Rules, now: i64, token: &Token) -> Answer {
        if token.forged || token.expires_at <= now {
            return Answer::Unproven;
        }
        let Some(session) = self.sessions.get_mut(token.session) else { return Answer::Gone };
        if session.user != token.user || !session.is_alive(now) {
            return Answer::Gone;
        }
        if token.generation == session.generation {
            session.generation += 1;
            session.rotated_at = now;
            session.idle_ends_at = session.ends_at.min(now + rules.ttl);
        } else if token.generation != session.generation - 1
            || now - session.rotated_at > rules.grace
            || rules.grace == 0
        {
            session.ended = true;
            return Answer::Replayed;
        }
        if !self.users[token.user].may_sign_in() {
            session.ended = true;
            return Answer::NoUser;
        }
        self.granted(token.session)
    }

    fn end(&mut self, now: i64, user: usize, session: usize) -> bool {
        let Some(session) = self.sessions.get_mut(session).filter(|session| session.user == user) else { return false };
        let alive = session.is_alive(now);
        session.ended = true;
        alive
    }

    fn change(&mut self, user: usize, change: impl FnOnce(&mut User)) -> Answer {
        change(&mut self.users[user]);
        Answer::Done
    }

    fn granted(&self, session: usize) -> Answer {
        let Session { user, generation, rotated_at: made_at, idle_ends_at: expires_at, .. } = self.sessions[session];
        Answer::Granted { session, generation, made_at, expires_at, admin: self.users[user].admin }
    }
}

impl User {
    pub fn may_sign_in(&self) -> bool {
        !self.disabled && !self.deleted
    }
}

impl Session {
    fn is_alive(&self, now: i64) -> bool {
        !self.ended && now < self.idle_ends_at
    }
}
