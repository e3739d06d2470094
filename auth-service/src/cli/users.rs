use clap::{Args, Subcommand};
use shared_claims::Role;
use shared_service::clock::{now_ms, rfc3339};

use super::import::{ImportArgs, import};
use super::{CliContext, CliError, Console, counted, find, no_user};
use crate::endings::complete_of;
use crate::limits::ClientNetwork;
use crate::mail::Linked;
use crate::passwords::{NotHashed, PasswordHash};
use crate::users::{By, Changed, Created, Deleted, Email, NewUser, User, UserChange, Username};

/// Commands about users.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  \
      auth-service users add alice --role admin              asks for the password\n  \
      echo \"$PASSWORD\" | auth-service users add alice      takes it from a variable\n  \
      auth-service users set-password alice@example.org      a new one; ends her sessions\n  \
      auth-service users reset-link alice                    a link by which she sets one herself\n  \
      auth-service users export >people.jsonl                holds password hashes: keep it safe, or delete it")]
pub enum UsersCommand {
    /// Add a user; asks for the password twice, or reads it as one line from standard input
    Add {
        /// 3 to 32 characters: a-z, digits, '.', '_', '-'
        name: String,
        /// member or admin
        #[arg(long, default_value = "member")]
        role: Role,
        /// So that the user can log in by it, too
        #[arg(long)]
        email: Option<String>,
    },
    /// Show all users
    List {
        /// Print a JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Make a user an admin, or a member again; access tokens from before are refused, and a refresh brings the new role
    SetRole {
        /// A user name, an email or a user id
        name: String,
        /// member or admin
        role: Role,
    },
    /// Give a user another password, and end the sessions; asks as `add` does
    SetPassword(Named),
    /// Print a link by which a user sets a password, good once, for 30 minutes; needs `PUBLIC_URL`, and no mail
    ResetLink(Named),
    /// Keep a user from logging in, and end the sessions
    Disable(Named),
    /// Let a user log in again
    Enable(Named),
    /// Remove a user for good, and end the sessions
    Delete(Named),
    /// Add people from JSON lines, a JSON array, or CSV with a header: all of them, or none
    ///
    /// Members or columns, also in another spelling (`created_at`):
    ///   username      without one: --usernames-from-email
    ///   email
    ///   passwordHash  or password, hash: bcrypt ($2a$, $2b$, $2y$), or from `users export`; never plain text
    ///   role          member or admin; or admin, true or false; any other member by --role-field
    ///   disabled      or banned, blocked, suspended, deleted, deletedAt, isActive, enabled, status, …
    ///   createdAt     RFC 3339, a date of a database (UTC where no zone stands), or milliseconds since 1970
    ///   id            a UUID; another one is ignored
    /// Other members are ignored, counted and named. An account whose user name is there already is left as it is, so a
    /// second run changes nothing; the report names it. Each bad line is reported with the wrong member; --skip-invalid
    /// imports the others.
    /// From Mongo: mongoexport --collection users | auth-service users import - --usernames-from-email
    #[command(verbatim_doc_comment)]
    Import(ImportArgs),
    /// Write all users as JSON lines that `users import` takes back; with their password hashes, so keep it safe
    Export,
}

impl UsersCommand {
    /// True if the command may end sessions.
    pub(super) const fn ends_sessions(&self) -> bool {
        matches!(self, Self::SetRole { .. } | Self::SetPassword(_) | Self::Disable(_) | Self::Delete(_))
    }
}

/// The user that a command concerns.
#[derive(Debug, Args)]
pub struct Named {
    /// A user name, an email or a user id
    pub name: String,
}

/// Runs a command about users.
///
/// # Errors
/// The reason why it did not succeed.
pub async fn run_users(command: UsersCommand, context: CliContext<'_>, console: &mut Console) -> Result<(), CliError> {
    use UsersCommand as C;
    let none = UserChange::default();
    match command {
        C::Add { name, role, email } => context.add(console, &name, role, email.as_deref()).await,
        C::List { json } => context.list(console, json).await,
        C::SetRole { name, role } => {
            let user = find(context.users, &name).await?;
            context.change(console, &user, &UserChange { role: Some(role), ..none }, &format!("is {role} now")).await
        }
        C::SetPassword(Named { name }) => {
            let user = find(context.users, &name).await?;
            let hash = Some(context.new_hash(console, &user.username, user.email.as_ref()).await?);
            context.change(console, &user, &UserChange { hash, ..none }, "has the new password").await
        }
        C::ResetLink(Named { name }) => context.reset_link(console, &find(context.users, &name).await?).await,
        C::Disable(Named { name }) => {
            let (user, change) = (find(context.users, &name).await?, UserChange { disabled: Some(true), ..none });
            context.change(console, &user, &change, "cannot sign in any more").await
        }
        C::Enable(Named { name }) => {
            let (user, change) = (find(context.users, &name).await?, UserChange { disabled: Some(false), ..none });
            context.change(console, &user, &change, "can sign in").await
        }
        C::Delete(Named { name }) => context.delete(console, &find(context.users, &name).await?).await,
        C::Import(args) => import(context, console, &args, now_ms()).await,
        C::Export => context.export(console).await,
    }
}

impl CliContext<'_> {
    async fn add(self, console: &mut Console, name: &str, role: Role, email: Option<&str>) -> Result<(), CliError> {
        let username: Username = name.parse().map_err(|error| CliError::refused(format!("the name {error}")))?;
        let email = email.map(str::parse).transpose();
        let email = email.map_err(|error| CliError::refused(format!("the email {error}")))?;
        let hash = self.new_hash(console, &username, email.as_ref()).await?;
        match self.users.create(NewUser { username, email, hash, role }, now_ms()).await? {
            Created::User(user) => Ok(console.say(format!("{} is there, as {}", user.username, user.role))?),
            Created::UsernameTaken => Err(CliError::refused("another account has that name")),
            Created::EmailTaken => Err(CliError::refused("another account has that email")),
        }
    }

    /// Prints a link by which `user` sets a password.
    async fn reset_link(self, console: &mut Console, user: &User) -> Result<(), CliError> {
        let linked = match self.recovery {
            Some(recovery) => recovery.link(By::NoAccount, &user.id, now_ms()).await?,
            None => None,
        };
        match linked {
            Some(Linked::Link { url, expires_at }) => {
                console.say(&url)?;
                Ok(console.say(format!("for {}, until {}", user.username, rfc3339(expires_at)))?)
            }
            Some(Linked::NotFound) => Err(CliError::refused("the user is gone by now")),
            Some(Linked::NotConfigured) | None => Err(CliError::refused(
                "PUBLIC_URL is not set: the link needs auth-service's address as a browser sees it",
            )),
        }
    }

    async fn new_hash(
        self,
        console: &mut Console,
        username: &Username,
        email: Option<&Email>,
    ) -> Result<PasswordHash, CliError> {
        let password = console.new_password()?;
        let about = [username.as_str(), email.map_or("", Email::as_str)];
        self.passwords.hash_new(ClientNetwork::default(), password, &about).await.map_err(|error| match error {
            NotHashed::Weak(error) => CliError::refused(format!("the password {error}")),
            NotHashed::Pool(error) => error.into(),
        })
    }

    /// Changes a user, and prints the result `done`. The change comes before the end of the sessions, so that a session
    /// opened in between ends too.
    async fn change(self, console: &mut Console, user: &User, change: &UserChange, done: &str) -> Result<(), CliError> {
        match self.users.change(&user.id, change).await? {
            Changed::Done { after, .. } if change.ends_sessions() => self.sign_out(console, &after, done, 0).await,
            Changed::Done { after, .. } => {
                self.complete(&after, done).await?;
                Ok(console.say(format!("{} {done}", after.username))?)
            }
            Changed::NotFound => Err(no_user(user.username.as_str())),
            Changed::LastAdmin => Err(last_admin()),
            Changed::EmailTaken => Err(CliError::refused("another account has that email")),
        }
    }

    /// A session that outlives its user is useless, because a refresh reads the user again.
    async fn delete(self, console: &mut Console, user: &User) -> Result<(), CliError> {
        // Before and after: if sessions cannot be ended, the user stays. For an admin only after: the last one stays.
        let early = if user.role == Role::Admin { 0 } else { self.sessions.end_all(&user.id, None).await? };
        match self.users.delete(&user.id).await? {
            Deleted::Done(user) => self.sign_out(console, &user, "is deleted", early).await,
            Deleted::NotFound => Err(no_user(user.username.as_str())),
            Deleted::LastAdmin => Err(last_admin()),
        }
    }

    /// Ends the sessions of `user`; `early` of them have ended already.
    async fn sign_out(self, console: &mut Console, user: &User, done: &str, early: u64) -> Result<(), CliError> {
        let count = counted(early + self.complete(user, done).await?);
        Ok(console.say(format!("{} {done}; {count} ended", user.username))?)
    }

    async fn complete(self, user: &User, done: &str) -> Result<u64, CliError> {
        complete_of(self.users, self.sessions, &user.id).await.map_err(|error| {
            CliError::refused(format!(
                "{} {done}, but open sessions or access tokens still count; a running service ends them: {error}",
                user.username
            ))
        })
    }
}

fn last_admin() -> CliError {
    CliError::refused("that is the last admin; make another user one first: auth-service users set-role NAME admin")
}
