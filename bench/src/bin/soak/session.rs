use std::time::{Duration, Instant};

use serde_json::json;

use crate::calls::{Answer, Soak, claims};
use crate::tally::Violation;

/// The highest difference between the clocks of client and server.
const SLACK: Duration = Duration::from_millis(20);

/// A live session as its client knows it.
pub struct Session {
    /// The current refresh token.
    pub token: String,
    /// An access token of the session.
    pub access: String,
    /// The refresh that issued the current token.
    pub advance: Option<Advance>,
    /// The refresh token two generations before the current one.
    pub older: Option<String>,
}

/// An acknowledged refresh. It took effect between `sent` and `answered`.
#[derive(Clone)]
pub struct Advance {
    pub used: String,
    sent: Instant,
    answered: Instant,
}

/// The state of a session after a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    Alive,
    Ended,
}

impl Session {
    /// The session that a login opened.
    pub fn opened(answer: &Answer) -> Self {
        let (token, access) = (answer.text("refreshToken"), answer.text("accessToken"));
        Self { token, access, advance: None, older: None }
    }

    /// The id of the session.
    pub fn id(&self) -> String {
        claims(&self.token)["sid"].as_str().unwrap_or_default().to_owned()
    }

    /// Records the response to the current token.
    pub fn refreshed(&mut self, soak: &Soak, answer: &Answer) -> Fate {
        if answer.status != 200 {
            // If the token was sent once, no response was lost, and no delay excuses the refusal.
            let since = if answer.tries > 1 { answer.first_sent } else { answer.answered };
            return refused(soak, answer, since, "the current token");
        }
        let next = answer.text("refreshToken");
        let (was, is) = (claims(&self.token)["gen"].as_u64(), claims(&next)["gen"].as_u64());
        if is.is_none() || is != was.map(|generation| generation + 1) {
            soak.violation(Violation::Generation, format!("{was:?}, then {is:?}"));
        }
        let used = std::mem::replace(&mut self.token, next);
        self.access = answer.text("accessToken");
        self.older = self.advance.take().map(|advance| advance.used);
        self.advance = Some(Advance { used, sent: answer.first_sent, answered: answer.answered });
        Fate::Alive
    }

    /// Records the responses to the current token, which was presented twice at once.
    pub fn refreshed_twice(&mut self, soak: &Soak, answers: &[Answer; 2]) -> Fate {
        if answers.iter().any(|answer| answer.status != 200) {
            let sent = answers[0].first_sent.min(answers[1].first_sent);
            let refusals = answers.iter().filter(|answer| answer.status != 200);
            refusals.for_each(|answer| _ = refused(soak, answer, sent, "one token twice at once"));
            return Fate::Ended;
        }
        let [one, other] = answers;
        if one.text("refreshToken") != other.text("refreshToken") {
            soak.violation(Violation::Diverged, format!("two successors of session {}", self.id()));
        }
        let late = if one.answered > other.answered { one } else { other };
        self.refreshed(soak, late)
    }

    /// Records the response to the token before the current one.
    pub fn repeated(&mut self, soak: &Soak, advance: &Advance, answer: &Answer) -> Fate {
        if answer.status != 200 {
            return refused(soak, answer, advance.sent, "the token before");
        }
        if answer.last_sent - advance.answered > soak.grace + SLACK {
            let late = answer.last_sent - advance.answered;
            soak.violation(Violation::LateUse, format!("a token that was used {late:?} before"));
        }
        if answer.text("refreshToken") != self.token {
            soak.violation(Violation::Diverged, format!("another successor in session {}", self.id()));
        }
        Fate::Alive
    }
}

impl Advance {
    /// True if the grace of the used token is over for certain.
    pub fn is_past(&self, grace: Duration) -> bool {
        self.answered.elapsed() > grace + SLACK
    }
}

/// Records the refusal of a token that was first sent or used at `since`. If its response was lost and the client
/// retried later than the grace, it is a replay, and the session must end. Otherwise a session was lost.
fn refused(soak: &Soak, answer: &Answer, since: Instant, what: &str) -> Fate {
    let after = answer.answered - since;
    if answer.status == 403 && after + SLACK > soak.grace {
        soak.tally.borrow_mut().forced += 1;
    } else {
        let Answer { status, tries, body, .. } = answer;
        soak.violation(Violation::Lost, format!("{what}: {status} after {after:?} and {tries} tries: {body}"));
    }
    Fate::Ended
}

/// The body that presents `token`.
pub fn presenting(token: &str) -> serde_json::Value {
    json!({"token": token})
}
