//! Who may ask: whoever has the address with its token, from this page, by this machine's name. Takes a request's head, lets it pass or not.
//!
//! A page on this machine can be reached by every other page that a browser has open. So a request needs the token (or the cookie that the
//! address with the token gave), a `Host` that is this machine itself and not a name that somebody points at it, and the page's own
//! `Origin`. What goes out says that nothing from elsewhere may be loaded, run, framed or kept.

use super::refusal::Refusal;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use rand::Rng;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The header in which a program, rather than a browser, gives the token.
pub const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-interrater-token");

/// The page that the address with the token gives: a browser comes to the page itself from here, and not from elsewhere, so that the
/// cookie, which is for requests of this site only, goes along.
const OPENED: &str = "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=\"0;url=/\">\
                      <title>interrater</title><link rel=icon href=/assets/icon.svg><p><a href=\"/\">Open the page</a></html>";

const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                                       base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// What a request has to show.
#[derive(Debug)]
pub struct Guard {
    token: String,
    pass: String,
    cookie: String,
    /// Whether other machines may ask.
    is_open: bool,
}

impl Guard {
    /// A guard of a server at `address`, with a token of its own.
    pub fn new(address: SocketAddr) -> Guard {
        Guard {
            token: secret(),
            pass: secret(),
            // Cookies do not know ports: two raters on one machine would share one.
            cookie: format!("interrater-label-{}", address.port()),
            is_open: !address.ip().is_loopback(),
        }
    }

    /// The path that lets in.
    pub fn path(&self) -> String {
        format!("/open/{}", self.token)
    }

    fn is_own_host(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        // An address cannot be pointed elsewhere, as a name can.
        match address.parse::<IpAddr>() {
            Ok(ip) => self.is_open || ip.is_loopback(),
            Err(_) => name.eq_ignore_ascii_case("localhost"),
        }
    }

    /// Whether a request may pass.
    fn check(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<Passed, Refusal> {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let refuse = |status, message: &str| Err(Refusal::new(status, message));
        let Some(host) = text(header::HOST).filter(|host| self.is_own_host(host)) else {
            return refuse(StatusCode::MISDIRECTED_REQUEST, "this server is asked for by another name than its own");
        };
        let origin = text(header::ORIGIN);
        if headers.contains_key(header::ORIGIN)
            && origin.and_then(|origin| origin.strip_prefix("http://")) != Some(host)
        {
            return refuse(StatusCode::FORBIDDEN, "another page asks");
        }
        if let Some(token) = path.strip_prefix("/open/") {
            return match same(token, &self.token) && *method == Method::GET {
                true => Ok(Passed::ByAddress),
                false => {
                    refuse(StatusCode::FORBIDDEN, "this address is not, or no longer, the one that the terminal shows")
                }
            };
        }
        let site = text(HeaderName::from_static("sec-fetch-site"));
        if site.is_some_and(|site| site != "same-origin" && site != "none") {
            return refuse(StatusCode::FORBIDDEN, "another page asks");
        }
        if text(TOKEN_HEADER).is_some_and(|token| same(token, &self.token)) {
            return Ok(Passed::Known);
        }
        if !self.has_cookie(headers) {
            return refuse(StatusCode::UNAUTHORIZED, "open the address that the terminal shows");
        }
        if *method != Method::GET && origin.is_none() {
            return refuse(
                StatusCode::FORBIDDEN,
                "a request that changes something has to say which page it comes from",
            );
        }
        Ok(Passed::Known)
    }

    fn has_cookie(&self, headers: &HeaderMap) -> bool {
        let values = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.any(|(name, value)| name == self.cookie && same(value, &self.pass))
    }

    fn cookie(&self) -> String {
        format!("{}={}; HttpOnly; SameSite=Strict; Path=/", self.cookie, self.pass)
    }
}

/// How a request passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passed {
    /// By the address with the token: it gets the cookie.
    ByAddress,
    /// By cookie or header.
    Known,
}

/// Lets requests pass or not, and sees to the heads of all answers.
pub async fn stand(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let mut response = match guard.check(request.method(), request.uri().path(), request.headers()) {
        Err(refusal) => refusal.into_response(),
        Ok(Passed::ByAddress) => ([(header::SET_COOKIE, guard.cookie())], Html(OPENED)).into_response(),
        Ok(Passed::Known) => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// 128 random bits.
fn secret() -> String {
    let mut bytes = [0; 16];
    rand::rng().fill_bytes(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether two secrets are the same, in a time that does not tell how far they are.
fn same(given: &str, expected: &str) -> bool {
    given.len() == expected.len()
        && given.bytes().zip(expected.bytes()).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(guard: &Guard, method: Method, path: &str, head: &[(&str, &str)]) -> Result<Passed, StatusCode> {
        let mut headers = HeaderMap::new();
        for (name, value) in head {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        guard.check(&method, path, &headers).map_err(|refusal| refusal.into_response().status())
    }

    #[test]
    fn only_the_page_itself_passes() {
        let guard = Guard::new("127.0.0.1:4321".parse().unwrap());
        let cookie = format!("other=1; interrater-label-4321={}", guard.pass);
        let host = ("host", "127.0.0.1:4321");
        let own = ("origin", "http://127.0.0.1:4321");
        let get = |head: &[(&str, &str)]| asked(&guard, Method::GET, "/api/task", head);
        let post = |head: &[(&str, &str)]| asked(&guard, Method::POST, "/api/undo", head);
        assert_eq!(asked(&guard, Method::GET, &guard.path(), &[host]), Ok(Passed::ByAddress));
        assert_eq!(asked(&guard, Method::GET, "/open/0123", &[host]), Err(StatusCode::FORBIDDEN));
        assert_eq!(get(&[host]), Err(StatusCode::UNAUTHORIZED));
        assert_eq!(get(&[host, ("cookie", &cookie)]), Ok(Passed::Known));
        assert_eq!(get(&[host, ("cookie", &cookie.replace("4321=", "4322="))]), Err(StatusCode::UNAUTHORIZED));
        assert_eq!(get(&[host, ("x-interrater-token", &guard.token)]), Ok(Passed::Known));
        assert_eq!(get(&[host, ("x-interrater-token", &guard.pass)]), Err(StatusCode::UNAUTHORIZED));
        // Names that somebody points at this machine.
        for name in ["evil.example:4321", "127.0.0.1.evil.example", "192.168.1.5:4321", "", "localhost.evil:4321"] {
            assert_eq!(get(&[("host", name), ("cookie", &cookie)]), Err(StatusCode::MISDIRECTED_REQUEST), "{name}");
        }
        // Forwarded ports have other numbers.
        for name in ["localhost:9000", "LOCALHOST", "[::1]:4321", "127.0.0.1"] {
            assert_eq!(get(&[("host", name), ("cookie", &cookie)]), Ok(Passed::Known), "{name}");
        }
        for origin in ["http://evil.example", "http://127.0.0.1:1234", "https://127.0.0.1:4321", "null"] {
            let head = [host, ("cookie", cookie.as_str()), ("origin", origin)];
            assert_eq!(get(&head), Err(StatusCode::FORBIDDEN), "{origin}");
            assert_eq!(post(&head), Err(StatusCode::FORBIDDEN), "{origin}");
        }
        let site = |site| get(&[host, ("cookie", &cookie), ("sec-fetch-site", site)]);
        assert_eq!((site("same-origin"), site("same-site")), (Ok(Passed::Known), Err(StatusCode::FORBIDDEN)));
        assert_eq!(post(&[host, ("cookie", &cookie)]), Err(StatusCode::FORBIDDEN));
        assert_eq!(post(&[host, ("cookie", &cookie), own]), Ok(Passed::Known));
        assert_eq!(post(&[host, ("x-interrater-token", &guard.token)]), Ok(Passed::Known));
    }

    #[test]
    fn a_server_for_other_machines_takes_addresses_and_no_names() {
        let guard = Guard::new("0.0.0.0:4321".parse().unwrap());
        let get = |name: &str| asked(&guard, Method::GET, &guard.path(), &[("host", name)]);
        assert_eq!((get("192.168.1.5:4321"), get("[fe80::1]:4321")), (Ok(Passed::ByAddress), Ok(Passed::ByAddress)));
        assert_eq!(get("evil.example:4321"), Err(StatusCode::MISDIRECTED_REQUEST));
    }

    #[test]
    fn every_server_has_secrets_of_its_own() {
        let [a, b] = [(); 2].map(|()| Guard::new("127.0.0.1:1".parse().unwrap()));
        assert!(a.token != b.token && a.pass != b.pass && a.token != a.pass && a.token.len() == 32);
    }
}
