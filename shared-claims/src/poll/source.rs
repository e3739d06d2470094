use std::io;
use std::time::Duration;

use reqwest::header::{ACCEPT, AGE, CACHE_CONTROL, DATE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::NotAKeySet;

/// A connection stands within this.
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);

/// The answer begins within this, and no gap in it is longer.
const READ_PATIENCE: Duration = Duration::from_secs(5);

/// All of it is there within this.
const WHOLE_PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer that is read: a list of some two million entries.
const LONGEST: usize = 128 << 20;

/// An auth-service that is asked over HTTP/1.1. No redirect is followed, and no proxy of the environment is asked.
pub(super) struct Source {
    client: Client,
    tls: ClientConfig,
    url: Url,
}

/// A question.
#[derive(Clone, Copy)]
pub(super) struct Conditions<'a> {
    /// What is new since this cursor, or all.
    pub(super) after: Option<&'a str>,
    /// Unless it is still what this stands for.
    pub(super) etag: Option<&'a HeaderValue>,
}

/// An answer.
pub(super) struct Reply {
    pub(super) content: Content,
    /// The time at which auth-service made it, in seconds since 1970, if it was told.
    pub(super) date: Option<u64>,
    /// The time that it has spent in caches (RFC 9111 section 5.1).
    pub(super) age: Duration,
}

/// What is new.
pub(super) enum Content {
    /// 304: what was told at this address the last time is still all.
    NotModified,
    /// 200: a body, not yet read, and the `ETag` of the address it is from.
    Body { body: Vec<u8>, etag: Option<HeaderValue> },
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("it cannot be reached")]
    Connection(#[source] reqwest::Error),
    #[error("it is silent")]
    Silence,
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("its answer breaks off")]
    BrokenOff(#[source] reqwest::Error),
    #[error("its answer is longer than 128 MiB")]
    TooLong,
    #[error("its answer is no list of revocations")]
    NoList(#[from] serde_json::Error),
    #[error(transparent)]
    NoKeys(#[from] NotAKeySet),
    #[error("the process ends")]
    Ending(#[from] tokio::task::JoinError),
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        match () {
            () if error.is_timeout() => Self::Silence,
            () if error.is_body() || error.is_decode() => Self::BrokenOff(error),
            () => Self::Connection(error),
        }
    }
}

impl Source {
    /// # Errors
    /// The address is https, and there is no certificate of an authority to prove it with.
    pub(super) fn at(url: Url) -> io::Result<Self> {
        let tls = tls_config(url.scheme() == "https")?;
        Ok(Self { client: client(&tls).map_err(io::Error::other)?, tls, url })
    }

    /// Leaves its connection behind: the instance at the other end has failed, and another one, or another address of its name,
    /// may be well.
    pub(super) fn reconnect(&mut self) {
        if let Ok(client) = client(&self.tls) {
            self.client = client;
        }
    }

    /// Asks, and hears the whole answer.
    pub(super) async fn fetch(&self, Conditions { after, etag }: Conditions<'_>) -> Result<Reply, FetchError> {
        // A cache on the way would tell what auth-service said long ago.
        let mut request = self.client.get(self.url.clone()).header(ACCEPT, "application/json");
        request = request.header(CACHE_CONTROL, "no-cache").query(&after.map(|cursor| [("after", cursor)]));
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let response = request.send().await?;
        let (date, age) = (date(response.headers()), age(response.headers()));
        let content = match response.status() {
            StatusCode::OK => {
                let etag = response.headers().get(ETAG).cloned();
                Content::Body { body: whole(response).await?, etag }
            }
            // Without an ETag there was no question whether anything changed.
            StatusCode::NOT_MODIFIED if etag.is_some() => Content::NotModified,
            status => return Err(FetchError::Status(status)),
        };
        Ok(Reply { content, date, age })
    }
}

fn date(headers: &HeaderMap) -> Option<u64> {
    let date = OffsetDateTime::parse(headers.get(DATE)?.to_str().ok()?, &Rfc2822).ok()?;
    date.unix_timestamp().try_into().ok()
}

/// The longest of all that is said; for ever, where it is no number.
fn age(headers: &HeaderMap) -> Duration {
    let said = headers.get_all(AGE).iter().flat_map(|value| value.to_str().unwrap_or("?").split(','));
    Duration::from_secs(said.map(|age| age.trim().parse().unwrap_or(u64::MAX)).max().unwrap_or(0))
}

/// All of the body. One that ends before its `Content-Length` or its last chunk is an error.
async fn whole(mut response: Response) -> Result<Vec<u8>, FetchError> {
    let mut bytes = Vec::new();
    if response.content_length().is_some_and(|length| length > LONGEST as u64) {
        return Err(FetchError::TooLong);
    }
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > LONGEST {
            return Err(FetchError::TooLong);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn client(tls: &ClientConfig) -> reqwest::Result<Client> {
    let client = Client::builder().use_preconfigured_tls(tls.clone()).no_proxy().redirect(Policy::none());
    client.connect_timeout(CONNECT_PATIENCE).read_timeout(READ_PATIENCE).timeout(WHOLE_PATIENCE).build()
}

/// Trusts whom the system trusts, or `SSL_CERT_FILE`. Where nothing is encrypted, no authority is needed: a container
/// without certificates will do.
fn tls_config(is_https: bool) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    if is_https {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let cause = found.errors.into_iter().next().map(io::Error::other);
            return Err(cause.unwrap_or_else(|| io::ErrorKind::NotFound.into()));
        }
    }
    let config = ClientConfig::builder_with_provider(ring::default_provider().into());
    let config = config.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
