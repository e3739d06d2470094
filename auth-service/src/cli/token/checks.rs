use serde_json::Value;
use shared_claims::{AccessClaims, Claims, LEEWAY, RefreshClaims};
use shared_service::operations::doctor::Finding;

use super::parts::{Part, Parts};
use super::shown::{moment, span};
use super::verdict::{Keyring, made_by};
use crate::config::Config;

/// The claims of each kind beside `iss` and `aud`, and whether each is a number.
const ACCESS: [(&str, bool); 7] = [
    ("sub", false),
    ("exp", true),
    ("iat", true),
    ("jti", false),
    ("sid", false),
    ("username", false),
    ("role", false),
];
const REFRESH: [(&str, bool); 6] =
    [("sub", false), ("exp", true), ("iat", true), ("jti", false), ("sid", false), ("gen", true)];

/// Each check by itself, in the verifier's order, so that one that fails hides none behind it. The verifier decides; this
/// explains.
pub(super) fn all(parts: &Parts, token: &str, audience: &str, config: &Config, now_ms: i64) -> Vec<Finding> {
    let refresh = parts.typ() == Some(RefreshClaims::TYP);
    let keys = if refresh { Keyring::refresh(config) } else { Keyring::access(config) };
    let now = u64::try_from(now_ms / 1000).unwrap_or_default();
    let mut found = vec![length(parts), spelling(parts)];
    if parts.header.object().is_some() {
        found.extend([good("header", "a JSON object"), alg(parts), typ(parts), crit(parts), kid(parts, &keys)]);
    } else {
        found.push(bad("header", "not a JSON object with unique names"));
    }
    found.push(signature(token, refresh, &keys, now));
    if parts.claims.object().is_none() {
        found.push(bad("claims", "not a JSON object with unique names"));
        return found;
    }
    found.extend([claims(parts, refresh), iss(parts, config), aud(parts, audience)]);
    found.extend([iat(parts, now_ms), nbf(parts, now_ms), exp(parts, now_ms), life(parts, &keys)]);
    found
}

fn good(what: &'static str, says: impl Into<String>) -> Finding {
    Finding::good(what, says)
}

fn bad(what: &'static str, says: impl Into<String>) -> Finding {
    Finding::bad(what, says)
}

fn judge(what: &'static str, holds: bool, says: impl Into<String>) -> Finding {
    if holds { good(what, says) } else { bad(what, says) }
}

fn length(parts: &Parts) -> Finding {
    judge("length", parts.length <= 4096, format!("{} bytes; 4096 at most", parts.length))
}

fn spelling(parts: &Parts) -> Finding {
    if parts.segments != 3 {
        return bad("spelling", format!("{} segments with points between them, must be 3", parts.segments));
    }
    let names = [("header", parts.header == Part::NotBase64), ("claims", parts.claims == Part::NotBase64)];
    let names = names.into_iter().chain([("signature", parts.signature.is_none())]);
    let wrong: Vec<_> = names.filter(|(_, wrong)| *wrong).map(|(name, _)| name).collect();
    if wrong.is_empty() {
        return good("spelling", "three segments of strict base64url");
    }
    bad("spelling", format!("not strict base64url without padding: {}; was it cut, or wrapped?", wrong.join(", ")))
}

fn alg(parts: &Parts) -> Finding {
    let alg = parts.header.get("alg");
    judge("alg", alg.and_then(Value::as_str) == Some("HS256"), format!("{}; HS256 alone is taken", told(alg)))
}

fn typ(parts: &Parts) -> Finding {
    match parts.typ() {
        Some(AccessClaims::TYP) => good("typ", "at+jwt, an access token"),
        Some(RefreshClaims::TYP) => good("typ", "rt+jwt, a refresh token: for auth-service's /token and /logout alone"),
        _ => bad("typ", format!("{}; must be at+jwt or rt+jwt", told(parts.header.get("typ")))),
    }
}

fn crit(parts: &Parts) -> Finding {
    match parts.header.get("crit") {
        None => good("crit", "none"),
        some => bad("crit", format!("{}; no extension is understood", told(some))),
    }
}

fn kid(parts: &Parts, keys: &Keyring<'_>) -> Finding {
    let kid = match parts.header.get("kid") {
        None => return Finding::doubtful("kid", "none: every secret is tried"),
        Some(Value::String(kid)) if !kid.is_empty() => kid,
        other => return bad("kid", format!("{}; must be a text", told(other))),
    };
    match keys.each().find(|(_, secret)| secret.key_id() == *kid) {
        Some((name, _)) => good("kid", format!("{} is {name}", told(parts.header.get("kid")))),
        None => Finding::doubtful(
            "kid",
            format!("{} is no secret of ours: every one is tried", told(parts.header.get("kid"))),
        ),
    }
}

fn signature(token: &str, refresh: bool, keys: &Keyring<'_>, now: u64) -> Finding {
    let made = |secret| {
        if refresh { made_by::<RefreshClaims>(secret, token, now) } else { made_by::<AccessClaims>(secret, token, now) }
    };
    let tried: Option<Vec<_>> = keys.each().map(|(name, secret)| Some((name, made(secret)?))).collect();
    let Some(tried) = tried else { return bad("signature", "not looked at, because of what stands above") };
    if let Some((name, _)) = tried.iter().find(|(_, made)| *made) {
        return good("signature", format!("made with {name}"));
    }
    let names: Vec<_> = tried.into_iter().map(|(name, _)| name).collect();
    bad("signature", format!("not made with {}: another stack's, another secret's, or changed", names.join(" or ")))
}

fn claims(parts: &Parts, refresh: bool) -> Finding {
    let needed = if refresh { &REFRESH[..] } else { &ACCESS[..] };
    let wrong: Vec<_> = needed.iter().filter(|(name, number)| !is_there(parts, name, *number)).map(|it| it.0).collect();
    if wrong.is_empty() {
        return good("claims", "complete");
    }
    bad("claims", format!("missing or of the wrong type: {}", wrong.join(", ")))
}

fn is_there(parts: &Parts, name: &str, number: bool) -> bool {
    match parts.claims.get(name) {
        Some(Value::Number(value)) => number && value.is_u64(),
        Some(Value::String(text)) => !number && !text.is_empty(),
        _ => false,
    }
}

fn iss(parts: &Parts, config: &Config) -> Finding {
    let (iss, ours) = (parts.claims.get("iss"), config.access.issuer.as_str());
    judge("iss", iss.and_then(Value::as_str) == Some(ours), format!("{}; TOKEN_ISSUER is {ours:?}", told(iss)))
}

fn aud(parts: &Parts, audience: &str) -> Finding {
    let aud = parts.claims.get("aud");
    let named = match aud {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(all)) => {
            all.iter().all(Value::is_string) && all.iter().any(|one| one.as_str() == Some(audience))
        }
        _ => false,
    };
    judge("aud", named, format!("{}; must name {audience:?}", told(aud)))
}

fn iat(parts: &Parts, now_ms: i64) -> Finding {
    at(parts, "iat", now_ms, |iat, now| iat <= now + LEEWAY)
}

fn nbf(parts: &Parts, now_ms: i64) -> Finding {
    match parts.claims.get("nbf") {
        None => good("nbf", "none"),
        Some(_) => at(parts, "nbf", now_ms, |nbf, now| nbf <= now + LEEWAY),
    }
}

fn exp(parts: &Parts, now_ms: i64) -> Finding {
    at(parts, "exp", now_ms, |exp, now| exp.saturating_add(LEEWAY) > now)
}

fn at(parts: &Parts, name: &'static str, now_ms: i64, holds: impl Fn(u64, u64) -> bool) -> Finding {
    let value = parts.claims.get(name);
    let Some(seconds) = value.and_then(Value::as_u64) else {
        return bad(name, format!("{}; must be whole seconds since 1970", told(value)));
    };
    let now = u64::try_from(now_ms / 1000).unwrap_or_default();
    judge(name, holds(seconds, now), moment(i64::try_from(seconds).unwrap_or(i64::MAX), now_ms))
}

fn life(parts: &Parts, keys: &Keyring<'_>) -> Finding {
    let seconds = |name| parts.claims.get(name).and_then(Value::as_u64);
    let (Some(iat), Some(exp)) = (seconds("iat"), seconds("exp")) else {
        return bad("life", "unknown without iat and exp");
    };
    let longest = keys.max_life.as_secs();
    match exp.checked_sub(iat) {
        Some(life) => judge("life", life <= longest, format!("{}; {} at most", span(life), span(longest))),
        None => bad("life", "exp is before iat"),
    }
}

/// A value as it stands in the token, so far as it does not steer the terminal.
fn told(value: Option<&Value>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string().escape_debug().to_string().replace("\\\"", "\""))
}
