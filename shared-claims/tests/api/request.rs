use shared_claims::TokenError::Malformed;

use crate::server::{Service, token_of};

const TWO_TOKENS: &str = "The request carries more than one token";

#[actix_web::test]
async fn the_scheme_is_bearer_in_any_case() {
    for service in Service::on_each(None) {
        let good = token_of("member");
        for before in ["Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer   "] {
            service.with_authorization("/member", &[&format!("{before}{good}")]).await.lets_in(before);
        }
        for value in [
            "Basic am9objpwYXNzd29yZA==",
            "basic am9objpwYXNzd29yZA==",
            "Digest username=\"john\"",
            "DPoP x",
            "Token x",
            "JWT x",
            "Bearer:",
            "Bearer: x",
            "Bearer=x",
            "\"Bearer\" x",
            "Bearerx",
            "x",
        ] {
            let value = value.replace('x', &good);
            service.with_authorization("/member", &[&value]).await.asks_for_a_token(&value);
        }
        service
            .with_authorization("/member", &[&format!("Bearer\t{good}")])
            .await
            .asks_for_a_token("a tab is no space");
        service.with_authorization("/member", &[&good]).await.asks_for_a_token("no scheme");
    }
}

#[actix_web::test]
async fn invalid_credentials_behind_bearer_are_401() {
    for service in Service::on_each(None) {
        let good = token_of("member");
        let other = token_of("admin");
        for (value, why) in [
            ("Bearer".to_owned(), "nothing"),
            ("Bearer ".to_owned(), "a space"),
            ("Bearer null".to_owned(), "what scripts send without a token"),
            ("Bearer undefined".to_owned(), "what scripts send without a token, too"),
            (format!("Bearer {good}, Bearer {other}"), "a list"),
            (format!("Bearer {good},Bearer {good}"), "a list of the same"),
            (format!("Bearer {good}, Basic am9objpwYXNzd29yZA=="), "a list of schemes"),
            (format!("Bearer {good},"), "a comma"),
            (format!("Bearer {good} {other}"), "two behind one scheme"),
            (format!("Bearer Bearer {good}"), "the scheme twice"),
            (format!("Bearer \"{good}\""), "in quotes"),
            (format!("Bearer token={good}"), "as a parameter"),
            (format!("Bearer {good}; realm=x"), "with a parameter"),
            (format!("Bearer {good}\tx"), "a tab and more"),
            (format!("Bearer \t{good}"), "a tab behind the space"),
            (format!("Bearer ,{good}"), "a comma first"),
            (format!("Bearer {good}, {good}"), "a list of tokens"),
            (format!("Bearer {good}="), "padding"),
        ] {
            service.with_authorization("/member", &[&value]).await.refuses_the_token(&Malformed.to_string(), why);
        }
        for bytes in [&b"Bearer \xff"[..], "Bearer tökén".as_bytes(), b"Bearer \xc0\x80"] {
            service.ask("/member", "Authorization", bytes).await.refuses_the_token(&Malformed.to_string(), "not ASCII");
        }
    }
}

#[actix_web::test]
async fn two_headers_are_refused() {
    for service in Service::on_each(None) {
        let bearer = format!("Bearer {}", token_of("member"));
        let basic = "Basic am9objpwYXNzd29yZA==";
        for (values, why) in [
            (&[&*bearer, &*bearer][..], "the same twice"),
            (&[&bearer, "Bearer x"], "a good one first"),
            (&["Bearer x", &bearer], "a good one last"),
            (&[&bearer, ""], "an empty one last"),
            (&["", &bearer], "an empty one first"),
            (&[&bearer, basic], "another scheme last"),
            (&[basic, &bearer], "another scheme first"),
            (&[&bearer, &bearer, &bearer], "three"),
        ] {
            service.with_authorization("/member", values).await.refuses_the_token(TWO_TOKENS, why);
        }
    }
}

#[actix_web::test]
async fn a_token_anywhere_else_is_no_token() {
    for service in Service::on_each(None) {
        let good = token_of("admin");
        for query in ["access_token", "token", "bearer", "Authorization", "x-access-token"] {
            service.send(service.get(&format!("/member?{query}={good}"))).await.asks_for_a_token(query);
        }
        for (name, value) in [
            ("x-access-token", good.clone()),
            ("x-auth-token", good.clone()),
            ("Proxy-Authorization", format!("Bearer {good}")),
            ("X-Forwarded-Authorization", format!("Bearer {good}")),
            ("X-Authorization", format!("Bearer {good}")),
            ("Cookie", format!("access_token={good}; token={good}; Authorization=Bearer {good}")),
            ("Sec-WebSocket-Protocol", good.clone()),
            ("X-User", "admin".to_owned()),
        ] {
            service.ask("/member", name, value).await.asks_for_a_token(name);
        }
        let form = service.get("/member").header("Content-Type", "application/x-www-form-urlencoded");
        service.send(form.body(format!("access_token={good}"))).await.asks_for_a_token("in the body");
    }
}

#[actix_web::test]
async fn the_query_changes_nothing_beside_the_header() {
    for service in Service::on_each(None) {
        let path = format!("/admin?access_token={}", token_of("admin"));
        let answer = service.with_bearer(&path, &token_of("member")).await;
        answer.refuses_the_role("This needs the role admin", "the header's token counts");
    }
}

#[actix_web::test]
async fn one_more_header_counts_where_it_is_configured() {
    for service in Service::on_each(Some("X-Access-Token")) {
        let good = token_of("member");
        service.ask("/member", "x-access-token", &good).await.lets_in("in lower case");
        service.ask("/member", "X-Access-Token", &good).await.lets_in("in the case that was configured");
        service.with_bearer("/member", &good).await.lets_in("Authorization still counts");
        service.with_authorization("/member", &[]).await.asks_for_a_token("neither");
        service.ask("/member", "x-auth-token", &good).await.asks_for_a_token("another header");
        for (value, why) in
            [(format!("Bearer {good}"), "with a scheme"), ("x".to_owned(), "no token"), (String::new(), "empty")]
        {
            service.ask("/member", "x-access-token", value).await.refuses_the_token(&Malformed.to_string(), why);
        }
        let both = service.get("/member").bearer_auth(&good).header("x-access-token", &good);
        service.send(both).await.refuses_the_token(TWO_TOKENS, "both");
        let twice = service.get("/member").header("x-access-token", &good).header("x-access-token", &good);
        service.send(twice).await.refuses_the_token(TWO_TOKENS, "twice");
    }
}
