use super::Kind;
use crate::users::Username;

/// Subject and body of a mail. The user name is the only user input in it.
#[derive(Debug)]
pub(super) struct Letter {
    pub subject: &'static str,
    pub body: String,
}

/// The mail with a link to set another password.
pub(super) fn reset(name: &Username, link: &str) -> Letter {
    let body = format!(
        "Hello {name},\n\na new password was requested for your account. To set one, open this page\n\
        within 30 minutes:\n\n{link}\n\nIf it was not you, ignore this mail: your password stays as it is.\n"
    );
    Letter { subject: "Set a new password", body }
}

/// The mail with a link to verify an address.
pub(super) fn verify(name: &Username, link: &str) -> Letter {
    let body = format!(
        "Hello {name},\n\nthis address was given for the account {name}. To confirm it, open\n\
        this page within 24 hours and enter the password of the account:\n\n{link}\n\n\
        If it was not you, ignore this mail: the address is not used.\n"
    );
    Letter { subject: "Confirm your address", body }
}

/// A notice to the owner of an address that it was given for another account.
pub(super) fn taken(name: &Username) -> Letter {
    let body = format!(
        "Hello {name},\n\nthis address was given for another account. It belongs to the account\n\
        {name} and stays there.\n\nIf it was you: log in as {name}, or ask for a new\n\
        password if you forgot yours. If it was not you, ignore this mail.\n"
    );
    Letter { subject: "You have an account already", body }
}

/// A notice to the user about a new address, a reused refresh token or a new password.
pub(super) fn notice(kind: Kind, name: &Username) -> Letter {
    let (subject, what) = match kind {
        Kind::NewAddress => (
            "Your address is being changed",
            "another address was given for your account, to take the place of this one.",
        ),
        Kind::Reuse => (
            "A device was signed out",
            "a refresh token of your account was used a second time, as it happens when it\n\
            was copied. The session has ended.",
        ),
        Kind::NewPassword | Kind::Reset | Kind::Verify => {
            ("Your password was changed", "your account has a new password, and other devices were signed out.")
        }
    };
    let body = format!(
        "Hello {name},\n\n{what}\n\nIf it was you, there is nothing to do. If it was not you, ask for a new\n\
        password at once.\n"
    );
    Letter { subject, body }
}
