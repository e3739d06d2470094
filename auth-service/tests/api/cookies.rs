//! The refresh token in a cookie: which pages may use it, and what they cannot do with it.

use reqwest::Method;
use serde_json::json;

use crate::answer::{Answer, names};
use crate::caller::Caller;
use crate::forge::refresh_claims;
use crate::redis_server::Redis;
use crate::service::{MEMBER, Service};

const APP: &str = "https://app.example";
const DEVELOPER: &str = "http://localhost:5173";
const SECURE: &str = "__Host-refresh_token";

async fn service() -> Service {
    Service::start([("ALLOWED_ORIGINS", "https://app.example,http://localhost:5173")]).await
}

/// The same service without a grace, so that an unexpected use of a token is detected as reuse.
async fn strict_service() -> Service {
    let origins = ("ALLOWED_ORIGINS", "https://app.example,http://localhost:5173");
    Service::start([origins, ("REFRESH_GRACE", "0")]).await
}

/// A cookie, parsed from `Set-Cookie`.
struct Cookie {
    name: String,
    value: String,
    attributes: Vec<String>,
}

impl Answer {
    #[track_caller]
    fn cookie(&self) -> Cookie {
        let mut parts = self.header("set-cookie").split("; ");
        let (name, value) = parts.next().unwrap().split_once('=').unwrap_or_else(|| panic!("no cookie: {self:?}"));
        let attributes = parts.map(str::to_owned).collect();
        Cookie { name: name.to_owned(), value: value.to_owned(), attributes }
    }
}

impl Service {
    fn page(&self, origin: &str) -> Caller<'_> {
        self.nobody().with("Origin", origin)
    }

    async fn log_in_for_cookie(&self, origin: &str) -> Cookie {
        let body = json!({"username": MEMBER.0, "password": MEMBER.1, "cookie": true});
        self.page(origin).post("/login", &body).await.is(200).cookie()
    }

    /// Checks that this cookie was not used, and that its session is alive.
    async fn assert_untouched(&self, cookie: &Cookie) {
        let answer = self.page(APP).with("Cookie", format!("{SECURE}={}", cookie.value)).send("/token").await.is(200);
        let (old, new) = (refresh_claims(&cookie.value), refresh_claims(&answer.cookie().value));
        assert_eq!((new.sid, new.generation), (old.sid, old.generation + 1));
    }
}

impl Caller<'_> {
    /// Sends a POST without a body.
    async fn send(&self, path: &str) -> Answer {
        self.call(Method::POST, path, None).await
    }
}

#[tokio::test]
async fn a_page_gets_its_refresh_token_in_a_cookie_and_nowhere_else() {
    let service = service().await;
    let body = json!({"username": MEMBER.0, "password": MEMBER.1, "cookie": true});
    for origin in [APP, DEVELOPER] {
        let answer = service.page(origin).post("/login", &body).await.is(200);
        assert_eq!(names(&answer.json()), ["accessToken", "expiresIn", "tokenType"]);
        let mut cookie = answer.cookie();
        let wanted = ["Path=/", "Max-Age=604800", "HttpOnly", "SameSite=Strict", "Secure"];
        for path in ["/token", "/refresh"] {
            assert_eq!(cookie.name, SECURE);
            assert_eq!(cookie.attributes, wanted);
            let presented = format!("theme=dark; {SECURE}={}; lang=en", cookie.value);
            let answer = service.page(origin).with("Cookie", presented).send(path).await.is(200);
            assert_eq!(names(&answer.json()), ["accessToken", "expiresIn", "tokenType"]);
            let next = answer.cookie();
            assert_eq!(refresh_claims(&next.value).generation, refresh_claims(&cookie.value).generation + 1);
            cookie = next;
        }
        let page = service.page(origin).with("Cookie", format!("{SECURE}={}", cookie.value));
        let again = page.send("/token").await.is(200).cookie();
        assert_eq!(page.send("/token").await.is(200).cookie().value, again.value, "two tabs get the same successor");

        let gone = page.send("/logout").await.is(200).cookie();
        assert_eq!((gone.name.as_str(), gone.value.as_str()), (SECURE, ""));
        assert!(gone.attributes.contains(&"Max-Age=0".to_owned()));
        let refused = page.send("/token").await.fails(403, "invalid_refresh_token");
        assert_eq!(refused.header("set-cookie"), "", "the browser may hold a newer cookie by now");
        page.send("/logout").await.is(200);
    }
}

#[tokio::test]
async fn no_other_page_can_refresh_or_log_out() {
    let service = strict_service().await;
    let host = format!("http://{}", service.addr);
    let cookie = service.log_in_for_cookie(APP).await;
    let presented = format!("{SECURE}={}", cookie.value);
    for (origin, site, why) in [
        (None, None, "nobody says where from"),
        (None, Some("same-origin"), "not even so"),
        (Some("https://evil.example"), None, "another site"),
        (Some("https://evil.example"), Some("same-origin"), "which cannot be: the host is another"),
        (Some("null"), None, "a sandboxed frame"),
        (Some(APP), Some("cross-site"), "the browser says that it is another site"),
        (Some(APP), Some("none"), "typed into the address bar, which posts nothing"),
        (Some("http://app.example"), None, "another scheme"),
        (Some("https://app.example:8443"), None, "another port"),
        (Some("https://app.example.evil.example"), None, "a longer host"),
        (Some("https://APP.example"), None, "no browser writes that"),
        (Some("https://app.example/"), None, "nor that"),
        (Some(host.as_str()), None, "this host, but only a browser can tell that it is the same scheme"),
        (Some(host.as_str()), Some("same-site"), "this host, and the browser says that it is not the same origin"),
    ] {
        let mut page = service.nobody().with("Cookie", &presented);
        page.headers.extend(origin.map(|origin| ("Origin", origin.to_owned())));
        page.headers.extend(site.map(|site| ("Sec-Fetch-Site", site.to_owned())));
        for path in ["/token", "/refresh", "/logout"] {
            let answer = page.send(path).await.fails(403, "origin_not_allowed");
            assert_eq!(answer.header("set-cookie"), "", "{why}");
            page.post(path, &json!({})).await.fails(403, "origin_not_allowed");
        }
        if origin.is_some() {
            let body = json!({"username": MEMBER.0, "password": MEMBER.1, "cookie": true});
            page.post("/login", &body).await.fails(403, "origin_not_allowed");
        }
    }
    let form = service.page("https://evil.example").with("Cookie", &presented);
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let form = form.clone().with("Content-Type", kind);
        form.call(Method::POST, "/logout", Some("a=b".to_owned())).await.is(415);
    }
    let twice = service.page(APP).with("Origin", APP).with("Cookie", &presented);
    twice.send("/logout").await.fails(403, "origin_not_allowed");
    service.assert_untouched(&cookie).await;
}

#[tokio::test]
async fn a_page_of_this_host_may_use_the_cookie() {
    let service = Service::start([]).await;
    let home = service.page(&format!("http://{}", service.addr)).with("Sec-Fetch-Site", "same-origin");
    let body = json!({"username": MEMBER.0, "password": MEMBER.1, "cookie": true});
    let cookie = home.post("/login", &body).await.is(200).cookie();
    assert_eq!(cookie.name, SECURE);
    home.with("Cookie", format!("{SECURE}={}", cookie.value)).send("/token").await.is(200);
}

#[tokio::test]
async fn unreadable_cookie_hides_no_other() {
    let service = service().await;
    let mut cookie = service.log_in_for_cookie(APP).await;
    for (before, behind, why) in [
        ("city=Köln; ", "", "letters beyond ASCII"),
        ("", "; city=Köln", "the same behind it"),
        ("city; ", "", "no value"),
        ("=x; ;; =; ", "; ;", "no name"),
        ("a=\"b; ", "; c=d\"", "half of a quotation on each side"),
        ("a=\"b c\"; d={\"e\":1,2}; ", "", "signs that a cookie may not have"),
        ("a=%ff%; ", "", "half a percent sign"),
        ("a=b,", "; c=d", "a comma is a part of the cookie before it"),
    ] {
        let presented = format!("{before}{SECURE}={}{behind}", cookie.value);
        let answer = service.page(APP).with("Cookie", presented).send("/token").await;
        if why.starts_with("a comma") {
            answer.fails(401, "missing_refresh_token");
        } else {
            cookie = answer.is(200).cookie();
        }
    }
    let own = format!("{SECURE}={}", cookie.value);
    for lines in [["city=Köln", &own], [&own, "city=Köln"], [&own, "city"], ["", &own]] {
        let page = lines.iter().fold(service.page(APP), |page, line| page.with("Cookie", line));
        page.send("/token").await.is(200);
    }
    let twice = service.page(APP).with("Cookie", &own).with("Cookie", format!("{SECURE}=Köln"));
    twice.send("/token").await.fails(401, "missing_refresh_token");
}

#[tokio::test]
async fn planted_cookie_is_ignored() {
    let service = strict_service().await;
    let cookie = service.log_in_for_cookie(APP).await;
    let page = service.page(APP);
    for (presented, why) in [
        (format!("refresh_token={}", cookie.value), "a neighbouring host can set this name"),
        (format!("{SECURE}={}; {SECURE}=other", cookie.value), "one is not ours, and which is not known"),
        (format!("{SECURE}="), "an empty one"),
        ("=;;=; ; a".to_owned(), "no cookie at all"),
    ] {
        let answer = page.clone().with("Cookie", presented).send("/token").await;
        assert_eq!(answer.fails(401, "missing_refresh_token").header("set-cookie"), "", "{why}");
    }
    // The access token is read from its header alone.
    let access = service.log_in(MEMBER).await.access;
    page.with("Cookie", format!("access_token={access}; token={access}")).get("/me").await.fails(401, "missing_token");
    service.assert_untouched(&cookie).await;
}

#[tokio::test]
async fn a_token_in_the_body_goes_before_the_cookie_and_leaves_it_alone() {
    let service = strict_service().await;
    let cookie = service.log_in_for_cookie(APP).await;
    let pair = service.log_in(MEMBER).await;
    let page = service.page("https://evil.example").with("Cookie", format!("{SECURE}={}", cookie.value));
    let answer = page.post("/token", &json!({"token": pair.refresh})).await.is(200);
    assert_eq!(answer.header("set-cookie"), "");
    let next = answer.pair();
    assert_eq!(page.post("/logout", &json!({"token": next.refresh})).await.is(200).header("set-cookie"), "");
    service.assert_untouched(&cookie).await;
}

#[tokio::test]
async fn cookie_flag_of_a_login_is_a_boolean() {
    let service = service().await;
    for (flag, status) in [(json!(false), 200), (json!(null), 200), (json!("true"), 400), (json!(1), 400)] {
        let body = json!({"username": MEMBER.0, "password": MEMBER.1, "cookie": flag});
        let answer = service.page(APP).post("/login", &body).await.is(status);
        assert_eq!(answer.header("set-cookie"), "");
        assert_eq!(answer.body.contains("refreshToken"), status == 200);
    }
    let body = json!({"username": MEMBER.0, "password": "wrong", "cookie": true});
    assert_eq!(service.page(APP).post("/login", &body).await.is(401).header("set-cookie"), "");
    let body = json!({"username": MEMBER.0, "password": MEMBER.1, "cookie": true});
    assert_eq!(service.nobody().post("/login", &body).await.is(200).cookie().name, SECURE, "without an Origin");
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn an_outage_clears_no_cookie() {
    let mut redis = Redis::start().await;
    let mut service = Service::start([("ALLOWED_ORIGINS", APP), ("REDIS_URL", &redis.url())]).await;
    let cookie = service.log_in_for_cookie(APP).await;
    service.patience = 0;
    redis.stop();
    let page = service.page(APP).with("Cookie", format!("{SECURE}={}", cookie.value));
    for path in ["/token", "/logout"] {
        assert_eq!(page.send(path).await.fails(503, "unavailable").header("set-cookie"), "");
    }
}

#[tokio::test]
async fn allowed_pages_may_send_what_they_need() {
    let service = Service::start([("ALLOWED_ORIGINS", APP), ("ACCESS_TOKEN_HEADER", "x-access-token")]).await;
    let wanted = "content-type,x-access-token,x-request-id";
    let preflight = service
        .page(APP)
        .with("Access-Control-Request-Method", "POST")
        .with("Access-Control-Request-Headers", wanted)
        .call(Method::OPTIONS, "/token", None)
        .await
        .is(200);
    assert_eq!(preflight.header("access-control-allow-origin"), APP);
    assert_eq!(preflight.header("access-control-allow-credentials"), "true");
    for name in wanted.split(',') {
        assert!(preflight.header("access-control-allow-headers").to_ascii_lowercase().contains(name), "{preflight:?}");
    }
    let refused = service.page(APP).send("/token").await.fails(401, "missing_refresh_token");
    assert_eq!(refused.header("access-control-allow-credentials"), "true", "the page must be able to read the error");
}
