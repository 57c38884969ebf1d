//! Calls beside questions: files are read while they are sent, and long answers are handed on while they come.

use super::{Answer, Client, TransportError, address, classify, exposed, headers, host, is_local, redirect};
use crate::llm::batch::{Call, Payload};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use reqwest::Method;
use secrecy::SecretString;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// A line slower than this is taken to be dead.
const LEAST_BYTES_A_SECOND: u64 = 64 * 1024;

/// As much of a file is read at once.
const PIECE: usize = 64 * 1024;

/// An answer that comes in pieces. Its status is 200.
pub struct Download {
    host: String,
    limit: Duration,
    response: reqwest::Response,
}

impl Download {
    /// The next piece; `None` after the last. A body that ends before its end is an error.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, TransportError> {
        match tokio::time::timeout(self.limit, self.response.chunk()).await {
            Ok(piece) => piece.map_err(|error| classify(&self.host, &error)),
            Err(_) => Err(TransportError::Timeout { host: self.host.clone(), limit: self.limit }),
        }
    }
}

impl Client {
    /// Makes a call once. Any status but a redirect is an [`Answer`]. What is sent may take the longer the larger it is.
    pub async fn call(&self, call: &Call, key: Option<&SecretString>) -> Result<Answer, TransportError> {
        let limit = self.timeout + Duration::from_secs(length(&call.payload) / LEAST_BYTES_A_SECOND);
        let started = Instant::now();
        let exchange = async {
            let response = self.begin(call, key).await?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let body = self.read(&host(&address(&call.url)?), response).await?;
            Ok(Answer { status, headers, body, elapsed: started.elapsed() })
        };
        match tokio::time::timeout(limit, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(TransportError::Timeout { host: host(&address(&call.url)?), limit }),
        }
    }

    /// Makes a call whose answer may be long. Any status but 200 is an [`Answer`].
    pub async fn download(
        &self,
        call: &Call,
        key: Option<&SecretString>,
    ) -> Result<Result<Download, Answer>, TransportError> {
        let host = host(&address(&call.url)?);
        let started = Instant::now();
        let begin = async {
            let response = self.begin(call, key).await?;
            if response.status().as_u16() == 200 {
                return Ok(Ok(Download { host: host.clone(), limit: self.timeout, response }));
            }
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let body = self.read(&host, response).await?;
            Ok(Err(Answer { status, headers, body, elapsed: started.elapsed() }))
        };
        match tokio::time::timeout(self.timeout, begin).await {
            Ok(outcome) => outcome,
            Err(_) => Err(TransportError::Timeout { host: host.clone(), limit: self.timeout }),
        }
    }

    async fn begin(&self, call: &Call, key: Option<&SecretString>) -> Result<reqwest::Response, TransportError> {
        let url = address(&call.url)?;
        let host = host(&url);
        let headers = headers(&call.headers, call.auth, key.map(exposed))?;
        let pool = if is_local(&url) { &self.local } else { &self.remote };
        let lane = pool.lane()?;
        let method = if call.payload == Payload::None { Method::GET } else { Method::POST };
        let request = lane.client.request(method, url.clone()).headers(headers);
        let request = match &call.payload {
            Payload::None => request,
            Payload::Bytes(bytes) => request.body(bytes.clone()),
            Payload::File { before, path, after } => {
                let body = FileBody::open(before, path, after)
                    .map_err(|error| TransportError::File { path: path.clone(), reason: error.to_string() })?;
                request.body(reqwest::Body::wrap(body))
            }
        };
        let response = request.send().await.map_err(|error| classify(&host, &error))?;
        match redirect(&url, response.status(), response.headers()) {
            Some(target) => Err(TransportError::Redirect { host, status: response.status().as_u16(), target }),
            None => Ok(response),
        }
    }
}

/// Bytes that are sent, as far as the file can be seen.
fn length(payload: &Payload) -> u64 {
    match payload {
        Payload::None => 0,
        Payload::Bytes(bytes) => bytes.len() as u64,
        Payload::File { path, .. } => std::fs::metadata(path).map_or(0, |file| file.len()),
    }
}

/// A file between other bytes, read piece by piece. Its length is known beforehand, so that the server can be told.
struct FileBody {
    before: Bytes,
    file: File,
    left: u64,
    after: Bytes,
}

impl FileBody {
    fn open(before: &[u8], path: &Path, after: &[u8]) -> io::Result<FileBody> {
        let file = File::open(path)?;
        let left = file.metadata()?.len();
        Ok(FileBody { before: before.to_vec().into(), file, left, after: after.to_vec().into() })
    }

    fn next(&mut self) -> Option<io::Result<Bytes>> {
        if !self.before.is_empty() {
            return Some(Ok(std::mem::take(&mut self.before)));
        }
        if self.left > 0 {
            let mut piece = vec![0; PIECE.min(usize::try_from(self.left).unwrap_or(PIECE))];
            let read = match self.file.read(&mut piece) {
                Ok(0) => return Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file got shorter"))),
                Ok(read) => read,
                Err(error) => return Some(Err(error)),
            };
            piece.truncate(read);
            self.left -= read as u64;
            return Some(Ok(piece.into()));
        }
        let after = std::mem::take(&mut self.after);
        (!after.is_empty()).then_some(Ok(after))
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        // Reading a local file in small pieces holds nobody up for long.
        Poll::Ready(self.next().map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.before.is_empty() && self.left == 0 && self.after.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.before.len() as u64 + self.left + self.after.len() as u64)
    }
}
