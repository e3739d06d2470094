use super::SelfTestFailed;

/// The reason why a token is refused. The text is the `error_description` of RFC 6750 section 3: plain ASCII, no
/// quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "a variant without a text has its message")]
pub enum TokenError {
    #[error("The token is longer than 4096 bytes")]
    TooLong,
    /// Not three segments of strict base64url (RFC 7515 section 7.1, appendix C).
    #[error("The token is not a JWS in compact serialization")]
    Malformed,
    #[error("The token's header is not a JSON object with unique names")]
    MalformedHeader,
    /// No accepted key uses this `alg`, or the key named by `kid` uses another one (RFC 8725 section 3.1).
    #[error("The token's algorithm is not accepted here")]
    Algorithm,
    /// `typ` is that of another kind of token (RFC 8725 section 3.11).
    #[error("The token is of another type")]
    Type,
    /// A `crit` header (RFC 7515 section 4.1.11), or `b64` (RFC 7797): no extension is supported.
    #[error("The token has a critical header that is not understood")]
    Critical,
    /// The token is signed with a private key, and its `kid` is absent or not published.
    #[error("The token's key is not known")]
    UnknownKey,
    /// The key set was not read yet, or is stale. The token may be valid: a service answers 503.
    #[error("The published keys are not known at the moment")]
    KeysUnknown,
    #[error("The token's signature is not valid")]
    Signature,
    /// The claims are not one JSON object in UTF-8 with each name once (RFC 7519 section 4).
    #[error("The token's claims are not a JSON object with unique names")]
    MalformedClaims,
    #[error("The claim {0} is missing or of the wrong type")]
    Claim(&'static str),
    #[error("The token is from another issuer")]
    Issuer,
    #[error("The token is for another audience")]
    Audience,
    #[error("The token has expired")]
    Expired,
    #[error("The token is not valid yet")]
    NotYetValid,
    #[error("The token was issued in the future")]
    IssuedInFuture,
    /// The lifetime from `iat` to `exp` is negative or longer than this service accepts.
    #[error("The token lives longer than allowed")]
    LifeTooLong,
    /// The token's session or user is revoked; see [`Revocations`](crate::Revocations).
    #[error("The session has ended or the role has changed: refresh, or log in")]
    Revoked,
}

/// The reason why a signer or a verifier cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The issuer is empty (RFC 8725 section 3.8).
    #[error("the issuer has no name")]
    NoIssuer,
    /// There is no audience, or one is empty (RFC 8725 section 3.9).
    #[error("an audience has no name")]
    NoAudience,
    /// The key cannot be used.
    #[error("the crypto does not take this key")]
    Key,
    /// There is neither a secret nor a set of public keys.
    #[error("there is no key to sign or verify with")]
    NoKey,
    /// The crypto fails its self-test.
    #[error(transparent)]
    SelfTest(#[from] SelfTestFailed),
}
