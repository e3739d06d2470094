use futures_util::future::join;

use super::{Client, Done, post};
use crate::session::presenting;
use crate::tally::Violation;

impl Client<'_> {
    pub(super) async fn refresh(&mut self, person: usize, seat: usize) -> Done {
        let Some(session) = &self.people[person].sessions[seat] else { return Ok(()) };
        let body = presenting(&session.token);
        let answer = self.post("refresh", "/token", body).await?;
        self.change(person, seat, |session, soak| session.refreshed(soak, &answer));
        Ok(())
    }

    pub(super) async fn refresh_twice(&mut self, person: usize, seat: usize) -> Done {
        let Some(session) = &self.people[person].sessions[seat] else { return Ok(()) };
        let call = post("refresh, twice at once", "/token", presenting(&session.token));
        let both = join(self.soak.insist(&mut self.chance, &call), self.soak.insist(&mut self.aside, &call)).await;
        let answers = [both.0?, both.1?];
        self.change(person, seat, |session, soak| session.refreshed_twice(soak, &answers));
        Ok(())
    }

    /// Presents the token before the current one, within the grace unless it has elapsed.
    pub(super) async fn repeat(&mut self, person: usize, seat: usize) -> Done {
        self.refresh(person, seat).await?;
        let session = self.people[person].sessions[seat].as_ref();
        let Some(advance) = session.and_then(|session| session.advance.clone()) else { return Ok(()) };
        let answer = self.post("repeat within the grace", "/token", presenting(&advance.used)).await?;
        self.change(person, seat, |session, soak| session.repeated(soak, &advance, &answer));
        Ok(())
    }

    /// Presents a used token that must be refused, if there is one. The session ends.
    pub(super) async fn replay(&mut self, person: usize, seat: usize) -> Done {
        let grace = self.soak.grace;
        let Some(session) = &self.people[person].sessions[seat] else { return Ok(()) };
        let past = session.advance.as_ref().filter(|advance| advance.is_past(grace)).map(|advance| &advance.used);
        let Some((token, kind)) = past
            .map(|token| (token, "replay after the grace"))
            .or_else(|| session.older.as_ref().map(|token| (token, "replay of one that is two behind")))
        else {
            return Ok(());
        };
        let body = presenting(token);
        let answer = self.post(kind, "/token", body).await?;
        if answer.status != 403 {
            self.soak.violation(Violation::LateUse, format!("{kind}: {}", answer.status));
        }
        self.end(person, seat);
        Ok(())
    }

    /// Presents the token of an ended session.
    pub(super) async fn knock(&mut self) -> Done {
        match self.graves.len() {
            0 => Ok(()),
            some => {
                let grave = self.chance.below(some);
                self.knock_at(grave).await
            }
        }
    }

    pub(super) async fn knock_at(&mut self, grave: usize) -> Done {
        let body = presenting(&self.graves[grave]);
        let answer = self.post("token of an ended session", "/token", body).await?;
        if answer.status != 403 {
            self.soak.violation(Violation::Undone, format!("an ended session: {}", answer.status));
        }
        Ok(())
    }

    /// Logs out with the current token or the one before.
    pub(super) async fn log_out(&mut self, person: usize, seat: usize) -> Done {
        let Some(session) = &self.people[person].sessions[seat] else { return Ok(()) };
        let used = session.advance.as_ref().map(|advance| &advance.used).filter(|_| self.chance.below(2) == 0);
        let body = presenting(used.unwrap_or(&session.token));
        let answer = self.post("logout", "/logout", body).await?;
        self.expect("logout", &answer, 200, &[]);
        self.end(person, seat);
        Ok(())
    }
}
