use shared_claims::Role;

use super::{CliError, Console, House};
use crate::endings::complete_of;
use crate::neighbourhood::Neighbourhood;
use crate::passwords::NotHashed;
use crate::users::{Changed, Created, Deleted, Email, NewUser, User, UserChange, Username};

pub(super) async fn add(
    house: House<'_>,
    console: &mut Console,
    name: &str,
    role: &str,
    email: Option<&str>,
    now_ms: i64,
) -> Result<(), CliError> {
    let username = Username::parse(name).map_err(|error| CliError::refused(format!("the name {error}")))?;
    let role = parse_role(role)?;
    let email = email.map(Email::parse).transpose();
    let email = email.map_err(|error| CliError::refused(format!("the email {error}")))?;
    let hash = new_hash(house, console, &username, email.as_ref()).await?;
    match house.users.create(NewUser { username, email, hash, role }, now_ms).await? {
        Created::User(user) => Ok(console.say(format!("{} is there, as {}", user.username, user.role))?),
        Created::UsernameTaken => Err(CliError::refused("somebody has that name")),
        Created::EmailTaken => Err(CliError::refused("somebody has that email")),
    }
}

pub(super) async fn set_role(house: House<'_>, console: &mut Console, name: &str, role: &str) -> Result<(), CliError> {
    let change = UserChange { role: Some(parse_role(role)?), ..UserChange::default() };
    let user = change_user(house, &find(house, name).await?, &change).await?;
    let (name, role) = (&user.username, user.role);
    let cut_off = complete_of(house.users, house.sessions, &user.id).await;
    cut_off.map_err(|error| {
        CliError::refused(format!("{name} is {role} now, but access tokens still say otherwise, until a running service has ended them: {error}"))
    })?;
    Ok(console.say(format!("{name} is {role} now"))?)
}

pub(super) async fn set_password(house: House<'_>, console: &mut Console, name: &str) -> Result<(), CliError> {
    let user = find(house, name).await?;
    let hash = new_hash(house, console, &user.username, user.email.as_ref()).await?;
    let user = change_user(house, &user, &UserChange { hash: Some(hash), ..UserChange::default() }).await?;
    sign_out(house, console, &user, "has the new password", 0).await
}

pub(super) async fn disable(house: House<'_>, console: &mut Console, name: &str) -> Result<(), CliError> {
    let change = UserChange { disabled: Some(true), ..UserChange::default() };
    let user = change_user(house, &find(house, name).await?, &change).await?;
    sign_out(house, console, &user, "cannot sign in any more", 0).await
}

pub(super) async fn enable(house: House<'_>, console: &mut Console, name: &str) -> Result<(), CliError> {
    let change = UserChange { disabled: Some(false), ..UserChange::default() };
    let user = change_user(house, &find(house, name).await?, &change).await?;
    Ok(console.say(format!("{} can sign in", user.username))?)
}

/// Sessions that outlive their user are worth nothing, because a refresh reads the user again.
pub(super) async fn delete(house: House<'_>, console: &mut Console, name: &str) -> Result<(), CliError> {
    let user = find(house, name).await?;
    // Before as well as after: where sessions cannot end, the user stays. An admin may be the last, and stay.
    let early = if user.role == Role::Admin { 0 } else { house.sessions.end_all(&user.id, None).await? };
    match house.users.delete(&user.id).await? {
        Deleted::Done(user) => sign_out(house, console, &user, "is deleted", early).await,
        Deleted::NotFound => Err(nobody(name)),
        Deleted::LastAdmin => Err(last_admin()),
    }
}

/// Says what was `done`, once the sessions have ended, too, beside those that ended `early`. The change comes first: a session
/// that is opened in between ends as well.
async fn sign_out(
    house: House<'_>,
    console: &mut Console,
    user: &User,
    done: &str,
    early: u64,
) -> Result<(), CliError> {
    let name = &user.username;
    let failed = |error| {
        CliError::refused(format!(
            "{name} {done}, but the open sessions have not ended yet; a running service ends them: {error}"
        ))
    };
    let count = early + complete_of(house.users, house.sessions, &user.id).await.map_err(failed)?;
    let sessions = if count == 1 { "session" } else { "sessions" };
    Ok(console.say(format!("{name} {done}; {count} {sessions} ended"))?)
}

async fn find(house: House<'_>, name: &str) -> Result<User, CliError> {
    let account = house.users.account_by_login(name).await?;
    account.map(|account| account.user).ok_or_else(|| nobody(name))
}

async fn change_user(house: House<'_>, user: &User, change: &UserChange) -> Result<User, CliError> {
    match house.users.change(&user.id, change).await? {
        Changed::Done { after, .. } => Ok(after),
        Changed::NotFound => Err(nobody(user.username.as_str())),
        Changed::LastAdmin => Err(last_admin()),
        Changed::EmailTaken => Err(CliError::refused("somebody has that email")),
    }
}

async fn new_hash(
    house: House<'_>,
    console: &mut Console,
    username: &Username,
    email: Option<&Email>,
) -> Result<crate::passwords::PasswordHash, CliError> {
    let password = console.new_password()?;
    let about = [username.as_str(), email.map_or("", Email::as_str)];
    house.passwords.hash_new(Neighbourhood::default(), password, &about).await.map_err(|error| match error {
        NotHashed::Weak(error) => CliError::refused(format!("the password {error}")),
        NotHashed::Pool(error) => error.into(),
    })
}

fn parse_role(role: &str) -> Result<Role, CliError> {
    role.parse().map_err(|error| CliError::refused(format!("the role {error}")))
}

fn nobody(name: &str) -> CliError {
    CliError::refused(format!("there is nobody called {name:?}"))
}

fn last_admin() -> CliError {
    CliError::refused("that is the last admin; make somebody else one first: auth-service users set-role NAME admin")
}
