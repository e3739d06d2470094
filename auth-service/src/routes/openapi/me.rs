use serde_json::json;
use shared_http::openapi::shapes::{array_of, of, uuid};
use shared_http::openapi::{Answer, Call};
use utoipa::openapi::path::HttpMethod::{Delete, Get, Put};

use super::{LAST_ADMIN, guessed, schemas};

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
    Call::new(Get, "/me/sessions", "listMySessions", "List the devices signed in")
        .member()
        .answers(Answer::new("200", "The devices, the newest first.").json(array_of("Device")))
}

fn sign_out_device() -> Call {
    Call::new(Delete, "/me/sessions/{id}", "endMySession", "Sign one device out")
        .member()
        .path("id", uuid("The `id` of a device."))
        .answers(Answer::new("204", "It is signed out."))
}

fn sign_out_everywhere() -> Call {
    Call::new(Delete, "/me/sessions", "endAllMySessions", "Sign all devices out, this one too")
        .member()
        .answers(Answer::new("204", "They are signed out."))
}
