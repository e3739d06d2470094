use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha384, Sha512};
use shared_claims::TokenError::{Algorithm, Critical, Malformed, MalformedClaims, MalformedHeader, Signature, Type};

use crate::forge::{
    SECRET, STRANGER, access, b64, by, check, header, parts, refresh, refresh_verdict, segments, signed, texts, token,
    verdict,
};

/// A token of `header` and valid claims, with an empty signature.
fn unsigned(header: &str) -> String {
    format!("{}.{}.", b64(header), b64(access().text()))
}

#[test]
fn alg_none_is_refused_in_every_spelling() {
    for none in
        ["none", "None", "NONE", "nOnE", "NoNe", "none ", " none", "\\tnone", "none\\u0000", "\\u006eone", "", "null"]
    {
        let header = header().with("alg", format!(r#""{none}""#)).text();
        check([
            (unsigned(&header), Err(Algorithm), format!("{none:?} without a signature")),
            (by(SECRET, &header), Err(Algorithm), format!("{none:?} with a good signature")),
            (by("", &header), Err(Algorithm), format!("{none:?} signed with the empty key")),
        ]);
    }
}

#[test]
fn another_algorithm_is_refused() {
    for other in [
        "HS384",
        "HS512",
        "HS1",
        "HS512/256",
        "RS256",
        "RS384",
        "RS512",
        "PS256",
        "PS512",
        "ES256",
        "ES256K",
        "ES512",
        "EdDSA",
        "Ed25519",
        "Ed448",
        "ML-DSA-44",
        "dir",
        "A256GCMKW",
        "RSA-OAEP",
        "PBES2-HS256+A128KW",
        "hs256",
        "Hs256",
        "HS256 ",
        " HS256",
        "HS-256",
        "HS256\\u0000",
        "HMACSHA256",
        "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
    ] {
        let header = header().with("alg", format!(r#""{other}""#)).text();
        check([
            (by(SECRET, &header), Err(Algorithm), format!("{other:?} over an HS256 signature")),
            (unsigned(&header), Err(Algorithm), format!("{other:?} without a signature")),
        ]);
    }
    let message = |alg: &str| format!("{}.{}", b64(header().with("alg", alg).text()), b64(access().text()));
    let hs384 = message(r#""HS384""#);
    let proof = Hmac::<Sha384>::new_from_slice(SECRET.as_bytes()).unwrap().chain_update(&hs384).finalize();
    let hs512 = message(r#""HS512""#);
    let longer = Hmac::<Sha512>::new_from_slice(SECRET.as_bytes()).unwrap().chain_update(&hs512).finalize();
    check([
        (format!("{hs384}.{}", b64(proof.into_bytes())), Err(Malformed), "HS384 with its own signature: too long"),
        (format!("{hs512}.{}", b64(longer.into_bytes())), Err(Malformed), "HS512 with its own signature: too long"),
        (format!("{}.{}", message(r#""RS256""#), b64([7; 256])), Err(Malformed), "RS256 with a signature of 256 bytes"),
    ]);
}

#[test]
fn alg_is_a_string() {
    check([(token(&header().without("alg"), &access()), Err(Algorithm), "missing")]);
    for value in ["null", "256", "true", "[]", r#"["HS256"]"#, r#"{"HS256":1}"#] {
        check([(token(&header().with("alg", value), &access()), Err(Algorithm), value)]);
    }
    check([(
        token(&header().with("alg", r#""\u0048S256""#), &access()),
        Ok(()),
        "escapes are JSON's, not another name",
    )]);
}

#[test]
fn typ_tells_the_kinds_of_token_apart() {
    let with = |typ: &str| token(&header().with("typ", typ), &access());
    check([
        (with(r#""application/at+jwt""#), Ok(()), "RFC 9068 section 4 allows the prefix"),
        (token(&header().without("typ"), &access()), Err(Type), "missing"),
        (token(&header().with("typ", r#""rt+jwt""#), &refresh()), Err(Type), "a refresh token"),
        (with(r#""rt+jwt""#), Err(Type), "access claims in a refresh token"),
    ]);
    for typ in [
        r#""""#,
        r#""JWT""#,
        r#""jwt""#,
        r#""JOSE""#,
        r#""at+JWT""#,
        r#""AT+JWT""#,
        r#""Application/at+jwt""#,
        r#"" at+jwt""#,
        r#""at+jwt ""#,
        r#""at+jwt;v=1""#,
        r#""at""#,
        r#""at+jwt\u0000""#,
        r#""application/""#,
        r#""text/at+jwt""#,
        r#""application/application/at+jwt""#,
        r#""id+jwt""#,
        r#""logout+jwt""#,
        r#""dpop+jwt""#,
        r#""secevent+jwt""#,
        "null",
        "1",
        "true",
        r#"["at+jwt"]"#,
        r#"{"at+jwt":"at+jwt"}"#,
    ] {
        check([(with(typ), Err(Type), typ)]);
    }
}

#[test]
fn an_access_token_is_no_refresh_token() {
    let claims = access().with("gen", 1);
    assert_eq!(refresh_verdict(&token(&header(), &claims)), Err(Type));
    let header = header().with("typ", r#""rt+jwt""#);
    assert_eq!(refresh_verdict(&token(&header, &refresh())).map(|claims| claims.generation), Ok(7));
}

#[test]
fn crit_is_refused_whatever_it_names() {
    for crit in ["[]", r#"["exp"]"#, r#"["b64"]"#, r#"["alg"]"#, r#"[""]"#, r#""exp""#, "null", "{}", "false", "0"] {
        let honest = header().with("exp", 1).with("b64", true);
        check([
            (token(&honest.clone().with("crit", crit), &access()), Err(Critical), crit),
            (token(&honest.and("\\u0063rit", crit), &access()), Err(Critical), "with its name escaped"),
        ]);
    }
    check([(token(&header().with("Crit", "[]").with("exp", 1), &access()), Ok(()), "another name means nothing")]);
}

/// The rules of RFC 7515 section 4.1.11 (`crit`).
#[test]
fn crit_with_any_value_is_refused() {
    let honest = header().with("exp", 1).with("b64", true);
    for (crit, why) in [
        ("[]", "an empty list"),
        (r#"["exp"]"#, "an extension that the header has and nobody here understands"),
        (r#"["x"]"#, "a member that the header does not have"),
        (r#"["exp","exp"]"#, "a name twice"),
        (r#"["alg"]"#, "a member of the standard itself"),
        (r#"["alg","typ","crit"]"#, "itself"),
        (r#"["b64"]"#, "RFC 7797's, which changes what is signed"),
        (r#""exp""#, "no list"),
        ("[1]", "a list of numbers"),
        (r#"["exp",null]"#, "a list of more than strings"),
        (r#"[["exp"]]"#, "a list of lists"),
        (r#"{"exp":true}"#, "an object"),
    ] {
        let text = honest.clone().with("crit", crit).text();
        check([
            (by(SECRET, &text), Err(Critical), why),
            (by(STRANGER, &text), Err(Critical), why),
            (by(SECRET, &header().with("crit", crit).text()), Err(Critical), why),
        ]);
    }
    check([
        (token(&honest.with("crit", r#"["exp"]"#).and("crit", "[]"), &access()), Err(MalformedHeader), "twice"),
        (token(&header(), &access().with("crit", r#"["exp"]"#)), Ok(()), "a claim of that name means nothing"),
    ]);
}

/// RFC 7797: a claims set that is signed unencoded, not in base64url.
#[test]
fn claims_are_always_encoded() {
    let head = b64(header().with("b64", false).text());
    check([(signed(&format!("{head}.{}", access().text()), SECRET), Err(Critical), "as they stand")]);
}

/// `text` in the format DEFLATE, as one uncompressed block (RFC 1951 section 3.2.4).
fn deflated(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    [&[1], &length.to_le_bytes()[..], &(!length).to_le_bytes(), text.as_bytes()].concat()
}

#[test]
fn nothing_is_decompressed() {
    let zip = header().with("zip", r#""DEF""#).text();
    check([
        (texts(&zip, deflated(&access().text())), Err(MalformedClaims), "compressed claims"),
        (texts(header().text(), deflated(&access().text())), Err(MalformedClaims), "and nobody says so"),
        (texts(deflated(&header().text()), access().text()), Err(MalformedHeader), "a compressed header"),
        (texts(&zip, access().text()), Ok(()), "claims as they are"),
    ]);
}

#[test]
fn unknown_header_members_are_ignored() {
    for (name, value) in [
        ("cty", r#""JWT""#),
        ("zip", r#""DEF""#),
        ("b64", "true"),
        ("enc", r#""A256GCM""#),
        ("epk", "{}"),
        ("nonce", "1"),
        ("exp", "1"),
        ("x", r#"{"deep":[1,2.5,null,{"er":true}]}"#),
        ("", "0"),
        ("ALG", r#""none""#),
        ("Typ", "0"),
    ] {
        check([(token(&header().with(name, value), &access()), Ok(()), name)]);
    }
}

#[test]
fn nested_and_encrypted_tokens_are_refused() {
    let inner = token(&header(), &access());
    let [a, b, c] = parts(&inner);
    let jwe = |alg: &str| {
        let header = format!(r#"{{"alg":"{alg}","enc":"A256GCM","typ":"at+jwt","cty":"JWT"}}"#);
        format!("{}..{}.{}.{}", b64(header), b64([1; 12]), b64([2; 64]), b64([3; 16]))
    };
    check([
        (texts(header().with("cty", r#""JWT""#).text(), &inner), Err(MalformedClaims), "a token in a token"),
        (texts(header().with("cty", r#""JWT""#).text(), format!("\"{inner}\"")), Err(MalformedClaims), "as a string"),
        (jwe("dir"), Err(Malformed), "encrypted, with a shared key"),
        (jwe("RSA-OAEP"), Err(Malformed), "encrypted, with a public key"),
        (jwe("HS256"), Err(Malformed), "encrypted, says a signature"),
        (format!("{a}.{b}.{b}.{b}.{c}"), Err(Malformed), "five segments"),
        (segments(a, &format!("{b}.{b}.{b}")), Err(Malformed), "five segments, signed"),
    ]);
}

#[test]
fn signature_is_checked_before_the_claims() {
    let expired = signed(&format!("{}.{}", b64(header().text()), b64(access().with("exp", 1).text())), STRANGER);
    assert_eq!(verdict(&expired), Err(Signature), "the signature is verified before the claims");
    let broken = signed(&format!("{}.{}", b64(header().text()), "!!!"), STRANGER);
    assert_eq!(verdict(&broken), Err(Signature), "the signature is verified before the claims are decoded");
}

#[test]
fn payload_that_is_not_encoded_is_refused() {
    for (header, why) in [
        (header().with("b64", "false"), "said alone"),
        (header().with("b64", "false").with("crit", r#"["b64"]"#), "said as RFC 7797 wants it"),
    ] {
        check([(token(&header, &access()), Err(Critical), why)]);
    }
}
