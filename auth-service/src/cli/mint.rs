use std::error::Error;

use clap::Args;
use shared_claims::{AccessClaims, Role, Signer};
use shared_service::clock::now_ms;
use shared_service::{AccessSettings, Settings};
use uuid::Uuid;

use super::{CliError, Console};
use crate::config::Config;
use crate::users::{DEMO_PEOPLE, DemoPerson};

const SECRET: &str = "TEST_TOKEN_SECRET";

/// The arguments of `token mint`.
#[derive(Debug, Args)]
pub struct MintArgs {
    /// The user name; john and anna get the id and the role that they have as demo users
    name: String,
    /// member or admin; member if none is given
    #[arg(long)]
    role: Option<Role>,
    /// The user's id (sub); a new UUID if none is given
    #[arg(long, value_name = "ID")]
    sub: Option<String>,
}

/// Prints an access token signed with the test secret, and never with a secret or key of the running service.
pub(super) fn mint(args: &MintArgs, mut settings: Settings, console: &mut Console) -> Result<(), Box<dyn Error>> {
    let secret = settings.signing_secret(SECRET, "Signs the tokens of `token mint`, for tests alone");
    let issuer = AccessSettings::issuer(&mut settings);
    let (audience, ttl) = (Config::audience(&mut settings), AccessSettings::ttl(&mut settings));
    settings.finish()?;
    let secret = secret.ok_or_else(|| {
        CliError::refused(format!(
            "{SECRET} is not set: it signs the token, and the services under test have the same text as ACCESS_TOKEN_SECRET"
        ))
    })?;
    let demo = DEMO_PEOPLE.iter().find(|person| person.name == args.name);
    let sub = args.sub.clone().or_else(|| demo.map(|DemoPerson { id, .. }| (*id).to_owned()));
    let iat = u64::try_from(now_ms() / 1000)?;
    let claims = AccessClaims {
        sub: sub.unwrap_or_else(|| Uuid::new_v4().to_string()),
        exp: iat + ttl.as_secs(),
        iat,
        jti: Uuid::new_v4().to_string(),
        sid: Uuid::new_v4().to_string(),
        username: args.name.clone(),
        role: args.role.or(demo.map(|person| person.role)).unwrap_or(Role::Member).to_string(),
    };
    Ok(console.say(Signer::new(&issuer, &audience, &secret)?.sign(&claims))?)
}
