use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web::Data};
use shared_claims::{Problem, Role};
use shared_service::clock::now_ms;
use shared_service::{Body, Caller, Fields};

use super::admitted::Admitted;
use super::replies::{Added, Profile};
use super::{State, email_taken, no_admin, not_hashed, username_taken};
use crate::passwords::check_length;
use crate::users::{By, Created, Email, NewUser, User, Username};

/// `POST /register`: anyone becomes a member. What the body says of roles gives nothing.
pub(super) async fn register(
    Admitted(caller): Admitted,
    state: Data<State>,
    Body(fields): Body,
) -> Result<HttpResponse, Problem> {
    let user = Newcomer::read(fields)?.create(&state, &caller, Role::Member, None).await?;
    log::info!(target: "audit", event = "user.registered", user = user.id.as_str(); "registered");
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, "/me"))
        .json(Added { message: "User registered successfully", user: Profile::from(&user) }))
}

/// Who a body says that somebody wants to be.
pub(super) struct Newcomer {
    username: Username,
    email: Option<Email>,
    password: String,
}

impl Newcomer {
    pub(super) fn read(mut fields: Fields) -> Result<Self, Problem> {
        let username = fields.parsed("username", Username::parse);
        let email = fields.optional_parsed("email", Email::parse);
        let password = fields.text("password", |text| check_length(text).map_err(|weak| weak.to_string()));
        fields.finish()?;
        Ok(Self { username: username.ok_or_else(Problem::internal)?, email, password })
    }

    /// Stores the newcomer as a user of the role `role`, on behalf of the account `by` if there is one.
    pub(super) async fn create(
        self,
        state: &State,
        caller: &Caller,
        role: Role,
        by: Option<By<'_>>,
    ) -> Result<User, Problem> {
        let Self { username, email, password } = self;
        let about = [username.as_str(), email.as_ref().map_or("", Email::as_str)];
        let hash = state
            .passwords
            .hash_new(caller.address.into(), password, &about)
            .await
            .map_err(|error| not_hashed(error, "password"))?;
        let new = NewUser { username, email, hash, role };
        let created = match by {
            None => state.users.create(new, now_ms()).await?,
            Some(by) => state.users.create_by(by, new, now_ms()).await?.ok_or_else(no_admin)?,
        };
        match created {
            Created::User(user) => Ok(user),
            Created::UsernameTaken => Err(username_taken()),
            Created::EmailTaken => Err(email_taken()),
        }
    }
}
