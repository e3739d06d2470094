use shared_claims::TokenError::{Audience, Claim, Issuer};

use crate::claims::with;
use crate::forge::check;

#[test]
fn the_audience_names_this_service() {
    for aud in [
        r#""books-service""#,
        r#"["books-service"]"#,
        r#"["x","books-service"]"#,
        r#"["books-service","books-service"]"#,
        r#"["","books-service"]"#,
        r#""books\u002dservice""#,
    ] {
        check([(with("aud", aud), Ok(()), aud)]);
    }
    for aud in [
        r#""auth-service""#,
        r#"["auth-service"]"#,
        "[]",
        r#""""#,
        r#"[""]"#,
        r#""books""#,
        r#""books-service ""#,
        r#""Books-Service""#,
        r#""books-service/""#,
        r#""auth-service books-service""#,
        r#""auth-service,books-service""#,
        r#""*""#,
        r#""books-service\u0000""#,
        r#"["books-service\n"]"#,
        r#""ｂooks-service""#,
    ] {
        check([(with("aud", aud), Err(Audience), aud)]);
    }
    for aud in [
        "null",
        "1",
        "true",
        "{}",
        r#"{"0":"books-service"}"#,
        r#"["books-service",1]"#,
        r#"[1,"books-service"]"#,
        r#"["books-service",null]"#,
        r#"[["books-service"]]"#,
        r#"["books-service",["x"]]"#,
        r#"["books-service",{}]"#,
    ] {
        check([(with("aud", aud), Err(Claim("aud")), aud)]);
    }
}

#[test]
fn issuer_must_match_exactly() {
    check([(with("iss", r#""auth\u002dservice""#), Ok(()), "escapes are JSON's")]);
    for iss in [
        r#""books-service""#,
        r#""Auth-Service""#,
        r#""auth-service ""#,
        r#"" auth-service""#,
        r#""auth-service/""#,
        r#""auth-servic""#,
        r#""auth-service.evil.example""#,
        r#""https://auth-service""#,
        r#""auth-service\u0000""#,
    ] {
        check([(with("iss", iss), Err(Issuer), iss)]);
    }
    check([(with("iss", r#"["auth-service"]"#), Err(Claim("iss")), "an array, which some libraries take")]);
}
