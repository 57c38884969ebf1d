//! Tests of the client against small servers on this machine.

use super::*;
use crate::llm::batch::{Call, Payload};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A server that reads a whole request and lets `answer` do the rest; gives its address and what it read.
async fn serve<F>(answer: impl Fn(TcpStream) -> F + Send + 'static) -> (String, tokio::sync::mpsc::Receiver<String>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, read) = tokio::sync::mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut text = String::new();
            let mut buffer = [0; 4096];
            while !text.ends_with("}") {
                match stream.read(&mut buffer).await {
                    Ok(read) if read > 0 => text.push_str(&String::from_utf8_lossy(&buffer[..read])),
                    _ => break,
                }
            }
            drop(seen.try_send(text));
            tokio::spawn(answer(stream));
        }
    });
    (format!("http://{address}/v1/chat"), read)
}

/// A server that answers with these bytes and hangs up.
async fn serve_bytes(bytes: &'static [u8]) -> (String, tokio::sync::mpsc::Receiver<String>) {
    serve(move |mut stream| async move {
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
    })
    .await
}

fn request(url: &str) -> HttpRequest {
    HttpRequest {
        url: url.to_owned(),
        headers: vec![("content-type", "application/json".to_owned())],
        auth: ("authorization", "Bearer "),
        body: b"{\"a\":1}".to_vec(),
    }
}

async fn send(url: &str) -> Result<Answer, TransportError> {
    Client::new(Duration::from_millis(500)).send(&request(url), None).await
}

#[tokio::test]
async fn an_answer_comes_with_status_headers_and_body() {
    let (url, mut read) =
        serve_bytes(b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\n{}").await;
    let key = SecretString::from("sk-secret");
    let answer = Client::new(Duration::from_secs(5)).send(&request(&url), Some(&key)).await.unwrap();
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after").as_deref(), Some("7"));
    assert_eq!(answer.header("x-other"), None);
    assert_eq!(answer.body, b"{}");
    let sent = read.recv().await.unwrap().to_lowercase();
    assert!(sent.starts_with("post /v1/chat http/1.1\r\n"), "{sent}");
    assert!(sent.contains("\r\nauthorization: bearer sk-secret\r\n"), "{sent}");
    assert!(sent.contains(&format!("\r\nuser-agent: {USER_AGENT}\r\n")), "{sent}");
    assert!(sent.contains("\r\naccept-encoding: gzip\r\n"), "{sent}");
    assert!(sent.ends_with("\r\n\r\n{\"a\":1}"), "{sent}");
}

#[tokio::test]
async fn a_compressed_body_is_decompressed() {
    let (url, _) = serve_bytes(
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 31\r\n\r\n\
          \x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\xca\xcf\x56\xb2\x2a\x29\x2a\x4d\xad\x05\x00\x90\x5f\xd4\xa7\x0b\x00\x00\x00",
    )
    .await;
    assert_eq!(send(&url).await.unwrap().body, b"{\"ok\":true}");
}

#[tokio::test]
async fn a_garbled_compressed_body_is_a_lost_answer() {
    let (url, _) =
        serve_bytes(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 9\r\n\r\nnot gzip!").await;
    let error = send(&url).await.unwrap_err();
    assert!(matches!(error, TransportError::Lost { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_that_hangs_is_a_timeout() {
    let (url, _) = serve(|stream| async move {
        tokio::time::sleep(Duration::from_secs(30)).await;
        drop(stream);
    })
    .await;
    let error = send(&url).await.unwrap_err();
    assert!(matches!(error, TransportError::Timeout { .. }), "{error:?}");
    assert!(error.can_pass(false));
    let host = url.trim_start_matches("http://").trim_end_matches("/v1/chat");
    assert_eq!(error.to_string(), format!("no complete answer from {host} within 0.5 s"));
}

#[tokio::test]
async fn a_body_that_trickles_beyond_the_timeout_is_a_timeout() {
    let (url, _) = serve(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await.unwrap();
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let error = send(&url).await.unwrap_err();
    assert!(matches!(error, TransportError::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn a_connection_that_is_reset_is_a_lost_one() {
    let (url, _) = serve(|stream| async move {
        stream.set_zero_linger().unwrap();
        drop(stream);
    })
    .await;
    let error = send(&url).await.unwrap_err();
    assert!(matches!(error, TransportError::Lost { .. }), "{error:?}");
    assert!(error.can_pass(false));
}

#[tokio::test]
async fn a_body_that_is_cut_is_a_lost_answer() {
    for bytes in [
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"a\":".as_slice(),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"a\":",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"",
    ] {
        let (url, _) = serve_bytes(bytes).await;
        let error = send(&url).await.unwrap_err();
        assert!(matches!(error, TransportError::Lost { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_port_that_nobody_serves_is_told_as_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = send(&format!("http://{address}/v1")).await.unwrap_err();
    assert!(matches!(error, TransportError::Connect { .. }), "{error:?}");
    assert!(error.can_pass(false));
    assert!(error.to_string().starts_with(&format!("cannot connect to {address}: Connection refused")), "{error}");
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    let (url, _) = serve_bytes(
        b"HTTP/1.1 308 Permanent Redirect\r\nlocation: https://user:pw@example.com/v2?token=1\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    let error = send(&url).await.unwrap_err();
    assert!(error.to_string().contains(" redirects to https://example.com/v2 (status 308)"), "{error}");
    assert!(!error.can_pass(false));
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_not_read() {
    let mut client = Client::new(Duration::from_secs(5));
    client.body_limit = 10;
    for bytes in [
        b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n01234567890".as_slice(),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n",
    ] {
        let (url, _) = serve_bytes(bytes).await;
        let error = client.send(&request(&url), None).await.unwrap_err();
        assert!(matches!(error, TransportError::TooLarge { limit: 10, .. }), "{error:?}");
        assert!(error.can_pass(false));
    }
}

#[tokio::test]
async fn a_server_without_tls_cannot_be_asked_securely_at_any_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            // Held until the other side hangs up, so that it reads our words.
            drop(stream.read(&mut [0; 4096]).await);
            drop(stream.read(&mut [0; 4096]).await);
        }
    });
    let url = format!("https://{address}/v1");
    let error = Client::new(Duration::from_secs(5)).send(&request(&url), None).await.unwrap_err();
    // Without certificates of its own, a machine gets no further than the set-up.
    assert!(matches!(error, TransportError::Tls { .. } | TransportError::Setup { .. }), "{error:?}");
    assert!(!error.can_pass(false));
}

#[tokio::test]
async fn a_name_without_an_address_does_not_pass() {
    // Longer than a part of a name may be: the resolver needs no network to say no.
    let url = format!("http://{}.localhost/v1", "a".repeat(64));
    let error = Client::new(Duration::from_secs(5)).send(&request(&url), None).await.unwrap_err();
    assert!(matches!(error, TransportError::Dns { .. }), "{error:?}");
    assert!(!error.can_pass(false) && error.can_pass(true), "a name that was found may be found again");
}

#[tokio::test]
async fn an_address_that_is_none_is_told_without_its_secrets() {
    for (url, shown) in [
        ("no address", "`no address` is not an address to ask"),
        ("ftp://user:pw@example.com/x?key=1", "`ftp://example.com/x` is not an address to ask"),
        ("http://user:pw@[::x]/v1?key=1", "`[::x]/v1` is not an address to ask"),
    ] {
        let error = send(url).await.unwrap_err();
        assert!(error.to_string().contains(shown), "{error}");
        assert!(!error.to_string().contains("pw") && !error.to_string().contains("key"), "{error}");
        assert!(!error.can_pass(false));
    }
}

#[tokio::test]
async fn a_key_that_no_header_can_carry_is_told_without_showing_it() {
    let key = SecretString::from("sk-secret\n");
    let error =
        Client::new(Duration::from_secs(1)).send(&request("http://127.0.0.1:1/"), Some(&key)).await.unwrap_err();
    assert!(error.to_string().contains("`authorization`"), "{error}");
    assert!(!format!("{error} {error:?}").contains("sk-secret"), "{error:?}");
}

#[test]
fn the_key_is_marked_sensitive() {
    let request = request("http://127.0.0.1:1/");
    let headers = headers(&request.headers, request.auth, Some("sk-secret")).unwrap();
    assert!(headers["authorization"].is_sensitive());
    assert!(!format!("{headers:?}").contains("sk-secret"));
}

#[test]
fn clients_are_added_as_requests_in_flight_need_them() {
    let pool = Pool::new(Reach::Local);
    let lanes: Vec<Lane> = (0..STREAMS + 1).map(|_| pool.lane().unwrap()).collect();
    assert_eq!(pool.clients.lock().unwrap().len(), 2);
    drop(lanes);
    drop(pool.lane().unwrap());
    let clients = pool.clients.lock().unwrap();
    assert_eq!(clients.len(), 2);
    assert!(clients.iter().all(|(_, in_flight)| in_flight.load(Ordering::Relaxed) == 0));
}

#[test]
fn loopback_is_recognised_in_all_its_forms() {
    for (url, local) in [
        ("http://127.0.0.1:8000/v1", true),
        ("http://127.8.0.1/v1", true),
        ("http://[::1]:8000/v1", true),
        ("http://localhost/v1", true),
        ("http://api.localhost/v1", true),
        ("http://localhost.example.com/v1", false),
        ("http://10.0.0.1/v1", false),
    ] {
        assert_eq!(is_loopback(&Url::parse(url).unwrap()), local, "{url}");
    }
}

fn call(url: &str, payload: Payload) -> Call {
    Call { url: url.to_owned(), headers: Vec::new(), auth: ("authorization", "Bearer "), payload }
}

#[tokio::test]
async fn a_file_is_sent_between_other_bytes_and_the_server_is_told_how_long_it_is() {
    let (url, mut read) = serve_bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input.jsonl");
    let content = "0123456789abcdef".repeat(20_000);
    std::fs::write(&path, &content).unwrap();
    let payload = Payload::File { before: b"before:".to_vec(), path: path.clone(), after: b":after}".to_vec() };
    let client = Client::new(Duration::from_secs(5));
    let answer = client.call(&call(&url, payload.clone()), Some(&SecretString::from("sk-secret"))).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"{}"[..]));
    let text = read.recv().await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /v1/chat HTTP/1.1") && head.contains("authorization: Bearer sk-secret"), "{head}");
    assert!(head.contains(&format!("content-length: {}", content.len() + 14)), "{head}");
    assert_eq!(body, format!("before:{content}:after}}"));

    std::fs::remove_file(&path).unwrap();
    let gone = client.call(&call(&url, payload), None).await.unwrap_err();
    assert!(matches!(&gone, TransportError::File { .. }) && !gone.can_pass(true), "{gone}");
}

#[tokio::test]
async fn a_long_answer_comes_in_pieces_and_one_that_breaks_off_or_stands_still_is_told() {
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"a\"}";
    let (url, _read) = serve(move |mut stream| async move {
        stream.write_all(cut).await.unwrap();
        stream.shutdown().await.unwrap();
    })
    .await;
    let client = Client::new(Duration::from_millis(300));
    // The server of these tests waits for a body that ends so.
    let call = |url: &str| call(url, Payload::Bytes(b"{}".to_vec()));
    let mut download = client.download(&call(&url), None).await.unwrap().ok().unwrap();
    assert_eq!(download.piece().await.unwrap().unwrap(), &b"{\"a\"}"[..]);
    let lost = download.piece().await.unwrap_err();
    assert!(matches!(&lost, TransportError::Lost { .. }), "{lost}");

    let (url, _read) = serve(move |mut stream| async move {
        stream.write_all(cut).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let mut download = client.download(&call(&url), None).await.unwrap().ok().unwrap();
    assert!(download.piece().await.unwrap().is_some());
    let late = download.piece().await.unwrap_err();
    assert!(matches!(&late, TransportError::Timeout { .. }), "{late}");

    let (url, _read) = serve_bytes(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}").await;
    let answer = client.download(&call(&url), None).await.unwrap().err().unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (404, &b"{}"[..]));
}
