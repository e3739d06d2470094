use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web::Data};
use shared_claims::ErrorCode::{Busy, EmailTaken, RegistrationClosed, TooManyRequests, Unavailable, UsernameTaken};
use shared_claims::{Admin, Problem, Role};
use shared_service::Caller;
use shared_service::clock::now_ms;
use shared_service::http::request::{Body, Parsed};

use super::callers::RateLimited;
use super::replies::{Profile, Registered};
use super::requests::{self, Registration};
use super::{State, email_taken, no_admin, not_hashed};
use crate::passwords::{NewPassword, NotHashed};
use crate::users::{By, Created, Email, NewUser, User};

/// Become a member
///
/// With `REGISTRATION=false`, only admins add users.
#[utoipa::path(post, path = "/register", operation_id = "register", tag = "sessions", request_body = Registration,
    responses((status = 201, description = "The account exists.", body = Registered,
        headers(("Location" = String, description = "The address of what was added.")))),
    extensions(("x-errors" = json!([RegistrationClosed, TooManyRequests, UsernameTaken, EmailTaken, Unavailable, Busy]))))]
pub(super) async fn register(
    RateLimited(caller): RateLimited,
    state: Data<State>,
    body: Body<Registration>,
) -> Result<HttpResponse, Problem> {
    if !state.registration {
        return Err(Problem::new(RegistrationClosed));
    }
    let Registration { username, email, password } = body.read()?;
    // A role in the body is ignored.
    let new = requests::NewUser { role: None, username, email, password: Some(password) };
    let user = create(&state, &caller, new, None).await?;
    log::info!(target: "audit", event = "user.registered", user = user.id.as_str(); "registered");
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, "/me"))
        .json(Registered { message: "User registered successfully", user: Profile::of(&user, &state) }))
}

/// Creates a user, on behalf of the admin `by` if there is one. Without a password, the user sets one by a link.
pub(super) async fn create(
    state: &State,
    caller: &Caller,
    new: requests::NewUser,
    by: Option<&Admin>,
) -> Result<User, Problem> {
    let requests::NewUser { role, username: Parsed(username), email, password } = new;
    let (role, email) = (role.map_or(Role::Member, |Parsed(role)| role), email.map(|Parsed(email)| email));
    let about = [username.as_str(), email.as_ref().map_or("", Email::as_str)];
    let hash = match password {
        Some(Parsed(password)) => state.passwords.hash_new(caller.address.into(), password.0, &about).await,
        None => state.passwords.hash(NewPassword::random()).await.map_err(NotHashed::from),
    };
    let hash = hash.map_err(|error| not_hashed(error, "password"))?;
    let new = NewUser { username, email, hash, role };
    let created = match by {
        None => state.users.register(new, now_ms()).await?,
        Some(admin) => {
            state.check_session(admin).await?;
            let by = By::Admin(&admin.user_id);
            state.users.create_by(by, new, now_ms()).await?.ok_or_else(no_admin)?
        }
    };
    match created {
        Created::User(user) => Ok(user),
        Created::UsernameTaken => Err(Problem::new(UsernameTaken).error("username", "is taken")),
        Created::EmailTaken => Err(email_taken()),
    }
}
