use std::sync::Arc;

use actix_web::{App, HttpServer, rt, web};
use serde_json::{Value, json};
use shared_claims::{Admin, Guard, Member};

/// What the door for members says.
fn of_member(member: &Member) -> Value {
    json!({
        "userId": member.user_id, "username": member.username, "role": member.role, "sessionId": member.session_id,
        "issuedAt": member.issued_at, "expiresAt": member.expires_at,
    })
}

/// What the door for admins says.
fn of_admin(admin: &Admin) -> Value {
    json!({"username": admin.username})
}

/// Serves `/member` and `/admin` with actix-web, and says where.
pub fn actix(guard: &Arc<Guard>) -> String {
    let guard = web::Data::from(Arc::clone(guard));
    on_actix(move |config| {
        config.app_data(guard.clone());
    })
}

/// The same, without a guard.
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
        doors.configure(configure.clone())
    };
    let server = HttpServer::new(app).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", server.addrs()[0]);
    rt::spawn(server.run());
    url
}

/// Serves the same with axum.
#[cfg(feature = "axum")]
pub fn axum(guard: &Arc<Guard>) -> String {
    use axum::routing::get;
    // Tuples of a text and its media type, so that axum need not know JSON.
    let member_door =
        |member: Member| async move { ([("content-type", "application/json")], of_member(&member).to_string()) };
    let admin_door =
        |admin: Admin| async move { ([("content-type", "application/json")], of_admin(&admin).to_string()) };
    let doors = axum::Router::new()
        .route("/member", get(member_door))
        .route("/admin", get(admin_door))
        .with_state(Arc::clone(guard));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    rt::spawn(async { axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), doors).await });
    url
}
