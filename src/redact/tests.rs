//! One planted secret a kind, what must stay, and what holds for every text.

use super::*;
use proptest::prelude::*;

mod places;

/// Secrets are joined from pieces, so that no scanner of repositories takes this file for a leak.
fn secret(pieces: &[&str]) -> String {
    pieces.concat()
}

/// One secret of each form, with the kind it is found as.
fn planted() -> Vec<(Kind, String)> {
    let aws = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzz1234567";
    vec![
        (Kind::OpenaiKey, secret(&["sk-", "proj-abcDEF123_456-ghiJKL789mnoPQR"])),
        (Kind::OpenaiKey, secret(&["sk-", "svcacct-abcDEF123456ghiJKL789mnoPQR"])),
        (Kind::OpenaiKey, secret(&["sk-", "Zm9vYmFyQmF6UXV4MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0"])),
        (Kind::AnthropicKey, secret(&["sk-ant-", "api03-AbC123_dEf-456GhI789jKl012MnO345pQr"])),
        (Kind::GoogleKey, secret(&["AIza", "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q"])),
        (Kind::GoogleKey, secret(&["GOCSPX-", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4"])),
        (Kind::AwsAccessKey, secret(&["AKIA", "IOSFODNN7EXAMPL2"])),
        (Kind::AwsAccessKey, secret(&["ASIA", "Y34FZKBOKMUTVV7A"])),
        (Kind::AwsSecretKey, secret(&["aws_secret_access_key = ", aws])),
        (Kind::GithubToken, secret(&["ghp_", "16C7e42F292c6912E7710c838347Ae178B4a"])),
        (Kind::GithubToken, secret(&["gho_", "16C7e42F292c6912E7710c838347Ae178B4a"])),
        (Kind::GithubToken, secret(&["github_pat_", "11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz0123456789ABCDEF"])),
        (Kind::GitlabToken, secret(&["glpat-", "AbCdEf1234567890xyZ-"])),
        (Kind::SlackToken, secret(&["xoxb-", "123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx"])),
        (
            Kind::SlackToken,
            secret(&["https://hooks.slack.com/services/", "T00000001/B00000002/AbCdEfGhIjKlMnOpQrStUvWx"]),
        ),
        (Kind::StripeKey, secret(&["sk_live_", "4eC39HqLyjWDarjtT1zdp7dc"])),
        (Kind::StripeKey, secret(&["rk_test_", "4eC39HqLyjWDarjtT1zdp7dc"])),
        (Kind::NpmToken, secret(&["npm_", "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"])),
        (Kind::PypiToken, secret(&["pypi-", "AgEIcHlwaS5vcmcCJDNhYjEyMzQ1LTY3ODktYWJjZC1lZjAx"])),
        (Kind::HuggingfaceToken, secret(&["hf_", "AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGh"])),
        (Kind::SendgridKey, secret(&["SG.", "AbCdEfGhIjKlMnOpQrStUv.WxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01"])),
        (Kind::TwilioKey, secret(&["AC", "0123456789abcdef0123456789abcdef"])),
        (Kind::TwilioKey, secret(&["SK", "fedcba9876543210fedcba9876543210"])),
        (
            Kind::AzureKey,
            secret(&[
                "DefaultEndpointsProtocol=https;AccountName=store;AccountKey=",
                "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
            ]),
        ),
        (Kind::ApiKey, secret(&["gsk_", "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfGhIjKlMnOp"])),
        (Kind::Authorization, secret(&["Authorization: Bearer ", "abc123DEF456ghi789JKL"])),
        (Kind::Authorization, secret(&["-H 'authorization: Basic ", "YWxpY2U6aHVudGVyMg=='"])),
        (
            Kind::Jwt,
            secret(&[
                "eyJ",
                "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
            ]),
        ),
        (Kind::UrlCredentials, secret(&["postgres://app:", "s3cr3t-Pa55@db.corp.net:5432/main"])),
        (Kind::UrlCredentials, secret(&["https://", "0123456789abcdef0123456789abcdef01234567@git.corp.net/a.git"])),
        (Kind::Password, secret(&["password=", "hunter2"])),
        (Kind::Password, secret(&["PGPASSWORD=", "Tr0ub4dor&3 psql"])),
        (Kind::Password, secret(&["\"db_password\": \"", "p@ss(w0rd)\""])),
        (Kind::Password, secret(&["curl -s -u alice:", "hunter2x https://a.b"])),
        (Kind::Password, secret(&["the password is ", "hunter2x."])),
        (Kind::Secret, secret(&["api_key = \"", "9f8e7d6c5b4a39281706f5e4d3c2b1a0\""])),
        (Kind::Secret, secret(&["X-Api-Key: ", "Zx81LmQw0vRt55yy"])),
        (Kind::Secret, secret(&["{\\\"client_secret\\\": \\\"", "Zx81LmQw0vRt55yy\\\"}"])),
        (Kind::Secret, secret(&["--auth-token ", "Zx81LmQw0vRt55yy --verbose"])),
        (Kind::Secret, secret(&["<token>", "Zx81LmQw0vRt55yy</token>"])),
        (Kind::Email, "Jane.Doe+work@mail.corp.co.uk".to_owned()),
        (Kind::Email, "jane%40corp.dev".to_owned()),
        (Kind::User, "/home/jdoe/src/main.rs".to_owned()),
        (Kind::User, "/Users/jane.doe".to_owned()),
        (Kind::User, "C:\\Users\\Jane Doe\\src".to_owned()),
        (Kind::User, "c:\\\\users\\\\jdoe\\\\src".to_owned()),
        (Kind::User, "/mnt/c/Users/jdoe/x".to_owned()),
        (Kind::User, "~/.claude/projects/-Users-jdoe-src/a.jsonl".to_owned()),
        (Kind::User, "file:///home/jdoe/x".to_owned()),
        (Kind::PrivateKey, pem("\n")),
        (Kind::PrivateKey, pem("\\n")),
    ]
}

/// What of a planted text must not be left: the secret itself, without the words around it.
fn core(kind: Kind, text: &str) -> String {
    let longest = |pattern: &str| {
        let found = regex::Regex::new(pattern).unwrap();
        found.find_iter(text).map(|found| found.as_str()).max_by_key(|piece| piece.len()).unwrap().to_owned()
    };
    match kind {
        Kind::User => longest("jdoe|jane.doe|Jane Doe"),
        Kind::Password => longest(r"hunter2x?|Tr0ub4dor&3|p@ss\(w0rd\)"),
        Kind::UrlCredentials => longest("s3cr3t-Pa55|[0-9a-f]{40}"),
        Kind::Email => text.to_owned(),
        _ => longest(r"[A-Za-z0-9+/=_.-]{11,}"),
    }
}

fn pem(end: &str) -> String {
    let lines = [
        secret(&["-----BEGIN RSA ", "PRIVATE KEY-----"]),
        "MIIEowIBAAKCAQEAwJalrXUtnFEMIK7MDENGbPxRfiCYzzz1234567AbCdEfGhIj".to_owned(),
        "KlMnOpQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz0123456789ab".to_owned(),
        "c3RvcA==".to_owned(),
        secret(&["-----END RSA ", "PRIVATE KEY-----"]),
    ];
    lines.join(end)
}

/// The texts as one session would have them redacted.
fn redacted(texts: &[&str]) -> (Vec<String>, Redactions) {
    let mut texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    let redactions = redact_texts(&mut texts.iter_mut().collect::<Vec<_>>());
    (texts, redactions)
}

fn one(text: &str) -> String {
    redacted(&[text]).0.remove(0)
}

#[test]
fn every_kind_is_found_alone_in_a_sentence_in_json_and_in_a_listing() {
    for (kind, text) in planted() {
        let json = serde_json::Value::from(format!("first line\n{text}\nlast line")).to_string();
        for around in [
            text.clone(),
            format!("Look: {text} !"),
            format!("  12→{text}\n  13→x"),
            format!("\u{1b}[32m{text}\u{1b}[0m"),
            json,
        ] {
            // In JSON the separators of a path are escaped once more.
            let core = core(kind, &text);
            let (after, counts) = redacted(&[&around]);
            assert!(!after[0].contains(&core), "{kind}: {around}\n{}", after[0]);
            assert!(counts.0.contains_key(&kind), "{kind}: {around}\n{counts}\n{}", after[0]);
        }
    }
}

#[test]
fn what_only_looks_like_a_secret_stays() {
    let image =
        format!("data:image/png;base64,{}==", "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ+/AKIA0123".repeat(40));
    for text in [
        "commit 3f2a9c1b7d8e6f5a4c3b2d1e0f9a8b7c6d5e4f3a",
        "session 550e8400-e29b-41d4-a716-446655440000",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "\"integrity\": \"sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==\"",
        &image,
        "react@18.2.0 @types/node@^20.1.1 icon@2x.png foo@bar.service jquery@3.6.0.min.js",
        "user@example.com, a@b.example.org, noreply@anthropic.com, git@github.com:o/r.git",
        "@app.route(\"/\")\n@pytest.fixture",
        "\\n@app.route(\\\"/\\\")\\n@pytest.fixture",
        "/home/ /home /Users/ /home/* /home/$USER /home/<name> /home/${USER}/x /home/user/x /Users/runner/work ~/src",
        "src/home/index.ts app/Users/list https://a.dev/home/about ./home/x import '../home/page'",
        "token = tokens.next(); password = get_password(); secret: string; api_key=os.environ[\"API_KEY\"]",
        "password: str, token: ${{ secrets.TOKEN }}, api_key=YOUR_API_KEY_GOES_HERE_12, pwd=/srv/app1/bin",
        "max_tokens: 4096, input_tokens=12345, \"next_page_token\": \"CAUQAA1b2c3d4e5f6\"",
        "Authorization: Bearer $TOKEN, Bearer <token>, bearer authentication, Bearer ${API_KEY}",
        "sk-learn-something-else-entirely task-0123456789abcdefghij risk-assessment-2024-01-02-final",
        "sk-xxxxxxxxxxxxxxxxxxxxxxxx ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "if text.startswith(\"-----BEGIN PRIVATE KEY-----\"): pass",
        "docker run -u 1000:1000, git push -u origin main, http://localhost:8080/a@b, 10:30@noon",
        "PASSWORD = kSecAccessControlApplicationPassword; AccessToken: WBEM_128BITS, verify_credentials: alljoyn_authlistener_verifycredentialsasync_ptr, SQLITE_AUTH_TOKEN => ErrorCode::AuthorizationForStatementDenied",
        "--allow-fs-read=/home/.gitignore /home/node_modules/bar.js",
        "npm_config_registry hf_hub_download version 1.2.3-rc.4+build.5 pypi-publish-action",
        "postgres://user:password@localhost/db https://git:$TOKEN@host/x",
    ] {
        let (after, counts) = redacted(&[text]);
        assert_eq!(after[0], text, "{counts}");
    }
}

#[test]
fn a_value_has_one_placeholder_in_the_whole_session() {
    let token = secret(&["ghp_", "16C7e42F292c6912E7710c838347Ae178B4a"]);
    let other = secret(&["ghp_", "99C7e42F292c6912E7710c838347Ae178B4a"]);
    let (after, counts) = redacted(&[
        "echo Zx81LmQw0vRt55yy > f",
        &format!("{token} and {other}"),
        &format!("https://x-access-token:{token}@github.com/o/r and GH_TOKEN={token}"),
        "API_KEY=Zx81LmQw0vRt55yy",
        "/home/jane.doe/a /Users/bob/b -home-jane-doe-a -Users-bob-b /srv/img/home/bob/x",
    ]);
    assert_eq!(after[0], "echo [REDACTED:secret:1] > f");
    assert_eq!(after[1], "[REDACTED:github_token:1] and [REDACTED:github_token:2]");
    let url = "https://x-access-token:[REDACTED:github_token:1]@github.com/o/r and GH_TOKEN=[REDACTED:github_token:1]";
    assert_eq!(after[2], url);
    assert_eq!(after[3], "API_KEY=[REDACTED:secret:1]");
    assert_eq!(
        after[4],
        "/home/[USER:1]/a /Users/[USER:2]/b -home-[USER:1]-a -Users-[USER:2]-b /srv/img/home/[USER:2]/x"
    );
    assert_eq!(counts.to_string(), "5 user names, 4 GitHub tokens, 2 other secrets");
}

#[test]
fn a_user_of_a_url_is_not_looked_for_elsewhere() {
    let after = one("postgres://postgres:s3cr3tPa55@db/x and docker run postgres, then s3cr3tPa55");
    assert_eq!(
        after,
        "postgres://[REDACTED:url_credentials:1]:[REDACTED:url_credentials:2]@db/x and docker run postgres, then [REDACTED:url_credentials:2]"
    );
}

#[test]
fn a_key_block_is_found_whole_escaped_numbered_and_cut_at_either_end() {
    let whole = pem("\n");
    let lines: Vec<&str> = whole.lines().collect();
    let numbered: String = lines.iter().enumerate().map(|(at, line)| format!("    {}→{line}\n", at + 1)).collect();
    let commented: String = lines.iter().map(|line| format!("  \"{line}\\n\" +\n")).collect();
    let without_end = format!("key:\n{}\n{}\n[… 3 lines left out]\nmore words", lines[0], lines[1]);
    let without_start = format!("… {}\n{}\n{}\nmore words", lines[2], lines[3], lines[4]);
    let removed: String = lines[..3].iter().map(|line| format!("- {line}\n")).collect::<String>() + "…";
    let escaped = [pem("\\n"), pem("\\\\n"), pem("\r\n")];
    let cut = [&whole, &numbered, &commented, &removed, &without_end, &without_start];
    for text in escaped.iter().chain(cut) {
        let (after, counts) = redacted(&[text]);
        assert!(lines[1..4].iter().all(|line| !after[0].contains(line)), "{text}\n\n{}", after[0]);
        assert_eq!(counts.0.get(&Kind::PrivateKey), Some(&1), "{}", after[0]);
    }
    assert!(one(&without_end).ends_with("[… 3 lines left out]\nmore words"));
    assert!(one(&without_start).ends_with("\nmore words"));
    // A line of a key that is shown in whole elsewhere.
    let (after, _) = redacted(&[&whole, &format!("grep found {}", lines[1])]);
    assert_eq!(after[1], "grep found [REDACTED:private_key:1]");
}

#[test]
fn hidden_characters_do_not_hide_a_secret() {
    let token = secret(&["ghp_16C7e42F292c", "\u{200b}", "6912E7710c838347Ae178B4a"]);
    assert_eq!(one(&token), "[REDACTED:github_token:1]");
    let coloured = secret(&["ghp_16C7e42F292c", "\u{1b}[1m", "6912E7710c838347Ae178B4a"]);
    assert_eq!(one(&coloured), "[REDACTED:github_token:1]");
}

#[test]
fn placeholders_that_are_there_keep_their_numbers() {
    assert_eq!(
        one("[REDACTED:email:3] wrote to jane@corp.dev of /home/[USER:2] and /home/jdoe"),
        "[REDACTED:email:3] wrote to [REDACTED:email:4] of /home/[USER:2] and /home/[USER:3]"
    );
}

#[test]
fn long_texts_of_near_misses_take_no_more_than_linear_time() {
    // Each of these would take minutes if a scan began anew at every position.
    for piece in [
        "@",
        "a@",
        "a.",
        "://",
        "://a:",
        "password=",
        "token: ",
        "/home/",
        "-----BEGIN PRIVATE KEY-----",
        "eyJ",
        "\\",
        "A",
        "sk-",
        "AKIA",
    ] {
        let text = piece.repeat(150_000 / piece.len());
        let begun = std::time::Instant::now();
        one(&text);
        assert!(begun.elapsed().as_secs() < 20, "{piece}: {:?}", begun.elapsed());
    }
}

fn any_text() -> impl Strategy<Value = String> {
    let secrets: Vec<String> = planted().into_iter().map(|(_, text)| text).collect();
    let words = [
        "[REDACTED:email:1]",
        "[USER:1]",
        "REDACTED",
        "password=",
        "api_key: \"",
        "\"",
        "@",
        "://",
        ":",
        "/home/",
        "\\n",
        "\n",
        " ",
        "-home-",
        "Authorization: Bearer ",
        "a1b2c3d4e5f6",
        "é",
        "\u{1b}[0m",
        "C:\\Users\\",
        "=",
        "%40",
        ".com",
        "x",
        "/",
        "-----END PRIVATE KEY-----",
    ];
    let piece = prop_oneof![
        3 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned),
        2 => proptest::sample::select(secrets),
        1 => any::<String>(),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_second_run_changes_nothing(texts in proptest::collection::vec(any_text(), 1..4)) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (first, _) = redacted(&texts);
        let again: Vec<&str> = first.iter().map(String::as_str).collect();
        let (second, counts) = redacted(&again);
        prop_assert_eq!(&first, &second, "{}", counts);
    }

    #[test]
    fn a_planted_secret_is_never_left(before in any::<String>(), after in any::<String>(), at in 0..planted().len()) {
        let (kind, text) = planted().swap_remove(at);
        let core = core(kind, &text);
        prop_assume!(!before.contains(&core) && !after.contains(&core));
        let whole = format!("{before}\n{text}\n{after}");
        prop_assert!(!one(&whole).contains(&core), "{}", one(&whole));
    }
}
