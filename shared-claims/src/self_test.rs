use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The crypto of this build or this processor computes something else than it should. Nothing may be signed or believed.
#[derive(Debug, thiserror::Error)]
#[error("HMAC-SHA-256 or base64url fails its self-test on this machine")]
pub struct SelfTestFailed;

/// RFC 7515 appendix A.1: key, signing input and signature of its first example.
const KEY: &str = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
const INPUT: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const SIGNATURE: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// Signs and verifies the example of RFC 7515 appendix A.1. Every signer and verifier asks for this when it is built.
///
/// # Errors
/// The answer is not the RFC's, or a wrong signature is taken.
pub fn self_test() -> Result<(), SelfTestFailed> {
    let key = URL_SAFE_NO_PAD.decode(KEY).map_err(|_| SelfTestFailed)?;
    let mut proof = URL_SAFE_NO_PAD.decode(SIGNATURE).map_err(|_| SelfTestFailed)?;
    let mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| SelfTestFailed)?.chain_update(INPUT);
    mac.clone().verify_slice(&proof).map_err(|_| SelfTestFailed)?;
    proof[31] ^= 1;
    mac.verify_slice(&proof).err().map(|_| ()).ok_or(SelfTestFailed)
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_machine_passes() {
        assert!(super::self_test().is_ok());
    }
}
