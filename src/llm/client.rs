//! Moves bytes: takes an [`HttpRequest`], gives the server's answer whatever its status, or says why none came.
//!
//! One call is one attempt. When to ask ([`super::pace`]) and whether again ([`super::retry`]) is decided elsewhere, from what is told here.

mod transfer;

pub use transfer::Download;

use super::HttpRequest;
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{StatusCode, Url};
use rustls::CertificateError;
use secrecy::{ExposeSecret, SecretString};
use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Requests that share one connection: HTTP/2 servers allow about 100 at once, and what is beyond waits unseen.
const STREAMS: usize = 80;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// No answer of ours is near it, and hundreds of endless ones at once still fit into memory.
const BODY_LIMIT: usize = 8 << 20;
const USUAL_BODY: usize = 64 << 10;
const USER_AGENT: &str = concat!("interrater/", env!("CARGO_PKG_VERSION"));

/// What a server answered, with whatever status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status; never a redirect.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Vec<u8>,
    /// From sending to the last byte.
    pub elapsed: Duration,
}

impl Answer {
    /// A header by its lower-case name, in the form that an adapter looks it up; `None` also where it is not text.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name)?.to_str().ok().map(str::to_owned)
    }
}

/// Why no answer came. Messages name the host, never the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The attempt took too long.
    #[error("no complete answer from {host} within {} s", limit.as_secs_f64())]
    Timeout {
        /// Who was asked.
        host: String,
        /// The limit of the attempt.
        limit: Duration,
    },
    /// No connection: refused, unreachable, too slow.
    #[error("cannot connect to {host}: {reason}")]
    Connect {
        /// Who was asked.
        host: String,
        /// What the system says.
        reason: String,
    },
    /// The host's name has no address.
    #[error("cannot find the address of {host}: {reason}")]
    Dns {
        /// Who was asked.
        host: String,
        /// What the resolver says.
        reason: String,
    },
    /// No secure connection: a certificate that is not trusted, or a server that does not speak TLS.
    #[error("cannot make a secure connection to {host}: {reason}")]
    Tls {
        /// Who was asked.
        host: String,
        /// What is wrong.
        reason: String,
    },
    /// The connection ended before the answer did, or its bytes made no sense.
    #[error("the connection to {host} was lost: {reason}")]
    Lost {
        /// Who was asked.
        host: String,
        /// What happened.
        reason: String,
    },
    /// The body is larger than any answer to a question of ours.
    #[error("the answer of {host} is larger than {limit} bytes")]
    TooLarge {
        /// Who was asked.
        host: String,
        /// How many bytes are read at most.
        limit: usize,
    },
    /// The server sends us elsewhere. Not followed: a key is meant for the host that was named.
    #[error("{host} redirects to {target} (status {status}): set the base URL to where the service really is")]
    Redirect {
        /// Who was asked.
        host: String,
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// Where it points, without its query.
        target: String,
    },
    /// The address cannot be asked.
    #[error("`{url}` is not an address to ask: {reason}")]
    Address {
        /// The address, without user, password and query.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A header cannot be sent.
    #[error("the header `{name}` cannot be sent: its value holds characters that no header can carry")]
    Header {
        /// Its name.
        name: String,
    },
    /// A file that is to be sent cannot be read.
    #[error("cannot read {} to send it: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The HTTP client cannot be set up.
    #[error("cannot set up the HTTP client: {reason}")]
    Setup {
        /// What is wrong.
        reason: String,
    },
}

impl TransportError {
    /// Whether the request may have reached a server that charges for it.
    pub fn may_be_billed(&self) -> bool {
        match self {
            TransportError::Timeout { .. } | TransportError::Lost { .. } | TransportError::TooLarge { .. } => true,
            TransportError::Connect { .. }
            | TransportError::Dns { .. }
            | TransportError::Tls { .. }
            | TransportError::Redirect { .. }
            | TransportError::Address { .. }
            | TransportError::Header { .. }
            | TransportError::File { .. }
            | TransportError::Setup { .. } => false,
        }
    }

    /// Whether the same request may succeed a little later. `was_reached` says whether this host has answered before.
    ///
    /// Names of hosts and certificates are as wrong in a minute as they are now, unless they were right: then it is the network that has
    /// changed, and it may change again. Addresses are what they are.
    pub fn can_pass(&self, was_reached: bool) -> bool {
        match self {
            TransportError::Timeout { .. }
            | TransportError::Connect { .. }
            | TransportError::Lost { .. }
            | TransportError::TooLarge { .. } => true,
            TransportError::Dns { .. } | TransportError::Tls { .. } => was_reached,
            TransportError::Redirect { .. }
            | TransportError::Address { .. }
            | TransportError::Header { .. }
            | TransportError::File { .. }
            | TransportError::Setup { .. } => false,
        }
    }
}

/// Sends requests. Connections are kept and shared; there are as many as the requests in flight need.
#[derive(Debug)]
pub struct Client {
    timeout: Duration,
    body_limit: usize,
    /// For plain HTTP to this machine: no proxy and no certificates, so a local server works everywhere and at once.
    local: Pool,
    remote: Pool,
}

impl Client {
    /// A client whose every attempt, from connecting to the last byte, may take `timeout`.
    pub fn new(timeout: Duration) -> Client {
        Client { timeout, body_limit: BODY_LIMIT, local: Pool::new(Reach::Local), remote: Pool::new(Reach::Remote) }
    }

    /// Asks once. Any status but a redirect is an [`Answer`].
    pub async fn send(&self, request: &HttpRequest, key: Option<&SecretString>) -> Result<Answer, TransportError> {
        let url = address(&request.url)?;
        let host = host(&url);
        let headers = headers(&request.headers, request.auth, key.map(exposed))?;
        let pool = if is_local(&url) { &self.local } else { &self.remote };
        let lane = pool.lane()?;
        let started = Instant::now();
        let sending = lane.client.post(url.clone()).headers(headers).body(request.body.clone()).send();
        let exchange = async {
            let response = sending.await.map_err(|error| classify(&host, &error))?;
            if let Some(target) = redirect(&url, response.status(), response.headers()) {
                return Err(TransportError::Redirect {
                    host: host.clone(),
                    status: response.status().as_u16(),
                    target,
                });
            }
            let status = response.status().as_u16();
            let headers = response.headers().clone();
            let body = self.read(&host, response).await?;
            Ok(Answer { status, headers, body, elapsed: started.elapsed() })
        };
        // Around all of it: name, connection, headers and a body that trickles.
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(TransportError::Timeout { host: host.clone(), limit: self.timeout }),
        }
    }

    async fn read(&self, host: &str, mut response: reqwest::Response) -> Result<Vec<u8>, TransportError> {
        let too_large = || TransportError::TooLarge { host: host.to_owned(), limit: self.body_limit };
        let told = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if told.is_some_and(|length: usize| length > self.body_limit) {
            return Err(too_large());
        }
        // No more than most answers need: what is told need not come.
        let mut body = Vec::with_capacity(told.unwrap_or(0).min(USUAL_BODY));
        while let Some(chunk) = response.chunk().await.map_err(|error| classify(host, &error))? {
            // What was told may be missing, and is the compressed length otherwise.
            if body.len() + chunk.len() > self.body_limit {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Clients of one kind, each with connections of its own.
#[derive(Debug)]
struct Pool {
    reach: Reach,
    clients: Mutex<Vec<(reqwest::Client, Arc<AtomicUsize>)>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Local,
    Remote,
}

/// A client for one request; counts as in flight until it is dropped.
struct Lane {
    client: reqwest::Client,
    in_flight: Arc<AtomicUsize>,
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    fn new(reach: Reach) -> Pool {
        Pool { reach, clients: Mutex::new(Vec::new()) }
    }

    /// The client with the least to do, or one more where all have enough.
    fn lane(&self) -> Result<Lane, TransportError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let free = clients
            .iter()
            .min_by_key(|(_, in_flight)| in_flight.load(Ordering::Relaxed))
            .filter(|(_, in_flight)| in_flight.load(Ordering::Relaxed) < STREAMS)
            .cloned();
        let (client, in_flight) = match free {
            Some(free) => free,
            None => {
                let made = (self.reach.client()?, Arc::default());
                clients.push(made.clone());
                made
            }
        };
        in_flight.fetch_add(1, Ordering::Relaxed);
        Ok(Lane { client, in_flight })
    }
}

impl Reach {
    fn client(self) -> Result<reqwest::Client, TransportError> {
        static PROVIDER: Once = Once::new();
        // Fails where the program has installed a provider already: that one serves as well.
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .http2_keep_alive_timeout(KEEP_ALIVE)
            .redirect(reqwest::redirect::Policy::none());
        let builder = match self {
            Reach::Local => builder.no_proxy().tls_certs_only([]),
            Reach::Remote => builder,
        };
        builder.build().map_err(|error| TransportError::Setup { reason: innermost(&error) })
    }
}

fn address(text: &str) -> Result<Url, TransportError> {
    let fail = |url: String, reason: String| TransportError::Address { url, reason };
    let url = Url::parse(text).map_err(|error| {
        let rest = text.split('?').next().and_then(|rest| rest.rsplit('@').next());
        fail(rest.unwrap_or_default().to_owned(), error.to_string())
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(fail(public(&url), "neither http nor https".to_owned()));
    }
    Ok(url)
}

/// An address without what may be secret in it.
fn public(url: &Url) -> String {
    format!("{}://{}{}", url.scheme(), host(url), url.path())
}

fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

/// Whether what is sent to this address stays on this machine: plain HTTP to the loopback, which never goes through a proxy. A name that
/// is not `localhost` itself is somebody else's word for where it leads.
pub fn stays_here(address: &str) -> bool {
    Url::parse(address).is_ok_and(|url| is_local(&url) && !host(&url).contains(".localhost"))
}

fn is_local(url: &Url) -> bool {
    url.scheme() == "http" && is_loopback(url)
}

fn is_loopback(url: &Url) -> bool {
    let name = url.host_str().unwrap_or_default();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => name == "localhost" || name.ends_with(".localhost"),
    }
}

fn exposed(key: &SecretString) -> &str {
    key.expose_secret()
}

fn headers(
    plain: &[(&'static str, String)],
    (auth, prefix): (&'static str, &'static str),
    key: Option<&str>,
) -> Result<HeaderMap, TransportError> {
    let mut headers = HeaderMap::new();
    let mut insert = |name: &str, value: &str, secret: bool| {
        let fail = || TransportError::Header { name: name.to_owned() };
        let mut value = HeaderValue::from_str(value).map_err(|_| fail())?;
        value.set_sensitive(secret);
        headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| fail())?, value);
        Ok(())
    };
    for (name, value) in plain {
        insert(name, value, false)?;
    }
    if let Some(key) = key {
        insert(auth, &format!("{prefix}{key}"), true)?;
    }
    Ok(headers)
}

fn redirect(url: &Url, status: StatusCode, headers: &HeaderMap) -> Option<String> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = headers.get(LOCATION).and_then(|location| location.to_str().ok());
    Some(match location.map(|location| url.join(location)) {
        Some(Ok(target)) => public(&target),
        Some(Err(_)) | None => "an unreadable address".to_owned(),
    })
}

/// What a failure means, told by the first error of its chain that says anything.
fn classify(host: &str, error: &reqwest::Error) -> TransportError {
    let host = host.to_owned();
    let reason = innermost(error);
    if error.is_builder() {
        return TransportError::Address { url: host, reason };
    }
    if error.is_dns() {
        return TransportError::Dns { host, reason };
    }
    if let Some(error) = chain(error).find_map(|error| error.downcast_ref::<rustls::Error>()) {
        return TransportError::Tls { host, reason: insecure(error) };
    }
    if error.is_connect() {
        // A server that hangs up amid the first words, as one does that restarts, is lost rather than absent; either may pass.
        let timeout = error.is_timeout();
        let reason = if timeout { format!("no connection within {} s", CONNECT_TIMEOUT.as_secs()) } else { reason };
        return TransportError::Connect { host, reason };
    }
    TransportError::Lost { host, reason }
}

/// Why there is no secure connection, and what can be done about the usual cases.
fn insecure(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(why) => {
            let way_out = match why {
                CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                    "; if it is your own, name a file with the certificate that vouches for it in SSL_CERT_FILE"
                }
                CertificateError::NotValidYetContext { .. } | CertificateError::ExpiredContext { .. } => {
                    "; is this machine's clock right?"
                }
                _ => "",
            };
            format!("its certificate is not accepted ({}){way_out}", words_of(why))
        }
        rustls::Error::InvalidMessage(_) => {
            format!("it does not speak TLS there ({error}); is its base URL one with http:// ?")
        }
        other => other.to_string(),
    }
}

/// A fault of a certificate. The usual ones are named in code alone.
fn words_of(why: &CertificateError) -> String {
    match why {
        // The second is another issuer of the same name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "nobody whom this machine trusts has issued it".to_owned()
        }
        other => other.to_string(),
    }
}

/// The errors of a chain, those included that an I/O error wraps and does not name as its source.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

/// The last error of a chain: the outer ones only say what was tried.
fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests;
