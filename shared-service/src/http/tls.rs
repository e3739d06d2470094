use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use actix_web::rt;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::signal::unix::{SignalKind, signal};

use crate::settings::Settings;

/// The first byte of every key and certificate in DER.
const DER_SEQUENCE: u8 = 0x30;

/// The two PEM files of a TLS server: the certificate chain, its own certificate first, and the private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    cert: PathBuf,
    key: PathBuf,
}

impl TlsFiles {
    /// Reads `TLS_CERT` and `TLS_KEY`; `None` if neither is set.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let cert = settings.optional("TLS_CERT", "PEM file of the certificate and its issuers: HTTPS instead of HTTP");
        let key = settings.optional("TLS_KEY", "PEM file of the certificate's key; both are read again on SIGHUP");
        match (cert, key) {
            (Some(cert), Some(key)) => Some(Self { cert: cert.into(), key: key.into() }),
            (None, None) => None,
            (cert, _) => {
                let missing = if cert.is_some() { "TLS_KEY" } else { "TLS_CERT" };
                settings.wrong(missing, "is not set, but the other of TLS_CERT and TLS_KEY is; HTTPS needs both");
                None
            }
        }
    }

    pub(crate) fn load(&self) -> io::Result<CertifiedKey> {
        let (cert, key) = (read_pem("TLS_CERT", &self.cert)?, read_pem("TLS_KEY", &self.key)?);
        let chain = CertificateDer::pem_slice_iter(&cert).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| named(&self.cert, error))?;
        if chain.is_empty() {
            return Err(named(&self.cert, "holds no certificate"));
        }
        let key = PrivateKeyDer::from_pem_slice(&key);
        let key =
            key.map_err(|error| named(&self.key, format!("holds no private key in PEM ({error}), see TLS_KEY")))?;
        CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| named(&self.key, error))
    }
}

fn named(path: &Path, error: impl Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}

/// Reads the PEM file `path` of `setting`. The error for DER or an encrypted key names that format.
fn read_pem(setting: &str, path: &Path) -> io::Result<Vec<u8>> {
    let bytes = std::fs::read(path).map_err(|error| named(path, format!("{error}, see {setting}")))?;
    let (text, is_key) = (String::from_utf8_lossy(&bytes), setting == "TLS_KEY");
    if bytes.first() == Some(&DER_SEQUENCE) && !text.contains("-----BEGIN ") {
        let command = if is_key { "pkey" } else { "x509" };
        let why = format!("{setting} is DER, not PEM: openssl {command} -inform DER -in OLD -out NEW");
        return Err(named(path, why));
    }
    if is_key && ["BEGIN ENCRYPTED PRIVATE KEY", "Proc-Type: 4,ENCRYPTED"].iter().any(|mark| text.contains(mark)) {
        return Err(named(
            path,
            "TLS_KEY is encrypted, and no start asks for a password: openssl pkey -in OLD -out NEW",
        ));
    }
    Ok(bytes)
}

/// The certificate shown to clients, replaced on SIGHUP.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// The TLS 1.2 and 1.3 configuration with the certificate in `files`. They are read now and again at each SIGHUP; if
/// they are unusable then, the old certificate stays. Needs a Tokio runtime. actix-web adds ALPN for HTTP/1.1.
pub(crate) fn start(files: TlsFiles) -> io::Result<ServerConfig> {
    let shown = Arc::new(Shown(RwLock::new(Arc::new(files.load()?))));
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let resolver = Arc::<Shown>::clone(&shown);
    let config = config.map_err(io::Error::other)?.with_no_client_auth().with_cert_resolver(resolver);
    let mut hangups = signal(SignalKind::hangup())?;
    // The task ends with the runtime. Two services in one process both receive the signal.
    rt::spawn(async move {
        while hangups.recv().await.is_some() {
            match files.load() {
                Ok(key) => {
                    *shown.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
                    log::info!("the certificate was read again");
                }
                Err(error) => log::error!("the certificate stays as it was: {error}"),
            }
        }
    });
    Ok(config)
}
