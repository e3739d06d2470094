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

/// The timeout for opening a connection.
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);

/// The timeout for the head, and between two chunks of the body.
const READ_PATIENCE: Duration = Duration::from_secs(5);

/// The timeout for the whole response.
const WHOLE_PATIENCE: Duration = Duration::from_secs(10);

/// An HTTP client for one URL of auth-service. It follows no redirects and ignores the environment's proxy settings.
pub(super) struct Source {
    client: Client,
    tls: ClientConfig,
    url: Url,
}

/// The parts of a response that are used.
pub(super) struct Reply {
    pub(super) content: Content,
    /// The `Date` header, in seconds since 1970.
    pub(super) date: Option<u64>,
    /// The `Age` header: time spent in caches (RFC 9111 section 5.1).
    pub(super) age: Duration,
}

/// The content of a response.
pub(super) enum Content {
    /// 304: unchanged since the last response for this URL.
    NotModified,
    /// 200: the body, not parsed yet, and its `ETag`.
    Body { body: Vec<u8>, etag: Option<HeaderValue> },
}

/// The reason why a request failed.
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
    #[error("its answer is longer than {} KiB", .0 >> 10)]
    TooLong(usize),
    #[error("its answer is not a revocation list")]
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
    /// Creates a client for `url`. Fails if `url` is https and no certificate authority is installed.
    pub(super) fn at(url: Url) -> io::Result<Self> {
        let tls = tls_config(url.scheme() == "https")?;
        Ok(Self { client: client(&tls).map_err(io::Error::other)?, tls, url })
    }

    /// Replaces the connection pool, so that the next request opens a new connection: this instance failed, and another
    /// instance or address may be healthy.
    pub(super) fn reconnect(&mut self) {
        if let Ok(client) = client(&self.tls) {
            self.client = client;
        }
    }

    /// Requests the entries after the cursor `after`, or everything; `etag` is for `If-None-Match`. Reads the whole
    /// response, whose body has at most `longest` bytes.
    pub(super) async fn fetch(
        &self,
        after: Option<&str>,
        etag: Option<&HeaderValue>,
        longest: usize,
    ) -> Result<Reply, FetchError> {
        // With `no-cache`, because a cache could return an outdated list.
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
                Content::Body { body: whole(response, longest).await?, etag }
            }
            // A 304 is only valid for a request with `If-None-Match`.
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

/// The largest value of all `Age` headers. A value that is not a number counts as the maximum.
fn age(headers: &HeaderMap) -> Duration {
    let said = headers.get_all(AGE).iter().flat_map(|value| value.to_str().unwrap_or("?").split(','));
    Duration::from_secs(said.map(|age| age.trim().parse().unwrap_or(u64::MAX)).max().unwrap_or(0))
}

/// Reads the whole body. A body shorter than its `Content-Length`, or without its last chunk, is an error.
async fn whole(mut response: Response, longest: usize) -> Result<Vec<u8>, FetchError> {
    let mut bytes = Vec::new();
    if response.content_length().is_some_and(|length| length > longest as u64) {
        return Err(FetchError::TooLong(longest));
    }
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > longest {
            return Err(FetchError::TooLong(longest));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn client(tls: &ClientConfig) -> reqwest::Result<Client> {
    let client = Client::builder().use_preconfigured_tls(tls.clone()).no_proxy().redirect(Policy::none());
    client.connect_timeout(CONNECT_PATIENCE).read_timeout(READ_PATIENCE).timeout(WHOLE_PATIENCE).build()
}

/// Trusts the system's certificate authorities, or those of `SSL_CERT_FILE`. Plain HTTP needs none, so a container
/// without certificates works.
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
