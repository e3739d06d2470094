use serde_json::json;
use shared_service::http::openapi::shapes::{added, array_of, integer, of, text, uuid};
use shared_service::http::openapi::{Answer, Call};
use utoipa::openapi::path::HttpMethod::{Delete, Get, Patch, Post};

use super::super::users::PAGE;
use super::{BUSY, EMAIL_TAKEN, LAST_ADMIN, USERNAME_TAKEN, schemas};

pub(super) fn calls() -> [Call; 6] {
    [list(), add(), read(), change(), delete(), sign_out()].map(Call::admin)
}

fn list() -> Call {
    Call::new(Get, "/users", "listUsers", "List people, page by page")
        .query("q", text("Occurs in the user name or the email."))
        .query("limit", integer("The most people on the page.", &(1..=PAGE)))
        .query("cursor", text("Where the page begins: what `Link` of the page before says."))
        .answers(
            Answer::new("200", "The page.")
                .header("X-Total-Count", "How many people there are on all pages.")
                .header("Link", "`rel=\"next\"`: the next page (RFC 8288), if there is one.")
                .json(array_of("Record")),
        )
}

fn add() -> Call {
    let example = json!({"username": "ada", "password": "nine small boats at noon", "role": "admin"});
    Call::new(Post, "/users", "addUser", "Add somebody")
        .body(schemas::newcomer_with_role(), [("another admin", example)])
        .answers(
            Answer::new("201", "They can sign in.")
                .header("Location", "Where the account is.")
                .json(added("user", "Record")),
        )
        .refuses(&[USERNAME_TAKEN, EMAIL_TAKEN, BUSY])
}

fn read() -> Call {
    one(Call::new(Get, "/users/{id}", "readUser", "Read somebody's account"))
        .answers(Answer::new("200", "The account.").json(of("Record")))
}

fn change() -> Call {
    one(Call::new(
        Patch,
        "/users/{id}",
        "changeUser",
        "Change somebody's role, email or password; disable or enable them",
    ))
    .body(schemas::change(), [("disable", json!({"disabled": true})), ("promote", json!({"role": "admin"}))])
    .answers(Answer::new("200", "The account as it is now.").json(of("Record")))
    .refuses(&[LAST_ADMIN, EMAIL_TAKEN, BUSY])
}

fn delete() -> Call {
    one(Call::new(Delete, "/users/{id}", "deleteUser", "Delete somebody's account"))
        .note("For good, with all its sessions.")
        .answers(Answer::new("204", "It is gone."))
        .refuses(&[LAST_ADMIN])
}

fn sign_out() -> Call {
    one(Call::new(Delete, "/users/{id}/sessions", "endUserSessions", "Sign somebody out everywhere"))
        .answers(Answer::new("204", "They are signed out."))
}

fn one(call: Call) -> Call {
    call.path("id", uuid("The `id` of an account."))
}
