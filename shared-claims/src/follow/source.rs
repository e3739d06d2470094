use std::io;
use std::time::{Duration, UNIX_EPOCH};

use http::header::{ACCEPT, CONNECTION, DATE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;

use super::address::Address;

/// A connection stands within this.
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);

/// The answer begins within this, and no gap in it is longer.
const READ_PATIENCE: Duration = Duration::from_secs(5);

/// All of it is there within this.
const WHOLE_PATIENCE: Duration = Duration::from_mins(1);

/// The longest list that is read: some three million entries.
const LONGEST: usize = 256 << 20;

/// An auth-service that is asked over HTTP/1.1. No redirect is followed, and no proxy of the environment is asked.
pub(super) struct Source {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    address: Address,
}

/// A question.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    /// What is new since this cursor, or all.
    pub(super) after: Option<&'a str>,
    /// Unless it is still what this stands for.
    pub(super) etag: Option<&'a HeaderValue>,
    /// Whether the connection is left behind: who is at its other end has failed, and another one may be well.
    pub(super) is_last: bool,
}

/// What came back.
pub(super) struct Answer {
    pub(super) what: News,
    /// The time there, in seconds since 1970, if it was told.
    pub(super) date: Option<u64>,
}

/// What is new.
pub(super) enum News {
    /// 304: what was told at this address the last time is still all.
    Nothing,
    /// 200: a list, not yet read, and the `ETag` of the address it is from.
    List { body: Vec<u8>, etag: Option<HeaderValue> },
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("no request can be made of its cursor or ETag")]
    Request(#[from] http::Error),
    #[error("it cannot be reached")]
    Connection(#[from] legacy::Error),
    #[error("it is silent")]
    Silence(#[from] tokio::time::error::Elapsed),
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("its answer breaks off")]
    BrokenOff(#[from] hyper::Error),
    #[error("its answer is longer than 256 MiB")]
    TooLong,
    #[error("its answer is no list of revocations")]
    NoList(#[from] serde_json::Error),
    #[error("the process ends")]
    Ending(#[from] tokio::task::JoinError),
}

impl Source {
    /// # Errors
    /// The address is https, and no certificate of an authority can be had to prove it with.
    pub(super) fn at(address: Address) -> io::Result<Self> {
        let client = Client::builder(TokioExecutor::new()).build(connector(address.is_https())?);
        Ok(Self { client, address })
    }

    /// Asks, and hears the whole answer.
    pub(super) async fn ask(&self, question: Question<'_>) -> Result<Answer, Fault> {
        timeout(WHOLE_PATIENCE, self.exchange(question)).await?
    }

    async fn exchange(&self, Question { after, etag, is_last }: Question<'_>) -> Result<Answer, Fault> {
        let mut request = Request::get(self.address.since(after)).header(ACCEPT, "application/json");
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        if is_last {
            request = request.header(CONNECTION, "close");
        }
        let response = timeout(READ_PATIENCE, self.client.request(request.body(Empty::new())?)).await??;
        let date = date(response.headers());
        let what = match response.status() {
            StatusCode::OK => {
                let etag = response.headers().get(ETAG).cloned();
                News::List { body: whole(response.into_body()).await?, etag }
            }
            // Without an ETag nobody asked whether anything changed.
            StatusCode::NOT_MODIFIED if etag.is_some() => News::Nothing,
            status => return Err(Fault::Status(status)),
        };
        Ok(Answer { what, date })
    }
}

fn date(headers: &HeaderMap) -> Option<u64> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    Some(date.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

/// All of the body. One that ends before its `Content-Length` or its last chunk is an error.
async fn whole(mut body: Incoming) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    if body.size_hint().lower() > LONGEST as u64 {
        return Err(Fault::TooLong);
    }
    while let Some(frame) = timeout(READ_PATIENCE, body.frame()).await? {
        let Ok(data) = frame?.into_data() else { continue };
        if bytes.len() + data.len() > LONGEST {
            return Err(Fault::TooLong);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// Trusts whom the system trusts, or `SSL_CERT_FILE`. Where nothing is encrypted, nobody need be trusted: a container
/// without certificates will do.
fn connector(is_https: bool) -> io::Result<HttpsConnector<HttpConnector>> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT_PATIENCE));
    let builder = HttpsConnectorBuilder::new();
    let builder = if is_https {
        builder.with_provider_and_native_roots(ring::default_provider())?
    } else {
        builder.with_tls_config(trusting_nobody()?)
    };
    Ok(builder.https_or_http().enable_http1().wrap_connector(http))
}

fn trusting_nobody() -> io::Result<ClientConfig> {
    let config = ClientConfig::builder_with_provider(ring::default_provider().into());
    let config = config.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    Ok(config.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}
