use std::time::Duration;

use shared_claims::TokenError::{
    self, Audience, Claim, Expired, IssuedInFuture, LifeTooLong, NotYetValid, Signature, Type,
};
use shared_claims::{AccessClaims, LEEWAY, SetupError, Verifier, VerifierConfig};

use crate::forge::SECRET;
use crate::forge::{
    AUDIENCE, ISSUER, LIFE, NOW, Object, STRANGER, access, header, parts, secret, signed, token, verifier_config,
};

fn verifier() -> Verifier<AccessClaims> {
    Verifier::new(&verifier_config(&secret(SECRET), None)).unwrap()
}

fn at(now: u64, claims: &Object) -> Result<(), TokenError> {
    verifier().verify(&token(&header(), claims), now).map(|_| ())
}

#[test]
fn the_leeway_is_five_seconds() {
    assert_eq!(LEEWAY, 5);
}

#[test]
fn a_token_ends_with_exp_and_the_leeway() {
    let claims = access().with("iat", NOW).with("exp", NOW + 60);
    for (now, expected) in [
        (NOW, Ok(())),
        (NOW + 59, Ok(())),
        (NOW + 60, Ok(())),
        (NOW + 64, Ok(())),
        (NOW + 65, Err(Expired)),
        (NOW + 66, Err(Expired)),
        (NOW * 2, Err(Expired)),
        (u64::MAX, Err(Expired)),
    ] {
        assert_eq!(at(now, &claims), expected, "{} s after iat", now - NOW);
    }
}

#[test]
fn a_token_begins_with_iat_less_the_leeway() {
    for (now, expected) in [
        (NOW, Ok(())),
        (NOW - 5, Ok(())),
        (NOW - 6, Err(IssuedInFuture)),
        (NOW - 900, Err(IssuedInFuture)),
        (0, Err(IssuedInFuture)),
    ] {
        assert_eq!(at(now, &access()), expected, "{} s before iat", NOW - now);
    }
}

#[test]
fn a_token_begins_with_nbf_less_the_leeway() {
    for (nbf, expected) in [
        (0, Ok(())),
        (NOW, Ok(())),
        (NOW + 5, Ok(())),
        (NOW + 6, Err(NotYetValid)),
        (NOW + LIFE, Err(NotYetValid)),
        (u64::MAX, Err(NotYetValid)),
    ] {
        assert_eq!(at(NOW, &access().with("nbf", nbf)), expected, "nbf {nbf}");
    }
}

#[test]
fn a_life_is_as_long_as_configured() {
    for (iat, exp, expected, why) in [
        (NOW, NOW + LIFE, Ok(()), "exactly"),
        (NOW, NOW + LIFE + 1, Err(LifeTooLong), "one second more"),
        (NOW + 5, NOW + 5 + LIFE, Ok(()), "exactly, from a clock that is ahead"),
        (NOW - 1, NOW + LIFE, Err(LifeTooLong), "one second earlier"),
        (0, NOW + 60, Err(LifeTooLong), "since 1970"),
        (NOW, NOW, Ok(()), "none, but for the leeway"),
        (NOW, NOW - 1, Err(LifeTooLong), "ends before it begins"),
        (NOW, 0, Err(LifeTooLong), "ends in 1970"),
        (NOW, u64::MAX, Err(LifeTooLong), "as long as can be"),
        (0, 0, Err(Expired), "none, in 1970"),
    ] {
        assert_eq!(at(NOW, &access().with("iat", iat).with("exp", exp)), expected, "{why}");
    }
}

#[test]
fn extreme_clocks_never_panic() {
    let extremes = [0, 1, LEEWAY, NOW, u64::MAX - LEEWAY, u64::MAX - 1, u64::MAX];
    for now in extremes {
        for iat in extremes {
            for exp in extremes {
                let begun = iat <= now.saturating_add(LEEWAY);
                let fits = exp >= iat && exp - iat <= LIFE;
                let ended = exp.saturating_add(LEEWAY) <= now;
                let expected = begun && fits && !ended;
                let claims = access().with("iat", iat).with("exp", exp);
                assert_eq!(at(now, &claims).is_ok(), expected, "now {now}, iat {iat}, exp {exp}");
            }
        }
    }
}

#[test]
fn logout_accepts_expired_but_not_forged_tokens() {
    let late = NOW + LIFE + 1_000_000;
    let honest = token(&header(), &access());
    let forged = signed(honest.rsplit_once('.').unwrap().0, STRANGER);
    let [_, claims, _] = parts(&honest);
    for (token, expected, why) in [
        (honest.clone(), Ok(()), "expired long ago"),
        (forged, Err(Signature), "a stranger's"),
        (token(&header().with("typ", r#""rt+jwt""#), &access()), Err(Type), "another type"),
        (token(&header(), &access().with("aud", r#""x""#)), Err(Audience), "another audience"),
        (
            token(&header(), &access().with("iat", late + 6).with("exp", late + 7)),
            Err(IssuedInFuture),
            "from the future",
        ),
        (token(&header(), &access().with("exp", NOW + LIFE + 1)), Ok(()), "made when a longer life was allowed"),
        (token(&header(), &access().with("nbf", late + 6)), Err(NotYetValid), "not yet valid"),
        (token(&header(), &access().without("exp")), Err(Claim("exp")), "no end"),
        (format!("{claims}.{claims}.{claims}"), Err(TokenError::Malformed), "no token"),
    ] {
        assert_eq!(verifier().verify_expired_too(&token, late).map(|_| ()), expected, "{why}");
    }
}

#[test]
fn verifier_needs_an_issuer_and_an_audience() {
    let secret = secret(SECRET);
    let of = |issuer, audience| {
        let config =
            VerifierConfig { issuer, audience, max_life: Duration::from_secs(LIFE), secret: &secret, previous: None };
        Verifier::<AccessClaims>::new(&config).map(|_| ())
    };
    assert!(matches!(of("", AUDIENCE), Err(SetupError::NoIssuer)));
    assert!(matches!(of(ISSUER, ""), Err(SetupError::NoAudience)));
    assert!(of(ISSUER, AUDIENCE).is_ok());
}
