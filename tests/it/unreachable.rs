//! Servers that cannot be reached, or not safely: names without an address, ports without a listener, certificates that nobody trusts.

use crate::context::{Context, Ended, KEY, assert_whole};
use crate::fake::{Fake, Provider};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A server with a certificate of its own for this machine's address. It passes what it can read on to another server.
struct Tls {
    address: SocketAddr,
    /// Its certificate, as a file.
    certificate: String,
    /// Connections on which a request could be read.
    read: Arc<AtomicUsize>,
}

impl Tls {
    fn start(behind: SocketAddr) -> Tls {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (config, read) = (Arc::new(config), Arc::new(AtomicUsize::new(0)));
        let counted = read.clone();
        // Ends with the test's process.
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let (config, counted) = (config.clone(), counted.clone());
                // What is wrong with a connection is for its other side to tell.
                std::thread::spawn(move || drop(pass_on(stream, config, behind, &counted)));
            }
        });
        Tls { address, certificate: cert.pem(), read }
    }
}

/// Passes one request on, and its answer back.
fn pass_on(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    behind: SocketAddr,
    read: &AtomicUsize,
) -> std::io::Result<()> {
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut secure = rustls::StreamOwned::new(connection, stream);
    let mut request = Vec::new();
    let mut buffer = [0; 65_536];
    loop {
        let count = secure.read(&mut buffer)?;
        request.extend_from_slice(&buffer[..count]);
        let Some(head) = request.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if count == 0 || request.len() >= head + 4 + length.unwrap_or(0) {
            break;
        }
    }
    read.fetch_add(1, Ordering::SeqCst);
    let text = String::from_utf8_lossy(&request).replacen("\r\n", "\r\nconnection: close\r\n", 1);
    let mut plain = TcpStream::connect(behind)?;
    plain.write_all(text.as_bytes())?;
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer)?;
    secure.write_all(&answer)?;
    secure.conn.send_close_notify();
    secure.flush()
}

fn address_of(fake: &Fake) -> SocketAddr {
    fake.base_url(Provider::Gemini).trim_start_matches("http://").parse().unwrap()
}

fn annotate(context: &Context, url: &str) -> Ended {
    context.run(&["annotate", "--model", "openai/some-model", "--base-url", url])
}

/// That the run ended soon with one error, which says this, and one way out.
fn ends_soon(context: &Context, url: &str, said: &str) {
    let begun = Instant::now();
    let ended = annotate(context, url).with(2);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    let errors = ended.lines("error: stopped: ");
    assert!(errors.len() == 1 && context.filtered(errors[0]).contains(said), "{said}: {}", ended.stderr);
    assert_eq!((ended.lines("error").len(), ended.lines("hint").len()), (1, 1), "{}", ended.stderr);
    assert!(!ended.stderr.contains(KEY), "{}", ended.stderr);
    assert!(context.rows("mood").is_empty());
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_named_and_the_key_is_not_sent() {
    let fake = Fake::start();
    let (server, other) = (Tls::start(address_of(&fake)), Tls::start(address_of(&fake)));
    let context = Context::with_sessions(1, 3).set("OPENAI_API_KEY", KEY);
    let file = context.path().join("trusted.pem").display().to_string();
    let context = context.set("SSL_CERT_FILE", &file);
    context.write("trusted.pem", &other.certificate);
    let url = format!("https://{}/v1", server.address);
    let said = "cannot make a secure connection to [SERVER]: its certificate is not accepted (nobody whom this machine trusts has \
                issued it); if it is your own, name a file with the certificate that vouches for it in SSL_CERT_FILE";
    ends_soon(&context, &url, said);
    assert_eq!((server.read.load(Ordering::SeqCst), fake.asked()), (0, 0));

    // The way out that it tells.
    context.write("trusted.pem", &server.certificate);
    annotate(&context, &url).with(0);
    assert_whole(&context.rows("mood"), 1, 3);
    assert!(server.read.load(Ordering::SeqCst) >= 3);

    // A certificate for another name.
    let named = format!("https://localhost:{}/v1", server.address.port());
    let ended = annotate(&context, &named);
    // Where `localhost` has no such address, that is what is told.
    assert!(ended.stderr.contains("certificate not valid for name") || ended.stderr.contains("cannot "), "{ended:?}");
}

#[test]
fn a_server_that_speaks_no_tls_is_told_from_one_with_a_bad_certificate() {
    let fake = Fake::start();
    let context = Context::with_sessions(1, 3).set("OPENAI_API_KEY", KEY);
    let file = context.path().join("trusted.pem").display().to_string();
    let context = context.set("SSL_CERT_FILE", &file);
    context.write("trusted.pem", &Tls::start(address_of(&fake)).certificate);
    let url = fake.base_url(Provider::OpenAi).replace("http:", "https:");
    ends_soon(&context, &url, "it does not speak TLS there (");
    ends_soon(&context, &url, "; is its base URL one with http:// ?");
    assert_eq!(fake.asked(), 0);
}

#[test]
fn a_name_without_an_address_is_told_at_once() {
    let context = Context::with_sessions(1, 3).set("OPENAI_API_KEY", KEY);
    // Longer than a part of a name may be: the resolver needs no network to say no.
    let name = format!("{}.invalid", "a".repeat(64));
    ends_soon(&context, &format!("http://{name}/v1"), &format!("cannot find the address of {name}: "));
}

#[test]
fn a_port_without_a_listener_is_told_soon_for_every_provider() {
    for (name, variable) in
        [("openai", "OPENAI_API_KEY"), ("anthropic", "ANTHROPIC_API_KEY"), ("gemini", "GEMINI_API_KEY")]
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let context = Context::with_sessions(2, 20).set(variable, KEY);
        let model = format!("{name}/some-model");
        let ended = context.run(&["annotate", "--model", &model, "--base-url", &url]).with(2);
        let errors = ended.lines("error: stopped: cannot connect to 127.0.0.1:");
        assert!(errors.len() == 1 && errors[0].contains("refused"), "{}", ended.stderr);
        assert!(context.rows("mood").is_empty());
    }
}
