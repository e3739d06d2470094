use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::crypto::sign;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::Value;
use shared_claims::TokenError::{self, Critical, Expired, Malformed, Signature, Type, UnknownKey};
use shared_claims::{AccessClaims, Keyring, PublicKey, PublicKeys, Signer, SigningKey, Verifier};

use crate::forge::{AUDIENCE, ISSUER, LIFE, NOW, Object, SECRET, access, b64, header, parts, secret, signed, unb64};
use crate::signer::access_claims;

/// A key pair, as PEM and in the form that `jsonwebtoken` takes.
pub struct Pair {
    pub name: &'static str,
    pub pem: String,
    pub key: SigningKey,
    algorithm: Algorithm,
    encoding: EncodingKey,
}

fn pair(name: &'static str, pem: String) -> Pair {
    let bytes = pem.as_bytes();
    let (algorithm, encoding) = match name {
        "ES256" => (Algorithm::ES256, EncodingKey::from_ec_pem(bytes)),
        "EdDSA" => (Algorithm::EdDSA, EncodingKey::from_ed_pem(bytes)),
        _ => (Algorithm::RS256, EncodingKey::from_rsa_pem(bytes)),
    };
    Pair { name, key: SigningKey::from_pem(&pem).unwrap(), algorithm, encoding: encoding.unwrap(), pem }
}

/// The output of `openssl genpkey` with these arguments.
pub fn openssl(arguments: &str) -> String {
    let output = Command::new("openssl").arg("genpkey").args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "openssl genpkey {arguments}");
    String::from_utf8(output.stdout).unwrap()
}

pub static PAIRS: LazyLock<[Pair; 3]> = LazyLock::new(|| {
    [
        pair("ES256", SigningKey::generate_pem("ES256").unwrap()),
        pair("EdDSA", SigningKey::generate_pem("EdDSA").unwrap()),
        pair("RS256", openssl("-algorithm RSA -pkeyopt rsa_keygen_bits:2048")),
    ]
});

impl Pair {
    pub fn public(&self) -> PublicKey {
        self.key.public().unwrap().clone()
    }

    pub fn kid(&self) -> String {
        self.public().key_id().to_owned()
    }

    /// A header with this pair's algorithm and `kid`.
    fn header(&self) -> Object {
        header().with("alg", format!("{:?}", self.name)).with("kid", format!("{:?}", self.kid()))
    }

    /// `message`, followed by this pair's signature.
    fn signed(&self, message: &str) -> String {
        format!("{message}.{}", sign(message.as_bytes(), &self.encoding, self.algorithm).unwrap())
    }

    /// A valid token of this pair.
    pub fn honest(&self) -> String {
        self.token(&self.header(), &access())
    }

    /// The token of `honest` with another `kid`.
    pub fn named(&self, kid: &str) -> String {
        let header = self.header().with("kid", format!("{kid:?}"));
        format!("{}.{}.{}", b64(header.text()), b64(access().text()), b64([7; 64]))
    }

    fn token(&self, header: &Object, claims: &Object) -> String {
        self.signed(&format!("{}.{}", b64(header.text()), b64(claims.text())))
    }
}

/// A verifier that accepts tokens signed with any of the pairs or with the secret.
fn verifier() -> Verifier<AccessClaims> {
    let public = PublicKeys::own(PAIRS.iter().map(Pair::public).collect());
    verifier_of(Keyring::new([&secret(SECRET)], Some(public)).unwrap())
}

pub fn verifier_of(keys: Keyring) -> Verifier<AccessClaims> {
    Verifier::with_keys(ISSUER, AUDIENCE, Duration::from_secs(LIFE), keys).unwrap()
}

/// The result for `token`. Fails if a second verification has another result.
#[track_caller]
fn verdict(verifier: &Verifier<AccessClaims>, token: &str) -> Result<AccessClaims, TokenError> {
    let first = verifier.verify(token, NOW);
    assert_eq!(first, verifier.verify(token, NOW), "the second verification has another result: {token}");
    first
}

#[track_caller]
fn check<W: std::fmt::Display>(cases: impl IntoIterator<Item = (String, Result<(), TokenError>, W)>) {
    let verifier = verifier();
    for (token, expected, why) in cases {
        assert_eq!(verdict(&verifier, &token).map(|_| ()), expected, "{why}: {token}");
    }
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
fn each_algorithm_signs_what_the_verifier_accepts() {
    for pair in &*PAIRS {
        let signer = Signer::with_key(ISSUER, &[AUDIENCE.to_owned()], pair.key.clone()).unwrap();
        let token = signer.sign(&access_claims());
        assert_eq!(verdict(&verifier(), &token).unwrap(), access_claims(), "{}", pair.name);
        let header: Value = serde_json::from_slice(&unb64(parts(&token)[0])).unwrap();
        assert_eq!(header, serde_json::json!({"alg": pair.name, "typ": "at+jwt", "kid": pair.kid()}));
    }
}

/// The fuzzer's corpus with the algorithm and the `kid` of each pair in place of HS256.
#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
fn corpus_is_judged_alike_for_each_algorithm() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/verifier");
    let (verifier, mut judged) = (verifier(), 0);
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        let (name, bytes) = (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap());
        let Some((head, body)) = header_and_claims(&bytes) else { continue };
        for pair in &*PAIRS {
            let Some(head) = for_pair(&head, pair) else { continue };
            let said = verdict(&verifier, &pair.signed(&format!("{}.{body}", b64(head))));
            judged += 1;
            let is_for_refresh = name.contains("refresh");
            let expected = (name.starts_with("good") || name.starts_with("forged")) && !is_for_refresh;
            assert_eq!(said.is_ok(), expected, "{name} with {}: {said:?}", pair.name);
        }
    }
    assert!(judged > 150, "too few tokens in the corpus: {judged}");
}

/// The header as text and the claims in base64url, from a token or from two texts separated by the byte 0xFF.
fn header_and_claims(bytes: &[u8]) -> Option<(String, String)> {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0xff) {
        return Some((str::from_utf8(&bytes[..end]).ok()?.to_owned(), b64(&bytes[end + 1..])));
    }
    let (message, _) = str::from_utf8(bytes).ok()?.rsplit_once('.')?;
    let (head, body) = message.split_once('.')?;
    let head = URL_SAFE_NO_PAD.decode(head).ok()?;
    Some((String::from_utf8(head).ok()?, body.to_owned()))
}

/// The header for `pair`. `None` if `head` does not name HS256 exactly once, or contains `kid`.
fn for_pair(head: &str, pair: &Pair) -> Option<String> {
    let named = r#""alg":"HS256""#;
    let is_plain = head.matches(named).count() == 1 && head.matches("HS256").count() == 1 && !head.contains("kid");
    is_plain.then(|| head.replace(named, &format!(r#""alg":"{}","kid":"{}""#, pair.name, pair.kid())))
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
fn public_key_is_no_secret() {
    for pair in &*PAIRS {
        let jwk: Value = serde_json::from_str(&PublicKeys::own(vec![pair.public()]).jwks()).unwrap();
        let pem = pair.public().pem().unwrap();
        let der = der_of(&pem);
        let member = |name: &str| jwk["keys"][0][name].as_str().map(unb64).unwrap_or_default();
        let secrets = [
            pem.clone().into_bytes(),
            pem.trim_end().as_bytes().to_vec(),
            der.clone(),
            jwk["keys"][0].to_string().into_bytes(),
            member("x"),
            member("n"),
            [vec![4], member("x"), member("y")].concat(),
            pair.kid().into_bytes(),
        ];
        for key in secrets.iter().filter(|key| !key.is_empty()) {
            for kid in [Some(pair.kid()), None] {
                let expected = if kid.is_some() { TokenError::Algorithm } else { Signature };
                let head = kid.map_or_else(header, |kid| header().with("kid", format!("{kid:?}")));
                let message = format!("{}.{}", b64(head.text()), b64(access().text()));
                check([(signed(&message, key), Err(expected), "HS256 with what is published")]);
            }
        }
        let head = header().with("kid", format!("{:?}", pair.kid()));
        let message = format!("{}.{}", b64(head.text()), b64(access().text()));
        check([(signed(&message, SECRET), Err(TokenError::Algorithm), "the secret under the name of a public key")]);
    }
}

fn der_of(pem: &str) -> Vec<u8> {
    let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(text).unwrap()
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
fn key_has_one_algorithm() {
    for pair in &*PAIRS {
        for other in PAIRS.iter().filter(|other| other.name != pair.name) {
            let other_kid = pair.header().with("kid", format!("{:?}", other.kid()));
            let other_alg = pair.header().with("alg", format!("{:?}", other.name));
            check([
                (pair.token(&other_kid, &access()), Err(TokenError::Algorithm), "the kid of another algorithm's key"),
                (pair.token(&other_alg, &access()), Err(TokenError::Algorithm), "another algorithm under the kid"),
            ]);
        }
        for alg in ["ES256K", "es256", "Ed25519", "ES384", "RS384", "PS256", "none", "HS512", "ES256 "] {
            let head = pair.header().with("alg", format!("{alg:?}"));
            check([(pair.token(&head, &access()), Err(TokenError::Algorithm), alg)]);
        }
    }
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
fn kid_must_be_known() {
    for pair in &*PAIRS {
        check([
            (pair.token(&pair.header().without("kid"), &access()), Err(UnknownKey), "none"),
            (pair.token(&pair.header().with("kid", r#""other""#), &access()), Err(UnknownKey), "another"),
            (pair.token(&pair.header().with("kid", "7"), &access()), Err(TokenError::MalformedHeader), "a number"),
            (pair.token(&pair.header().with("kid", r#""../../dev/null""#), &access()), Err(UnknownKey), "a path"),
        ]);
    }
    let strangers = pair("ES256", SigningKey::generate_pem("ES256").unwrap());
    let disguised = strangers.header().with("kid", format!("{:?}", PAIRS[0].kid()));
    let offered = disguised.clone().with("jwk", jwk_of(&strangers)).with("jku", r#""http://127.0.0.1:9/jwks""#);
    check([
        (strangers.token(&strangers.header(), &access()), Err(UnknownKey), "a stranger's key"),
        (strangers.token(&disguised, &access()), Err(Signature), "a stranger's key under a kid of ours"),
        (strangers.token(&offered, &access()), Err(Signature), "a stranger's key in the header"),
    ]);
}

fn jwk_of(pair: &Pair) -> String {
    let set: Value = serde_json::from_str(&PublicKeys::own(vec![pair.public()]).jwks()).unwrap();
    set["keys"][0].to_string()
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
fn header_and_claims_are_read_as_strictly() {
    for pair in &*PAIRS {
        let token = |header: Object| pair.token(&header, &access());
        check([
            (token(pair.header()), Ok(()), "as it is made"),
            (token(pair.header().with("typ", r#""rt+jwt""#)), Err(Type), "another type"),
            (token(pair.header().with("crit", r#"["exp"]"#)), Err(Critical), "crit"),
            (token(pair.header().with("b64", "false")), Err(Critical), "RFC 7797"),
            (token(pair.header().with("x5u", r#""http://127.0.0.1:9/""#)), Ok(()), "x5u is not followed"),
            (pair.token(&pair.header(), &access().with("exp", NOW - 60).with("iat", NOW - 90)), Err(Expired), "late"),
        ]);
    }
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
fn signature_has_one_spelling() {
    let pair = &PAIRS[0];
    let token = pair.token(&pair.header(), &access());
    let (message, proof) = token.rsplit_once('.').unwrap();
    let proof = unb64(proof);
    let with = |proof: &[u8]| format!("{message}.{}", b64(proof));
    let (r, s) = proof.split_at(32);
    let zero = [0; 32];
    let order = b"\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51";
    let der = |r: &[u8], s: &[u8]| [&[0x30, 0x44, 2, 32], r, &[2, 32], s].concat();
    check([
        (with(&proof), Ok(()), "as it is made"),
        (with(&[r, &twin(s)].concat()), Err(Signature), "r and n - s"),
        (with(&[&zero, s].concat()), Err(Signature), "r is zero"),
        (with(&[r, &zero].concat()), Err(Signature), "s is zero"),
        (with(&[&zero[..], &zero].concat()), Err(Signature), "both are zero"),
        (with(&[order, s].concat()), Err(Signature), "r is n"),
        (with(&[r, order].concat()), Err(Signature), "s is n"),
        (with(&der(r, s)), Err(Signature), "DER"),
        (with(&proof[..63]), Err(Signature), "a byte less"),
        (with(&[&proof[..], &[0]].concat()), Err(Signature), "a byte more"),
        (with(&[7; 1026]), Err(Malformed), "longer than any"),
        (format!("{message}."), Err(Signature), "none"),
    ]);
}

/// The other valid `s` of an ECDSA signature: n - s, big-endian.
fn twin(s: &[u8]) -> Vec<u8> {
    let order = num(b"\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51");
    (order - num(s)).to_bytes_be()
}

fn num(bytes: &[u8]) -> simple_asn1::BigUint {
    simple_asn1::BigUint::from_bytes_be(bytes)
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
fn removed_key_is_refused_though_its_token_was_accepted() {
    let [first, second, _] = &*PAIRS;
    let public = PublicKeys::own(vec![first.public()]);
    let verifier = verifier_of(Keyring::new([], Some(public.clone())).unwrap());
    let [old, new] = [first, second].map(|pair| pair.token(&pair.header(), &access()));
    assert_eq!([&old, &new].map(|token| verdict(&verifier, token).map(|_| ())), [Ok(()), Err(UnknownKey)]);
    public.replace(vec![second.public(), first.public()]);
    assert_eq!([&old, &new].map(|token| verdict(&verifier, token).map(|_| ())), [Ok(()), Ok(())]);
    public.replace(vec![second.public()]);
    assert_eq!([&old, &new].map(|token| verdict(&verifier, token).map(|_| ())), [Err(UnknownKey), Ok(())]);
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
fn remembered_token_expires() {
    let verifier = verifier();
    for pair in &*PAIRS {
        let token = pair.token(&pair.header(), &access());
        verdict(&verifier, &token).unwrap();
        assert_eq!(verifier.verify(&token, NOW + LIFE + 60), Err(Expired), "{}", pair.name);
        assert_eq!(verifier.verify(&token, NOW - 60), Err(TokenError::IssuedInFuture), "{}", pair.name);
    }
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
fn without_a_secret_hs256_is_refused() {
    let public = PublicKeys::own(vec![PAIRS[0].public()]);
    let verifier = verifier_of(Keyring::new([], Some(public)).unwrap());
    let message = format!("{}.{}", b64(header().text()), b64(access().text()));
    for key in [SECRET, "", &PAIRS[0].kid()] {
        assert_eq!(verdict(&verifier, &signed(&message, key)), Err(TokenError::Algorithm));
    }
    assert!(Keyring::new([], None).is_err(), "a keyring without any key");
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
fn keys_that_are_not_known_are_no_fault_of_the_token() {
    let public = PublicKeys::unknown(None);
    let verifier = verifier_of(Keyring::new([&secret(SECRET)], Some(public.clone())).unwrap());
    let pair = &PAIRS[0];
    let token = pair.token(&pair.header(), &access());
    assert_eq!(verdict(&verifier, &token), Err(TokenError::KeysUnknown));
    let message = format!("{}.{}", b64(header().text()), b64(access().text()));
    assert!(verdict(&verifier, &signed(&message, SECRET)).is_ok(), "HS256 is verified with the secret");
}
