use std::io::ErrorKind;
use std::net::TcpListener;

use shared_claims::TokenError::{MalformedHeader, Signature, TooLong};

use crate::forge::{PREVIOUS, SECRET, STRANGER, access, b64, by, check, filler, header};
use crate::signer::kid_of;

#[test]
fn kid_is_a_hint_and_nothing_else() {
    let with = |kid: &str| header().with("kid", kid).text();
    let long = with(&filler(1500));
    check([
        (by(SECRET, &long), Ok(()), "a long one"),
        (by(SECRET, &with(&filler(4096))), Err(TooLong), "4 KB"),
        (by(PREVIOUS, &header().text()), Ok(()), "none, and the secret before"),
        (by(STRANGER, &header().text()), Err(Signature), "none, and a stranger's secret"),
    ]);
    for kid in [
        r#""../../../../../dev/null""#,
        r#""../../../../../etc/passwd""#,
        r#""/etc/passwd""#,
        r#""file:///etc/passwd""#,
        r#""/dev/null""#,
        r#""C:\\NUL""#,
        r#""' UNION SELECT 'x' --""#,
        r#""'; DROP TABLE users; --""#,
        r#""%00""#,
        r#""| whoami""#,
        r#""http://127.0.0.1/""#,
        r#""\u0000""#,
        r#""key-1""#,
        r#""😀""#,
    ] {
        check([
            (by(SECRET, &with(kid)), Ok(()), format!("{kid}: another signer's name for our key")),
            (by(PREVIOUS, &with(kid)), Ok(()), format!("{kid}: another signer's name for the key before")),
            (by("", &with(kid)), Err(Signature), format!("{kid}: signed with what is there")),
            (by("\0", &with(kid)), Err(Signature), format!("{kid}: signed with NUL")),
            (by(kid, &with(kid)), Err(Signature), format!("{kid}: signed with itself")),
        ]);
    }
    for kid in ["1", "null", r#""""#, r#"["key-1"]"#, r#"{"kid":"key-1"}"#, "true"] {
        check([(by(SECRET, &with(kid)), Err(MalformedHeader), format!("{kid} is no name"))]);
    }
}

#[test]
fn a_kid_of_ours_names_one_secret() {
    let [current, previous] =
        [SECRET, PREVIOUS].map(|secret| format!(r#"{{"alg":"HS256","typ":"at+jwt","kid":"{}"}}"#, kid_of(secret)));
    let spaced = current.replace(',', ", ");
    check([
        (by(SECRET, &current), Ok(()), "the secret's, written as we write it"),
        (by(PREVIOUS, &previous), Ok(()), "the previous secret's, written as we write it"),
        (by(SECRET, &spaced), Ok(()), "the secret's, written otherwise"),
        (by(PREVIOUS, &current), Err(Signature), "the secret's over the previous one's signature"),
        (by(SECRET, &previous), Err(Signature), "the previous secret's over the secret's signature"),
        (by(PREVIOUS, &spaced), Err(Signature), "the secret's, written otherwise, over the previous one's signature"),
        (by(STRANGER, &current), Err(Signature), "the secret's over a stranger's signature"),
        (format!("{}.{}.", b64(&current), b64(access().text())), Err(Signature), "the secret's over nothing"),
    ]);
}

#[test]
fn a_key_in_the_header_is_never_followed() {
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    door.set_nonblocking(true).unwrap();
    let here = door.local_addr().unwrap();
    let jwk = format!(r#"{{"kty":"oct","alg":"HS256","k":"{}"}}"#, b64(STRANGER));
    for (name, value) in [
        ("jku", format!(r#""http://{here}/jwks.json""#)),
        ("x5u", format!(r#""http://{here}/cert.pem""#)),
        ("kid", format!(r#""http://{here}/key""#)),
        ("iss", format!(r#""http://{here}""#)),
        ("jwk", jwk),
        ("x5t", format!(r#""{}""#, b64(STRANGER))),
        ("x5t#S256", format!(r#""{}""#, b64(STRANGER))),
        ("x5c", format!(r#"["{}"]"#, b64(STRANGER))),
        ("k", format!(r#""{}""#, b64(STRANGER))),
    ] {
        let header = header().with(name, value).text();
        check([
            (by(STRANGER, &header), Err(Signature), format!("{name}: signed with the key it offers")),
            (by(SECRET, &header), Ok(()), format!("{name}: ignored")),
        ]);
    }
    assert_eq!(door.accept().map(|_| ()).unwrap_err().kind(), ErrorKind::WouldBlock, "the verifier connected");
}
