use shared_claims::{PublicKey, PublicKeys};

use super::{CliError, Console};
use crate::access_keys::AccessKeys;

/// Shows the keys of access tokens, a line each; or their set (`jwks`), or their PEM blocks (`pem`).
///
/// # Errors
/// The output cannot be written.
pub fn show_keys(keys: &AccessKeys, jwks: bool, pem: bool, console: &mut Console) -> Result<(), CliError> {
    if jwks {
        return Ok(console.say(PublicKeys::own(keys.published()).jwks())?);
    }
    if pem {
        let blocks: String = keys.published().iter().filter_map(PublicKey::pem).collect();
        return Ok(console.say(blocks.trim_end())?);
    }
    if keys.signing.is_none() {
        console.say("access tokens are signed with ACCESS_TOKEN_SECRET (HS256)")?;
    }
    let states = keys.states();
    Ok(states
        .iter()
        .try_for_each(|(key, state)| console.say(format!("{}  {}  {state}", key.key_id(), key.algorithm())))?)
}
