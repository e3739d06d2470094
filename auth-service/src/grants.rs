//! Login with a password, refresh (RFC 6749 section 6), logout.

/// The reasons why a login or a refresh is refused.
mod refused;

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use shared_claims::TokenError;
use shared_service::database::StoreError;
use tokio::sync::oneshot::Receiver;
use tokio::time::sleep;

use crate::counts::{LOGINS, LoginResult, REFRESHES, RefreshResult, count};
use crate::endings::complete_of;
use crate::limits::{ClientNetwork, Limits};
use crate::passwords::Passwords;
use crate::sessions::{Label, Rotation, Session, SessionId, SessionStore};
use crate::tokens::{TokenPair, Tokens, VerifiedRefreshToken};
use crate::users::{Account, User, Users};

pub(crate) use self::refused::LoginRefused;
pub use self::refused::Refused;

/// The longest wait until the `iat` of a token, however much the clocks differ.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Issues tokens: login, refresh, logout.
pub struct Grants {
    users: Users,
    sessions: Arc<dyn SessionStore>,
    tokens: Arc<Tokens>,
    longest_pause: Duration,
}

/// The result of a login or a refresh.
pub struct TokenResponse {
    /// The current state of the user.
    pub user: User,
    /// The current state of the session.
    pub session: Session,
    /// The two tokens of the session.
    pub pair: TokenPair,
}

/// The credentials of a client that logs in.
pub struct Login {
    /// The user name or the email, in its canonical form.
    pub name: String,
    /// The password.
    pub password: SecretString,
    /// The network that the client calls from.
    pub from: ClientNetwork,
    /// The description of the session.
    pub label: Label,
}

/// An account whose password is right, and the attempt that was right: see [`Right`](crate::passwords::Right).
type Authenticated = (Account, usize);

impl Grants {
    /// Creates the issuer of tokens from its stores and keys.
    #[must_use]
    pub fn new(users: Users, sessions: Arc<dyn SessionStore>, tokens: impl Into<Arc<Tokens>>) -> Self {
        Self { users, sessions, tokens: tokens.into(), longest_pause: LONGEST_PAUSE }
    }

    /// Limits the wait until the `iat` of a token. For tests.
    #[must_use]
    pub const fn with_pause(mut self, longest: Duration) -> Self {
        self.longest_pause = longest;
        self
    }

    /// Opens a session for the credentials `login`. The order is the security argument: the attempt is counted before
    /// the password is verified, the result is counted before the client learns it, and the account is read again once
    /// the session exists.
    pub(crate) async fn log_in(
        &self,
        passwords: &Passwords,
        limits: &Limits,
        login: Login,
    ) -> Result<TokenResponse, LoginRefused> {
        let done = async {
            let account = loop {
                let check = self.authenticate(passwords, &login);
                let account = limits.guarded(&login.name, login.from, check).await?.ok_or(LoginRefused::Wrong)?;
                // Only now, because the time of a rewrite would reveal a right password whose result is withheld.
                if let Some(account) = self.with_current_hash(passwords, &login, account).await? {
                    break account;
                }
            };
            let user_id = account.user.id.clone();
            self.open(account, login.label).await?.ok_or_else(|| {
                log_failure(&user_id);
                LoginRefused::Wrong
            })
        }
        .await;
        count(LOGINS, done.as_ref().map_or_else(LoginRefused::result, |_| LoginResult::Ok));
        done
    }

    /// Opens a session for `account`; `None` if the account changed since it was read.
    ///
    /// The account is read again once the session exists: a concurrent password change, disabling or deletion may have
    /// ended the user's sessions before this one existed. A hash rewritten by an instance with another `BCRYPT_COST` or
    /// pepper is not such a change.
    ///
    /// # Errors
    /// A store is unavailable.
    pub async fn open(&self, account: Account, label: Label) -> Result<Option<TokenResponse>, StoreError> {
        let user_id = account.user.id.clone();
        // Completed later, the ending of an earlier change would also end the session that is opened now.
        complete_of(&self.users, &*self.sessions, &user_id).await?;
        let session = self.sessions.open(&user_id, label).await?;
        if let Some(now) = self.users.account(&user_id).await?.filter(|now| account.still_counts(now)) {
            return Ok(Some(self.grant(now.user, session).await));
        }
        self.sessions.end(&user_id, session.id).await?;
        Ok(None)
    }

    /// Finds and authenticates the account. An unknown name, a wrong password and a disabled account take the same time
    /// and give the same response.
    async fn authenticate(
        &self,
        passwords: &Passwords,
        login: &Login,
    ) -> Result<Option<(Authenticated, Receiver<()>)>, LoginRefused> {
        let Login { name, password, from, .. } = login;
        let found = self.users.account_by_login(name).await?;
        let user_id = found.as_ref().map_or("unknown", |account| account.user.id.as_str()).to_owned();
        let right = match found.filter(|account| !account.user.disabled) {
            Some(account) => {
                let right = passwords.verify(*from, password.clone(), &account.hash).await?;
                right.map(|right| ((account, right.attempt), right.rest))
            }
            // A dummy hash is verified for a disabled account, so that the time does not reveal a correct password.
            None => passwords.verify_dummy(*from, password.clone()).await.map(|()| None)?,
        };
        if right.is_none() {
            log_failure(&user_id);
        }
        Ok(right)
    }

    /// Replaces an outdated hash; `None` if the account has another hash meanwhile, which has to be verified.
    async fn with_current_hash(
        &self,
        passwords: &Passwords,
        Login { password, from, .. }: &Login,
        (account, attempt): Authenticated,
    ) -> Result<Option<Account>, StoreError> {
        let Some(hash) = passwords.rewrite(*from, password.clone(), &account.hash, attempt).await else {
            return Ok(Some(account));
        };
        let is_stored = self.users.replace_hash(&account.user.id, &account.hash, &hash).await?;
        // Another instance may have replaced the hash first. Its hash has the same salt, by which `open` recognizes the
        // password. A hash without a key has no salt to keep, so the other one has to be verified.
        let is_right = is_stored || hash.is_of_the_same_password(&account.hash);
        Ok(is_right.then_some(Account { hash, ..account }))
    }

    /// Exchanges a refresh token for the next pair. The order is the security argument: only a verified token reaches a
    /// store, one atomic step decides, and the user was read during this call. A change of the user after that read
    /// also revokes the user's tokens. If it does so before the step, the step reports it, and the user is read again.
    /// If it does so after the step, the token issued here is revoked too.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn refresh(&self, token: &str, now_ms: i64) -> Result<TokenResponse, Refused> {
        let done = self.try_refresh(token, now_ms).await;
        count(REFRESHES, done.as_ref().map_or_else(Refused::result, |_| RefreshResult::Ok));
        done
    }

    async fn try_refresh(&self, token: &str, now_ms: i64) -> Result<TokenResponse, Refused> {
        let verified = self.tokens.verify(token, now_ms).map_err(Refused::InvalidToken)?;
        let VerifiedRefreshToken { user_id, session, generation, .. } = &verified;
        if verified.is_long() {
            let sessions = self.sessions.list(user_id, None, usize::MAX).await?;
            if !sessions.iter().all(|session| verified.may_be_of(session)) {
                return Err(Refused::InvalidToken(TokenError::LifeTooLong));
            }
        }
        // Read before the rotation: after it, an outage longer than the grace would cost the client the session.
        let mut user = self.users.find(user_id).await?;
        let session = match self.sessions.rotate(user_id, *session, *generation).await? {
            Rotation::Rotated(session) | Rotation::Retried(session) => session,
            Rotation::Unknown => return Err(Refused::UnknownSession(verified)),
            Rotation::Reused => {
                self.users.after_reuse(user.as_ref()).await;
                return Err(Refused::Reused(verified));
            }
        };
        if session.may_outdate_user(now_ms) {
            user = self.users.find(user_id).await?;
        }
        if let Some(user) = user.filter(|user| !user.disabled) {
            return Ok(self.grant(user, session).await);
        }
        self.sessions.end(user_id, session.id).await?;
        Err(Refused::NoUser(verified))
    }

    /// Ends the session of the first valid token of `tokens`: a refresh token, even a used or expired one, or an access
    /// token. Returns user and session if the session was alive.
    ///
    /// # Errors
    /// The store is unavailable; it is unknown if the session ended.
    pub async fn end(
        &self,
        tokens: impl IntoIterator<Item = &str>,
        now_ms: i64,
    ) -> Result<Option<(String, SessionId)>, StoreError> {
        let mut sessions = tokens.into_iter().filter_map(|token| self.tokens.session_to_end(token, now_ms).ok());
        let Some((user_id, session)) = sessions.next() else { return Ok(None) };
        if self.sessions.end(&user_id, session).await? {
            return Ok(Some((user_id, session)));
        }
        // The session has already ended, or the store has lost it; a lost session is not in the revocation list yet.
        self.sessions.end_forgotten(&user_id, session).await?;
        Ok(None)
    }

    /// Waits until the `iat` of the tokens, then issues them: `notBefore` lies in the next second, and verifiers refuse
    /// tokens from the future.
    async fn grant(&self, user: User, session: Session) -> TokenResponse {
        let ahead = Duration::from_millis(u64::try_from(session.issued_ahead).unwrap_or(0));
        if !ahead.is_zero() {
            sleep(ahead.min(self.longest_pause)).await;
        }
        let pair = self.tokens.issue(&user, &session);
        TokenResponse { user, session, pair }
    }
}

fn log_failure(user_id: &str) {
    log::info!(target: "audit", event = "login.failed", user = user_id; "login failed");
}
