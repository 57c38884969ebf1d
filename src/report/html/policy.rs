//! What the page may do: nothing but its own style sheet and its own script, which a browser knows by their hashes (Content Security Policy 3).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::digest::{SHA256, digest};

/// The policy for a page with this style sheet and this script. No image, font, frame, form or connection is allowed.
pub fn policy(style: &str, script: &str) -> String {
    format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
        source(style),
        source(script)
    )
}

fn source(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(digest(&SHA256, text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_known_by_its_hash() {
        // `printf "alert('Hello, world.');" | openssl sha256 -binary | openssl base64`, as in the specification.
        assert_eq!(source("alert('Hello, world.');"), "sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng=");
        assert!(policy("a", "b").starts_with("default-src 'none'; style-src 'sha256-"));
    }
}
