use std::sync::{Arc, Mutex};

use actix_web::dev::Payload;
use actix_web::{App, FromRequest, HttpRequest, HttpServer, rt, web};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};
use shared_claims::{Admin, BearerAuth, Member};

/// The response of the route for members.
fn of_member(member: &Member) -> Value {
    json!({
        "userId": member.user_id, "username": member.username, "role": member.role, "sessionId": member.session_id,
        "issuedAt": member.issued_at, "expiresAt": member.expires_at,
    })
}

/// The response of the route for admins.
fn of_admin(admin: &Admin) -> Value {
    json!({"username": admin.username})
}

/// The sessions whose handlers have run, in all services.
static WRITTEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// True if a handler behind a body has run for the session `sid`.
pub fn wrote(sid: &str) -> bool {
    WRITTEN.lock().unwrap().iter().any(|written| written == sid)
}

fn write(member: &Member) -> String {
    WRITTEN.lock().unwrap().push(member.session_id.clone());
    member.username.clone()
}

/// An extractor that reads the body and rechecks the sender itself, at any parameter position.
struct Asking(String);

impl FromRequest for Asking {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, read) = (request.clone(), String::from_request(request, payload));
        Box::pin(async move {
            let text = read.await?;
            BearerAuth::recheck_sender(&request)?;
            Ok(Self(text))
        })
    }
}

/// An extractor that reads one chunk of the body and keeps the rest.
struct Part(#[expect(dead_code, reason = "kept, not read")] Payload);

impl FromRequest for Part {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, Self::Error>>;

    fn from_request(_: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let mut payload = payload.take();
        Box::pin(async move {
            payload.next().await.unwrap()?;
            Ok(Self(payload))
        })
    }
}

async fn member_order(member: Member, order: web::Json<Value>) -> String {
    write(&member) + order.as_str().unwrap()
}

async fn admin_order(admin: Admin, order: web::Json<Value>) -> String {
    write(&admin) + order.as_str().unwrap()
}

async fn text_order(member: Member, order: String) -> String {
    write(&member) + &order
}

async fn behind(order: Asking, member: Member) -> String {
    write(&member) + &order.0
}

async fn stream(member: Member, mut body: web::Payload) -> Result<String, actix_web::Error> {
    while let Some(piece) = body.next().await {
        piece?;
    }
    Ok(write(&member))
}

async fn unread(member: Member) -> String {
    write(&member)
}

async fn part(member: Member, _: Part) -> String {
    write(&member)
}

/// Adds the routes that take a body.
fn orders(app: &mut web::ServiceConfig) {
    app.route("/member", web::post().to(member_order))
        .route("/admin", web::post().to(admin_order))
        .route("/text", web::post().to(text_order))
        .route("/behind", web::post().to(behind))
        .route("/stream", web::post().to(stream))
        .route("/unread", web::post().to(unread))
        .route("/part", web::post().to(part));
}

/// Serves the routes with actix-web; returns the URL.
pub fn actix(auth: &Arc<BearerAuth>) -> String {
    let auth = web::Data::from(Arc::clone(auth));
    on_actix(move |config| {
        config.app_data(auth.clone());
    })
}

/// Serves the routes with actix-web, without a `BearerAuth`; returns the URL.
pub fn unguarded() -> String {
    on_actix(|_| ())
}

fn on_actix(configure: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static) -> String {
    async fn member_door(member: Member) -> web::Json<Value> {
        web::Json(of_member(&member))
    }
    async fn admin_door(admin: Admin) -> web::Json<Value> {
        web::Json(of_admin(&admin))
    }
    let app = move || {
        let doors = App::new().route("/member", web::get().to(member_door)).route("/admin", web::get().to(admin_door));
        doors.configure(configure.clone()).configure(orders)
    };
    let server = HttpServer::new(app).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", server.addrs()[0]);
    rt::spawn(server.run());
    url
}

/// Serves the routes with axum; returns the URL.
#[cfg(feature = "axum")]
pub fn axum(auth: &Arc<BearerAuth>) -> String {
    use axum::routing::{get, post};
    use shared_claims::Checked;
    // JSON as text with its media type, so that axum needs no JSON support.
    let member_door =
        |member: Member| async move { ([("content-type", "application/json")], of_member(&member).to_string()) };
    let admin_door =
        |admin: Admin| async move { ([("content-type", "application/json")], of_admin(&admin).to_string()) };
    let text_order = |member: Member, Checked(order): Checked<String>| async move { write(&member) + &order };
    let admin_order = |admin: Admin, Checked(order): Checked<String>| async move { write(&admin) + &order };
    let doors = axum::Router::new()
        .route("/text", post(text_order))
        .route("/behind", post(text_order))
        .route("/stream", post(text_order))
        .route("/open", post(|Checked(order): Checked<String>| async move { order }))
        .route("/member", get(member_door).post(text_order))
        .route("/admin", get(admin_door).post(admin_order))
        .with_state(Arc::clone(auth));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    rt::spawn(async { axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), doors).await });
    url
}
