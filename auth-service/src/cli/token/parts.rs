use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use shared_claims::Members;

/// The parts of a text that should be a token, each read as far as it goes.
pub(super) struct Parts {
    /// Between the points.
    pub(super) segments: usize,
    /// The whole text.
    pub(super) length: usize,
    /// The first segment.
    pub(super) header: Part,
    /// The second.
    pub(super) claims: Part,
    /// How many bytes the signature has; it is not kept.
    pub(super) signature: Option<usize>,
}

/// A segment that should be a JSON object.
#[derive(Debug, PartialEq)]
pub(super) enum Part {
    /// It is one.
    Object(Map<String, Value>),
    /// Strict base64url of something else, or of an object with a name twice.
    NotAnObject,
    /// Not even that, or not there.
    NotBase64,
}

impl Parts {
    pub(super) fn of(token: &str) -> Self {
        let segments: Vec<&str> = token.split('.').collect();
        let part = |index: usize| segments.get(index).map_or(Part::NotBase64, |segment| Part::of(segment));
        let signature = segments.get(2).and_then(|segment| URL_SAFE_NO_PAD.decode(segment).ok());
        Self {
            segments: segments.len(),
            length: token.len(),
            header: part(0),
            claims: part(1),
            signature: signature.map(|bytes| bytes.len()),
        }
    }

    /// The type that the header names, without the prefix that RFC 7515 section 4.1.9 lets a signer leave out.
    pub(super) fn typ(&self) -> Option<&str> {
        let typ = self.header.get("typ")?.as_str()?;
        Some(typ.strip_prefix("application/").unwrap_or(typ))
    }
}

impl Part {
    fn of(segment: &str) -> Self {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(segment) else { return Self::NotBase64 };
        // The verifier's reader decides what an object is; the other one keeps more of what is in it.
        if Members::parse(&bytes).is_err() {
            return Self::NotAnObject;
        }
        serde_json::from_slice(&bytes).map_or(Self::NotAnObject, Self::Object)
    }

    pub(super) const fn object(&self) -> Option<&Map<String, Value>> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.object()?.get(name)
    }
}
