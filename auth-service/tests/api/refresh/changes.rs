//! A change of the user during a refresh, at the critical moment: after the user was read, and before the rotation of
//! the session.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use auth_service::config::Config;
use auth_service::endings::complete_of;
use auth_service::grants::{Grants, Refused, TokenResponse};
use auth_service::redis::Redis;
use auth_service::sessions::{
    Changes, Cursor, Label, RedisSessions, Rotation, Rules, Session, SessionId, SessionPosition, SessionStore,
    SqlSessions, all_revoked,
};
use auth_service::sql::SqlStore;
use auth_service::tokens::Tokens;
use auth_service::users::{UserChange, UserId, Users};
use shared_claims::{Revocation, Role};
use shared_service::Settings;
use shared_service::clock::now_ms;
use shared_service::database::StoreError;

use crate::database::server;
use crate::forge::access_claims;
use crate::service::{ACCESS_SECRET, REFRESH_SECRET, new_name};
use crate::users::Stage;

const RULES: Rules = Rules {
    refresh_ttl: Duration::from_hours(2),
    max_age: Duration::from_hours(5),
    grace: Duration::from_mins(10),
    access_ttl: Duration::from_mins(15),
};

/// A session store that changes the user just before each rotation.
struct Interrupted {
    store: Arc<dyn SessionStore>,
    users: Users,
    change: Change,
}

/// The change, and true if the sessions and tokens that it ends have ended before the rotation.
#[derive(Clone)]
struct Change {
    change: UserChange,
    is_completed: bool,
}

#[async_trait]
impl SessionStore for Interrupted {
    async fn open(&self, user_id: &str, label: Label) -> Result<Session, StoreError> {
        self.store.open(user_id, label).await
    }

    async fn rotate(&self, user_id: &str, id: SessionId, presented: i64) -> Result<Rotation, StoreError> {
        let user: UserId = user_id.parse().unwrap();
        self.users.change(&user, &self.change.change).await?;
        if self.change.is_completed {
            complete_of(&self.users, &*self.store, &user).await?;
        }
        self.store.rotate(user_id, id, presented).await
    }

    async fn end(&self, user_id: &str, id: SessionId) -> Result<bool, StoreError> {
        self.store.end(user_id, id).await
    }

    async fn end_forgotten(&self, user_id: &str, id: SessionId) -> Result<(), StoreError> {
        self.store.end_forgotten(user_id, id).await
    }

    async fn end_all(&self, user_id: &str, except: Option<SessionId>) -> Result<u64, StoreError> {
        self.store.end_all(user_id, except).await
    }

    async fn revoke_access_tokens(&self, user_id: &str) -> Result<(), StoreError> {
        self.store.revoke_access_tokens(user_id).await
    }

    async fn revoked(&self, cursor: &Cursor) -> Result<Changes, StoreError> {
        self.store.revoked(cursor).await
    }

    async fn list(
        &self,
        user_id: &str,
        after: Option<SessionPosition>,
        limit: usize,
    ) -> Result<Vec<Session>, StoreError> {
        self.store.list(user_id, after, limit).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }
}

/// A member with a session in one of the stores.
struct Scene {
    people: Stage,
    sessions: Arc<dyn SessionStore>,
    skew_ms: Arc<AtomicI64>,
    user: UserId,
    token: String,
}

impl Scene {
    /// Scenes with sessions in `SQLite` and, with the feature `all-tests`, in Postgres and in Redis.
    async fn each() -> Vec<Self> {
        let mut each = Vec::new();
        for stage in Stage::each().await {
            let skew = Arc::default();
            let store = SqlStore::open(stage.pool.clone()).await.unwrap().with_skew(Arc::clone(&skew));
            let sessions = SqlSessions::on(store, RULES).await.unwrap();
            each.push(Self::new(stage, Arc::new(sessions), skew).await);
        }
        if cfg!(feature = "all-tests") {
            let skew = Arc::default();
            let redis = Redis::open(server("TEST_REDIS_URL").parse().unwrap()).unwrap().with_skew(Arc::clone(&skew));
            each.push(Self::new(Stage::sqlite().await, Arc::new(RedisSessions::on(redis, RULES)), skew).await);
        }
        each
    }

    async fn new(people: Stage, sessions: Arc<dyn SessionStore>, skew_ms: Arc<AtomicI64>) -> Self {
        let user = people.add(&new_name(), None, Role::Member).await.id;
        let grants = grants(&people.users, Arc::clone(&sessions));
        let account = people.users.account(&user).await.unwrap().unwrap();
        let token = grants.open(account, Label::default()).await.unwrap().unwrap().pair.refresh_token;
        Self { people, sessions, skew_ms, user, token }
    }

    /// The result of a refresh during which the user changes.
    async fn refresh_during(&self, change: UserChange, is_completed: bool) -> Result<TokenResponse, Refused> {
        let (store, users) = (Arc::clone(&self.sessions), self.people.users.clone());
        let interrupted = Interrupted { store, users, change: Change { change, is_completed } };
        grants(&self.people.users, Arc::new(interrupted)).refresh(&self.token, now_ms()).await
    }

    /// The `notBefore` of the user, in seconds.
    async fn not_before(&self) -> u64 {
        let entries = all_revoked(&*self.sessions).await.unwrap();
        let mine = entries.into_iter().filter_map(|entry| match entry {
            Revocation::Subject { sub, not_before, .. } if sub == *self.user => Some(not_before),
            _ => None,
        });
        mine.max().unwrap_or(0)
    }
}

fn grants(users: &Users, sessions: Arc<dyn SessionStore>) -> Grants {
    let settings = [
        ("AUTH_DATABASE_URL", "sqlite://unused.db"),
        ("ACCESS_TOKEN_SECRET", ACCESS_SECRET),
        ("REFRESH_TOKEN_SECRET", REFRESH_SECRET),
    ];
    let tokens = Tokens::new(&Config::read(&mut Settings::from_pairs(settings))).unwrap();
    Grants::new(users.clone(), sessions, tokens)
}

fn promotion() -> UserChange {
    UserChange { role: Some(Role::Admin), ..UserChange::default() }
}

#[tokio::test]
async fn role_change_before_the_rotation_is_in_the_new_token() {
    for scene in Scene::each().await {
        let granted = scene.refresh_during(promotion(), true).await.unwrap();
        let claims = access_claims(&granted.pair.access_token);
        assert_eq!(claims.role, "admin");
        assert!(claims.iat >= scene.not_before().await, "the new token is not revoked");
    }
}

#[tokio::test]
async fn token_with_the_role_before_a_change_is_revoked_by_the_change() {
    for scene in Scene::each().await {
        let granted = scene.refresh_during(promotion(), false).await.unwrap();
        let claims = access_claims(&granted.pair.access_token);
        // The change now revokes the tokens, which it had not done yet.
        complete_of(&scene.people.users, &*scene.sessions, &scene.user).await.unwrap();
        assert!(claims.role == "admin" || claims.iat < scene.not_before().await, "role {} stays valid", claims.role);
    }
}

#[tokio::test]
async fn user_is_read_again_where_clocks_cannot_tell_the_order() {
    for scene in Scene::each().await {
        // The store's clock is ahead by more than clocks may differ. A call that takes as long has the same effect.
        scene.skew_ms.store(6000, Ordering::Relaxed);
        let granted = scene.refresh_during(promotion(), false).await.unwrap();
        assert_eq!(granted.user.role, Role::Admin);
    }
}

#[tokio::test]
async fn refresh_of_a_user_disabled_meanwhile_is_refused_or_revoked() {
    let disabled = || UserChange { disabled: Some(true), ..UserChange::default() };
    for scene in Scene::each().await {
        let refused = scene.refresh_during(disabled(), true).await.err().unwrap();
        assert!(matches!(refused, Refused::UnknownSession(_)), "{refused:?}");
    }
    for scene in Scene::each().await {
        let granted = scene.refresh_during(disabled(), false).await;
        complete_of(&scene.people.users, &*scene.sessions, &scene.user).await.unwrap();
        if let Ok(granted) = granted {
            let claims = access_claims(&granted.pair.access_token);
            let is_listed = all_revoked(&*scene.sessions)
                .await
                .unwrap()
                .iter()
                .any(|entry| matches!(entry, Revocation::Session { sid, .. } if *sid == claims.sid));
            assert!(is_listed || claims.iat < scene.not_before().await, "the access token stays valid");
            let refused = grants(&scene.people.users, Arc::clone(&scene.sessions));
            assert!(refused.refresh(&granted.pair.refresh_token, now_ms()).await.is_err(), "the session stays alive");
        }
    }
}
