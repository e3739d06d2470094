use serde_json::json;
use shared_service::http::openapi::shapes::{array_of, integer, of, text, uuid};
use shared_service::http::openapi::{Answer, Call};
use utoipa::openapi::path::HttpMethod::{Delete, Get, Put};

use super::super::me::PAGE;
use super::{LAST_ADMIN, counted, guessed, schemas};

pub(super) fn calls() -> [Call; 6] {
    [read(), change_password(), leave(), devices(), sign_out_device(), sign_out_everywhere()]
}

fn read() -> Call {
    Call::new(Get, "/me", "readMe", "Read the caller's account")
        .member()
        .answers(Answer::new("200", "The account.").json(of("Profile")))
}

fn change_password() -> Call {
    let example = json!({"currentPassword": "password123member", "newPassword": "seven quiet owls read maps"});
    guessed(Call::new(Put, "/me/password", "changeMyPassword", "Set another password"))
        .note("All other devices are signed out.")
        .member()
        .body(schemas::password_change(), [("anna's", example)])
        .answers(Answer::new("204", "It is set."))
}

fn leave() -> Call {
    guessed(Call::new(Delete, "/me", "deleteMe", "Delete the caller's account"))
        .note("For good, with all its sessions.")
        .member()
        .body(schemas::proof(), [("anna's", json!({"currentPassword": "password123member"}))])
        .answers(Answer::new("204", "It is gone."))
        .refuses(&[LAST_ADMIN])
}

fn devices() -> Call {
    counted(Call::new(Get, "/me/sessions", "listMySessions", "List the devices signed in, page by page"))
        .note("There are 200 at most: a login ends the session that was unused longest.")
        .member()
        .query("limit", integer("The most devices on the page.", &(1..=PAGE)))
        .query("cursor", text("Where the page begins: what `Link` of the page before says."))
        .answers(
            Answer::new("200", "The page, the newest first.")
                .header("Link", "`rel=\"next\"`: the next page (RFC 8288), if there is one.")
                .json(array_of("Device")),
        )
}

fn sign_out_device() -> Call {
    counted(Call::new(Delete, "/me/sessions/{id}", "endMySession", "Sign one device out"))
        .member()
        .path("id", uuid("The `id` of a device."))
        .answers(Answer::new("204", "It is signed out."))
}

fn sign_out_everywhere() -> Call {
    counted(Call::new(Delete, "/me/sessions", "endAllMySessions", "Sign all devices out, this one too"))
        .member()
        .answers(Answer::new("204", "They are signed out."))
}
