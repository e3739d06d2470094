//! The ceiling: a server that does the least that actix-web must. It sends prepared bytes with and without a verified
//! token, and does a rotation and a login without a user store.

use std::io;
use std::net::SocketAddr;

use actix_web::http::header::AUTHORIZATION;
use actix_web::web::{Bytes, Data, Json, block, get, post};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use jsonwebtoken::errors::Result as JwtResult;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode, get_current_timestamp};
use redis::aio::MultiplexedConnection;
use redis::{Client, Script};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::servers::{ACCESS_SECRET, REFRESH_SECRET};

const ISSUER: &str = "auth-service";
const BOOKS: &str = r#"[{"author":"Chinua Achebe","country":"Nigeria","language":"English","pages":209,"title":"Things Fall Apart","year":1958},{"author":"Hans Christian Andersen","country":"Denmark","language":"Danish","pages":784,"title":"Fairy tales","year":1836},{"author":"Dante Alighieri","country":"Italy","language":"Italian","pages":928,"title":"The Divine Comedy","year":1315}]"#;
/// Replaces the record of a refresh token by the next one, also in the set of the user's tokens; 0 if there is none.
const ROTATE: &str = "
local user = redis.call('GET', KEYS[1])
if not user then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], user, 'PX', ARGV[1])
redis.call('SREM', KEYS[3], ARGV[2])
redis.call('SADD', KEYS[3], ARGV[3])
redis.call('PEXPIRE', KEYS[3], ARGV[1])
return 1";
const WEEK_MS: u64 = 604_800_000;

/// The claims of both kinds of token.
#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    jti: String,
    username: String,
    role: String,
    iat: u64,
    exp: u64,
}

struct Tokens {
    access: (EncodingKey, DecodingKey),
    refresh: (EncodingKey, DecodingKey),
    validation: Validation,
    redis: MultiplexedConnection,
    rotate: Script,
    /// The hash of `password123admin`, at cost 10.
    hash: String,
    /// Allows one login at a time, because there is one core.
    turn: Semaphore,
}

/// Serves on `addr` with one worker. Refresh tokens are in the Redis at `redis`.
pub async fn serve(addr: SocketAddr, redis: &str) -> io::Result<()> {
    shared_claims::self_test().map_err(io::Error::other)?;
    let redis = Client::open(redis).map_err(io::Error::other)?;
    let redis = redis.get_multiplexed_async_connection().await.map_err(io::Error::other)?;
    let keys = |secret: &str| -> JwtResult<(EncodingKey, DecodingKey)> {
        Ok((EncodingKey::from_secret(secret.as_bytes())?, DecodingKey::from_secret(secret.as_bytes())?))
    };
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[ISSUER]);
    let access = keys(ACCESS_SECRET).map_err(io::Error::other)?;
    let refresh = keys(REFRESH_SECRET).map_err(io::Error::other)?;
    let hash = bcrypt::hash("password123admin", 10).map_err(io::Error::other)?;
    let tokens = Data::new(Tokens {
        access,
        refresh,
        validation,
        redis,
        rotate: Script::new(ROTATE),
        hash,
        turn: Semaphore::new(1),
    });
    let three = BOOKS.trim_matches(['[', ']']);
    let many = Data::new(Bytes::from(format!("[{}]", [three; 333].join(","))));
    let app = move || {
        App::new()
            .app_data(many.clone())
            .app_data(tokens.clone())
            .route("/bare", get().to(async || json_of(BOOKS)))
            .route("/many", get().to(|bytes: Data<Bytes>| async move { json_of(Bytes::clone(&bytes)) }))
            .route("/books", get().to(books))
            .route("/token", post().to(refresh_tokens))
            .route("/login", post().to(log_in))
    };
    HttpServer::new(app).workers(1).bind(addr)?.run().await
}

fn json_of(body: impl Into<Bytes>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(body.into())
}

async fn books(request: HttpRequest, tokens: Data<Tokens>) -> HttpResponse {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    match decode::<Claims>(token, &tokens.access.1, &tokens.validation) {
        Ok(_) => json_of(BOOKS),
        Err(_) => HttpResponse::Unauthorized().json(json!({"error": "invalid_token"})),
    }
}

async fn refresh_tokens(body: Json<Value>, tokens: Data<Tokens>) -> HttpResponse {
    let presented = body["token"].as_str().unwrap_or_default();
    let Ok(known) = decode::<Claims>(presented, &tokens.refresh.1, &tokens.validation) else {
        return HttpResponse::Forbidden().finish();
    };
    let next = Uuid::new_v4().to_string();
    let Claims { jti: old, sub, .. } = known.claims;
    let mut rotation = tokens.rotate.key(format!("rt:{old}"));
    rotation.key(format!("rt:{next}")).key(format!("sess:{sub}")).arg(WEEK_MS).arg(&old).arg(&next);
    match rotation.invoke_async::<i64>(&mut tokens.redis.clone()).await {
        Ok(1) => tokens.pair(&next),
        Ok(_) => HttpResponse::Forbidden().finish(),
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
    }
}

async fn log_in(body: Json<Value>, tokens: Data<Tokens>) -> HttpResponse {
    let password = body["password"].as_str().unwrap_or_default().to_owned();
    let hash = tokens.hash.clone();
    let _turn = tokens.turn.acquire().await;
    if !block(move || bcrypt::verify(password, &hash).unwrap_or_default()).await.unwrap_or_default() {
        return HttpResponse::Unauthorized().finish();
    }
    let id = Uuid::new_v4().to_string();
    let mut record = redis::cmd("SET");
    record.arg(format!("rt:{id}")).arg("john").arg("PX").arg(WEEK_MS);
    match record.query_async::<()>(&mut tokens.redis.clone()).await {
        Ok(()) => tokens.pair(&id),
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
    }
}

impl Tokens {
    fn pair(&self, refresh_id: &str) -> HttpResponse {
        let now = get_current_timestamp();
        let claims = |id: &str, life: u64| Claims {
            iss: ISSUER.to_owned(),
            aud: ISSUER.to_owned(),
            sub: "0b2d1f6e-8c5a-4c33-9d0e-5a4b2c1d7e8f".to_owned(),
            jti: id.to_owned(),
            username: "john".to_owned(),
            role: "admin".to_owned(),
            iat: now,
            exp: now + life,
        };
        let sign = |id: &str, life: u64, key: &EncodingKey| encode(&Header::default(), &claims(id, life), key);
        let access = sign(&Uuid::new_v4().to_string(), 1200, &self.access.0);
        match (access, sign(refresh_id, WEEK_MS / 1000, &self.refresh.0)) {
            (Ok(access), Ok(refresh)) => {
                HttpResponse::Ok().json(json!({"accessToken": access, "refreshToken": refresh}))
            }
            _ => HttpResponse::InternalServerError().finish(),
        }
    }
}
