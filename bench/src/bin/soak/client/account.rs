use reqwest::Method;
use serde_json::{Value, json};

use super::{Client, Done, PASSWORD, SEATS};
use crate::session::Session;
use crate::tally::Violation;

impl Client<'_> {
    pub(super) async fn look_at_devices(&mut self, person: usize, seat: usize) -> Done {
        let answer =
            self.as_member("list of devices", Method::GET, "/me/sessions", (person, seat), Value::Null).await?;
        let Some(devices) = answer.body.as_array().filter(|_| answer.status == 200) else {
            self.soak.violation(Violation::Refused, format!("list of devices: {} {}", answer.status, answer.body));
            return Ok(());
        };
        let owner = &self.people[person];
        let mut missing: Vec<String> = owner.sessions.iter().flatten().map(Session::id).collect();
        let strangers = devices.iter().filter(|device| {
            let known = missing.iter().position(|id| device["id"] == **id);
            known.map(|index| missing.swap_remove(index)).is_none()
        });
        let strangers = strangers.count();
        if !missing.is_empty() || strangers > owner.orphans {
            let what = format!("{} missing, {strangers} unknown, {} orphans allowed", missing.len(), owner.orphans);
            self.soak.violation(Violation::Devices, what);
        }
        Ok(())
    }

    /// Signs out the session of `seat`, with its own access token or that of another session.
    pub(super) async fn sign_out_device(&mut self, person: usize, seat: usize) -> Done {
        let sessions = &self.people[person].sessions;
        let Some(id) = sessions[seat].as_ref().map(Session::id) else { return Ok(()) };
        let from = sessions.iter().position(Option::is_some).unwrap_or(seat);
        let path = format!("/me/sessions/{id}");
        let answer = self.as_member("sign out a device", Method::DELETE, &path, (person, from), Value::Null).await?;
        // If an earlier try took effect, the access token may have ended with its session.
        self.expect("sign out a device", &answer, 204, &[404, 401]);
        self.end(person, seat);
        Ok(())
    }

    pub(super) async fn sign_out_everywhere(&mut self, person: usize, seat: usize) -> Done {
        let kind = "sign out everywhere";
        let answer = self.as_member(kind, Method::DELETE, "/me/sessions", (person, seat), Value::Null).await?;
        self.expect(kind, &answer, 204, &[401]);
        (0..SEATS).for_each(|seat| self.end(person, seat));
        self.people[person].orphans = 0;
        Ok(())
    }

    /// Changes the password. This ends all sessions but that of `seat`, and the old password is refused from then on.
    pub(super) async fn change_password(&mut self, person: usize, seat: usize) -> Done {
        let owner = &self.people[person];
        let changes = owner.changes + 1;
        let new = format!("{PASSWORD} {changes}");
        let body = json!({"currentPassword": owner.password, "newPassword": new});
        let old = owner.credentials();
        let (kind, path) = ("change of password", "/me/password");
        let mut answer = self.as_member(kind, Method::PUT, path, (person, seat), body.clone()).await?;
        // auth-service ends sessions and access tokens first. If a try failed then, the password is unchanged.
        while answer.status == 401 && answer.body["code"] == "invalid_token" && answer.tries > 1 {
            self.refresh(person, seat).await?;
            if self.people[person].sessions[seat].is_none() {
                return self.ask_which_password(person, old, new).await;
            }
            let tries = answer.tries;
            answer = self.as_member(kind, Method::PUT, path, (person, seat), body.clone()).await?;
            answer.tries += tries;
        }
        // If an earlier try took effect, the password is no longer the current one.
        self.expect(kind, &answer, 204, &[401]);
        (0..SEATS).filter(|other| *other != seat).for_each(|other| self.end(person, other));
        let owner = &mut self.people[person];
        (owner.password, owner.changes, owner.orphans) = (new, changes, 0);
        let answer = self.post("login with an old password", "/login", old).await?;
        if answer.status != 401 {
            self.soak.violation(Violation::Undone, format!("an old password: {}", answer.status));
        }
        self.refresh(person, seat).await
    }

    /// Finds out whether a password change took effect, after all sessions of the person have ended.
    async fn ask_which_password(&mut self, person: usize, old: Value, new: String) -> Done {
        (0..SEATS).for_each(|seat| self.end(person, seat));
        let answer = self.post("login with an old password", "/login", old).await?;
        let owner = &mut self.people[person];
        owner.orphans = answer.tries;
        if answer.status != 200 {
            (owner.password, owner.changes) = (new, owner.changes + 1);
        }
        Ok(())
    }
}
