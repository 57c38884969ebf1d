//! Who may ask the labelling server, for what, and what its answers say to a browser.

use crate::label_client::Server;
use crate::project::Project;
use std::path::Path;

#[test]
fn without_the_token_nothing_is_told() {
    let project = Project::new();
    let server = Server::start(&project, &["tone", "--rater", "ada"]);
    for path in ["/", "/api/task", "/api/units", "/api/units/0/material", "/assets/start.js", "/nothing"] {
        let reply = server.raw("GET", path, &[], "").with(401);
        assert!(reply.body.contains("open the address that the terminal shows") && reply.body.len() < 100, "{reply:?}");
    }
    for path in ["/open/", "/open/0", &server.path[..server.path.len() - 1], &format!("{}0", server.path)] {
        let reply = server.raw("GET", path, &[], "").with(403);
        assert!(!reply.head.contains("set-cookie"), "{reply:?}");
    }
    let other = server.cookie.replace('=', "=0");
    server.raw("GET", "/api/task", &[("Cookie", &other)], "").with(401);
    server.get("/api/task").with(200);
    let token = server.path.strip_prefix("/open/").unwrap();
    server.raw("GET", "/api/task", &[("X-Interrater-Token", token)], "").with(200);
    // Another server's token does not fit.
    let second = Server::start(&project, &["tone", "--rater", "bob"]);
    second.raw("GET", &server.path, &[], "").with(403);
    second.raw("GET", "/api/task", &[("Cookie", &server.cookie)], "").with(401);
}

#[test]
fn other_names_and_other_pages_are_refused() {
    let project = Project::new();
    let server = Server::start(&project, &["tone", "--rater", "ada"]);
    let cookie = ("Cookie", server.cookie.as_str());
    for host in ["evil.example", "evil.example:80", "10.0.0.1", "127.0.0.1.evil.example"] {
        server.raw("GET", "/api/task", &[cookie, ("Host", host)], "").with(421);
        server.raw("GET", &server.path, &[("Host", host)], "").with(421);
    }
    for origin in ["http://evil.example", "null", "https://localhost"] {
        server.raw("GET", "/api/task", &[cookie, ("Origin", origin)], "").with(403);
        let head = [cookie, ("Origin", origin), ("Content-Type", "application/json")];
        server.raw("POST", "/api/units/0/answer", &head, "{\"fields\":{\"label\":\"calm\"}}").with(403);
    }
    server.raw("GET", "/api/task", &[cookie, ("Sec-Fetch-Site", "cross-site")], "").with(403);
    // A form of another page has no JSON to send, and says whose it is; a request without either is none of the page's.
    server.raw("POST", "/api/undo", &[cookie], "").with(403);
    let own = format!("http://{}", server.host);
    let form = [cookie, ("Origin", own.as_str()), ("Content-Type", "text/plain")];
    server.raw("POST", "/api/units/0/answer", &form, "{\"fields\":{\"label\":\"calm\"}}").with(415);
    assert!(!project.path("gold/tone.csv").exists());
}

#[test]
fn every_answer_tells_the_browser_to_load_keep_and_frame_nothing() {
    let project = Project::new();
    let server = Server::start(&project, &["tone", "--rater", "ada"]);
    let replies = [
        server.raw("GET", &server.path, &[], "").with(200),
        server.get("/").with(200),
        server.get("/assets/start.js").with(200),
        server.get("/api/units/0/material").with(200),
        server.get("/nothing").with(404),
        server.raw("GET", "/api/task", &[], "").with(401),
    ];
    for reply in &replies {
        for wanted in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
        ] {
            assert!(reply.head.contains(wanted), "{wanted}: {}", reply.head);
        }
    }
    let cookie = replies[0].head.lines().find(|line| line.starts_with("set-cookie")).unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
}

#[test]
fn no_path_of_a_request_leads_to_a_file() {
    let project = Project::new();
    project.write("secret.txt", "zq-nobody-may-see-this");
    let server = Server::start(&project, &["tone", "--rater", "ada"]);
    for path in [
        "/assets/../secret.txt",
        "/assets/..%2fsecret.txt",
        "/assets/..%2f..%2fetc%2fpasswd",
        "/secret.txt",
        "/../secret.txt",
        "//secret.txt",
        "/api/units/..%2f..%2fsecret.txt/material",
        "/api/units/0/material/../../../../secret.txt",
        "/api/units/-1/material",
        "/api/units/99999999999999999999/material",
        "/api/units/codex:s0%231/material",
        "/assets/start.js%00.css",
    ] {
        let reply = server.get(path);
        assert!(matches!(reply.status, 400 | 404), "{path}: {reply:?}");
        assert!(!reply.body.contains("zq-nobody") && !reply.body.contains("root:"), "{path}: {reply:?}");
    }
}

#[test]
fn what_is_too_large_or_no_request_is_refused_and_the_server_goes_on() {
    let project = Project::new();
    let server = Server::start(&project, &["tone", "--rater", "ada"]);
    let own = format!("http://{}", server.host);
    let head = [("Cookie", server.cookie.as_str()), ("Origin", own.as_str()), ("Content-Type", "application/json")];
    let large = format!("{{\"fields\":{{\"label\":\"calm\"}},\"note\":\"{}\"}}", "x".repeat(600_000));
    server.raw("POST", "/api/units/0/answer", &head, &large).with(413);
    for body in
        ["", "[]", "{\"fields\":", "{\"fields\":{\"label\":\"calm\"},\"more\":1}", "{\"fields\":{},\"seconds\":\"x\"}"]
    {
        let reply = server.raw("POST", "/api/units/0/answer", &head, body);
        assert!(matches!(reply.status, 400 | 422), "{body}: {reply:?}");
    }
    server.raw("DELETE", "/api/units/0", &head, "").with(405);
    assert_eq!(server.states()[0], "todo");
    server.label(0, "calm", "");
}

#[test]
fn the_scripts_never_make_markup_of_text_and_ask_nobody_else() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/page/assets");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for never in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "DOMParser",
            "srcdoc",
        ] {
            assert!(!text.contains(never), "{}: {never}", path.display());
        }
        let addresses = text.matches("http").count() - text.matches("http://www.w3.org/2000/svg").count();
        assert_eq!(addresses, 0, "{}", path.display());
        seen += 1;
    }
    assert!(seen > 10);
}
