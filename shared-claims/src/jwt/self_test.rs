use std::sync::OnceLock;

use jsonwebtoken::crypto::verify;
use jsonwebtoken::{Algorithm, DecodingKey};

use super::provider;

/// The cryptography returned a wrong result on this build or processor. No token may be signed or accepted.
#[derive(Debug, thiserror::Error)]
#[error("HS256, ES256, EdDSA, RS256 or base64url fails its self-test on this machine")]
pub struct SelfTestFailed;

/// RFC 7515 appendix A.1: key (in the base64 of RFC 4648 section 4), signing input and signature.
const SECRET: &str = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ+EstJQLr/T+1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow==";
const HS256: [&str; 2] = [
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
];

/// RFC 7515 appendix A.2: modulus, exponent, signing input and signature.
const RSA: [&str; 2] = [
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    "AQAB",
];
const RS256: [&str; 2] = [
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
];

/// RFC 7515 appendix A.3: x, y, signing input and signature. The RFC's signature has a high s, so this is its low-s
/// form.
const P256: [&str; 2] = ["f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"];
const ES256: [&str; 2] = [
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmU69fgrc8OPGycO0lD3tat_FoFp57SETepkeks4eL_QfA",
];
/// The high-s signature printed in the RFC.
const HIGH_S: &str = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

/// RFC 8037 appendix A.4.
const ED25519: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const EDDSA: [&str; 2] = [
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
];

/// Verifies one example per algorithm from the RFCs, and that a signature with one bit changed is refused. Runs once
/// per process; every signer and verifier checks the result.
///
/// # Errors
/// A correct signature was refused, or a wrong one accepted.
pub fn self_test() -> Result<(), SelfTestFailed> {
    static PASSED: OnceLock<bool> = OnceLock::new();
    let passed = PASSED.get_or_init(|| {
        provider::install();
        passes().unwrap_or(false)
    });
    passed.then_some(()).ok_or(SelfTestFailed)
}

fn passes() -> jsonwebtoken::errors::Result<bool> {
    let examples = [
        (Algorithm::HS256, DecodingKey::from_base64_secret(SECRET)?, HS256),
        (Algorithm::RS256, DecodingKey::from_rsa_components(RSA[0], RSA[1])?, RS256),
        (Algorithm::ES256, DecodingKey::from_ec_components(P256[0], P256[1])?, ES256),
        (Algorithm::EdDSA, DecodingKey::from_ed_components(ED25519)?, EDDSA),
    ];
    for (algorithm, key, [input, signature]) in &examples {
        let changed = format!("{}{}", if signature.starts_with('A') { 'B' } else { 'A' }, &signature[1..]);
        if !verify(signature, input.as_bytes(), key, *algorithm)?
            || verify(&changed, input.as_bytes(), key, *algorithm)?
            || verify(signature, &input.as_bytes()[1..], key, *algorithm)?
        {
            return Ok(false);
        }
    }
    let (_, key, [input, _]) = &examples[2];
    Ok(!verify(HIGH_S, input.as_bytes(), key, Algorithm::ES256)?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn crypto_self_test_passes() {
        assert!(super::self_test().is_ok());
    }
}
