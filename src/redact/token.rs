//! Finds secrets that are known by their form: keys and tokens of providers, JSON web tokens, credentials in URLs and headers.
//!
//! One set of all patterns tells which of them occur in a text; only those are then looked for one by one.

use super::Kind;
use super::span::Span;
use regex::{Regex, RegexSet, RegexSetBuilder};
use std::sync::LazyLock;

/// What may stand before a token whose beginning could also be the end of another word: a boundary, or an escape (`\n`, `\u003c`, `%3D`,
/// a colour whose escape character is gone), whose last letter would hide the boundary.
const EDGE: &str = r"(?:(?-u:\b)|\\[nrtbf]|\\u[0-9a-fA-F]{4}|%[0-9A-Fa-f]{2}|\[[0-9;]{1,8}m)";

/// A pattern whose groups are the secrets.
struct Rule {
    kind: Kind,
    pattern: &'static str,
    /// Whether a token of a known form is nevertheless none.
    except: fn(&str) -> bool,
}

const fn rule(kind: Kind, pattern: &'static str) -> Rule {
    Rule { kind, pattern, except: is_blank }
}

/// In order of how sure they are. `EDGE` stands for the pattern of that name.
static RULES: &[Rule] = &[
    rule(Kind::Jwt, r"EDGE(eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?)"),
    rule(Kind::AnthropicKey, r"(sk-ant-[A-Za-z0-9_-]{16,})"),
    rule(Kind::ApiKey, r"EDGE(sk-or-(?:v1-)?[A-Za-z0-9]{20,})"),
    rule(Kind::OpenaiKey, r"EDGE(sk-(?:proj|svcacct|admin|service|None)-[A-Za-z0-9_-]{16,})"),
    Rule { kind: Kind::OpenaiKey, pattern: r"EDGE(sk-[A-Za-z0-9]{20,})", except: is_word },
    rule(Kind::GoogleKey, r"EDGE(AIza[A-Za-z0-9_-]{35})"),
    rule(Kind::GoogleKey, r"(GOCSPX-[A-Za-z0-9_-]{20,})"),
    rule(Kind::GoogleKey, r"EDGE(ya29\.[A-Za-z0-9_-]{20,})"),
    rule(Kind::GoogleKey, r"EDGE(1//0[A-Za-z0-9_-]{30,})"),
    rule(Kind::AwsAccessKey, r"EDGE((?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16})(?-u:\b)"),
    // The secret beside its id, as the console's file and a paste have it.
    rule(
        Kind::AwsSecretKey,
        r#"(?:AKIA|ASIA)[A-Z0-9]{16}(?:[\s,;:|"']|\\n){1,6}([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)"#,
    ),
    rule(
        Kind::AwsSecretKey,
        r#"(?i:secret_?access_?key|aws_?secret_?key|aws_?secret)["'`\\]{0,4}\s{0,8}(?:=>|[=:])\s{0,8}["'`\\]{0,4}([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)"#,
    ),
    rule(
        Kind::AwsSecretKey,
        r#"(?i:session_?token|security_?token)["'`\\]{0,4}\s{0,8}(?:=>|[=:])\s{0,8}["'`\\]{0,4}((?:IQoJ|FwoG|FQoG)[A-Za-z0-9/+=]{60,})"#,
    ),
    rule(Kind::GithubToken, r"(gh[pousr]_[A-Za-z0-9]{20,})"),
    rule(Kind::GithubToken, r"(github_pat_[A-Za-z0-9_]{20,})"),
    rule(
        Kind::GitlabToken,
        r"(gl(?:pat|dt|rt|ptt|ft|soat|cbt|imt|agent|oas|ffct)-[A-Za-z0-9_-]{20,}(?:\.[0-9a-z]{2}\.[0-9a-z]{7,})?)",
    ),
    rule(Kind::SlackToken, r"(xox[abceoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,})"),
    rule(Kind::SlackToken, r"(xapp-[0-9]-[A-Z0-9]{6,}-[A-Za-z0-9-]{10,})"),
    rule(Kind::SlackToken, r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9/_-]{20,})"),
    rule(Kind::StripeKey, r"((?:sk|rk)_(?:live|test)_[A-Za-z0-9]{10,})"),
    rule(Kind::StripeKey, r"EDGE(whsec_[A-Za-z0-9+/=]{20,})"),
    rule(Kind::NpmToken, r"EDGE(npm_[A-Za-z0-9]{36,})"),
    rule(Kind::PypiToken, r"(pypi-AgE[A-Za-z0-9_-]{16,})"),
    rule(Kind::HuggingfaceToken, r"EDGE((?:hf|api_org)_[A-Za-z0-9]{30,})"),
    rule(Kind::SendgridKey, r"EDGE(SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,})"),
    rule(Kind::TwilioKey, r"EDGE((?:AC|SK)[0-9a-f]{32})(?-u:\b)"),
    rule(Kind::AzureKey, r"(?i:AccountKey|SharedAccessKey|account_key)\s{0,4}=\s{0,4}([A-Za-z0-9+/]{40,}={0,2})"),
    rule(Kind::AzureKey, r"[?&;]sig=([A-Za-z0-9%+/=_-]{30,})"),
    rule(Kind::AzureKey, r"EDGE([A-Za-z0-9_~.-]{3}8Q~[A-Za-z0-9_~.-]{31,34})"),
    rule(Kind::ApiKey, r"EDGE(gsk_[A-Za-z0-9]{40,})"),
    rule(Kind::ApiKey, r"EDGE((?:xai|pplx|tvly|fc|nvapi|csk|ark)-[A-Za-z0-9_-]{32,})"),
    rule(Kind::ApiKey, r"EDGE(r8_[A-Za-z0-9]{37,})"),
    rule(Kind::ApiKey, r"EDGE(do[opr]_v1_[a-f0-9]{64})"),
    rule(Kind::ApiKey, r"EDGE(shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32})"),
    rule(Kind::ApiKey, r"EDGE(dapi[a-f0-9]{32})(?-u:\b)"),
    rule(
        Kind::ApiKey,
        r"EDGE((?:lin_api|ntn|sbp|sntryu|glsa|glc|dckr_pat|dckr_oat|figd|pscale_tkn|re)_[A-Za-z0-9_-]{30,})",
    ),
    rule(Kind::ApiKey, r"EDGE(sntrys_eyJ[A-Za-z0-9_=+/-]{20,})"),
    rule(Kind::ApiKey, r"EDGE((?:hvs|hvb|dp\.(?:pt|st|ct|sa))\.[A-Za-z0-9_-]{24,})"),
    rule(Kind::ApiKey, r"EDGE([A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,})"),
    rule(Kind::ApiKey, r"EDGE(NRAK-[A-Z0-9]{27}|PMAK-[a-f0-9]{24}-[a-f0-9]{34})"),
    rule(Kind::ApiKey, r"EDGE(key-[0-9a-f]{32})(?-u:\b)"),
    rule(Kind::ApiKey, r"EDGE(AGE-SECRET-KEY-1[0-9A-Z]{50,})"),
    // A Telegram bot.
    rule(Kind::ApiKey, r"EDGE([0-9]{8,10}:AA[A-Za-z0-9_-]{33})(?-u:\b)"),
    rule(Kind::ApiKey, r"discord(?:app)?\.com/api/webhooks/[0-9]{10,}/([A-Za-z0-9_-]{30,})"),
    Rule {
        kind: Kind::Authorization,
        pattern: r#"(?i:authorization)["'`\\]{0,4}\s{0,4}[:=,]\s{0,4}(?:["'`\\]|f["']){0,4}(?i:bearer|basic|token|bot|apikey|digest)\s{1,4}([A-Za-z0-9._~+/=:-]{6,})"#,
        except: is_prose,
    },
    Rule { kind: Kind::Authorization, pattern: r"EDGE(?i:bearer)\s{1,4}([A-Za-z0-9._~+/=-]{16,})", except: is_prose },
    Rule {
        kind: Kind::UrlCredentials,
        pattern: r#"://([^\s/:@\[\]{}<>$"'`\\()|]{0,200}):([^\s/@"'`\\<>{}$|]{1,300})@[A-Za-z0-9\[%.-]"#,
        except: is_placeholder,
    },
    // `https://TOKEN@host`: long and mixed, else it is a name.
    Rule { kind: Kind::UrlCredentials, pattern: r"://([A-Za-z0-9_-]{20,200})@[A-Za-z0-9]", except: is_prose },
    Rule {
        kind: Kind::Password,
        pattern: r#"EDGEcurl\s[^\n|;]{0,200}?\s(?:-u|--user)[\s=]{1,2}["'\\]{0,2}[^\s:"'\\$]{1,64}:([^\s"'\\$]{3,128})"#,
        except: is_number,
    },
    // `mysql -pSECRET`, `sshpass -p SECRET`.
    Rule {
        kind: Kind::Password,
        pattern: r#"EDGE(?:sshpass\s{1,4}-p\s{0,4}|mysql(?:dump|admin)?\s[^\n|;]{0,100}?\s-p)["'\\]{0,2}([^\s"'\\$-][^\s"'\\$]{2,128})"#,
        except: is_number,
    },
];

/// What the set may remember of its way through texts, a thread; with the default it forgets and begins anew all the time.
const CACHE_BYTES: usize = 16 << 20;

struct Rules {
    all: RegexSet,
    /// Made when first needed: most sessions hold few kinds of secrets, and none should wait for all patterns.
    each: Vec<LazyLock<Regex, Box<dyn Fn() -> Regex + Send>>>,
}

static COMPILED: LazyLock<Rules> = LazyLock::new(|| {
    let patterns: Vec<String> = RULES.iter().map(|rule| rule.pattern.replace("EDGE", EDGE)).collect();
    Rules {
        all: RegexSetBuilder::new(&patterns).dfa_size_limit(CACHE_BYTES).build().expect("valid patterns"),
        each: patterns
            .into_iter()
            .map(|pattern| -> Box<dyn Fn() -> Regex + Send> {
                Box::new(move || Regex::new(&pattern).expect("a valid pattern"))
            })
            .map(LazyLock::new)
            .collect(),
    }
});

pub(super) fn find(text: &str, spans: &mut Vec<Span>) {
    for index in &COMPILED.all.matches(text) {
        let rule = &RULES[index];
        for found in COMPILED.each[index].captures_iter(text) {
            let groups = found.iter().skip(1).flatten().filter(|group| !group.is_empty());
            spans.extend(
                groups.filter(|group| !(rule.except)(group.as_str())).map(|group| Span::new(group.range(), rule.kind)),
            );
        }
    }
}

/// `sk-xxxxxxxx`, `ghp_****`: what documentation writes in place of a token.
fn is_blank(token: &str) -> bool {
    let body = token.rsplit(['_', '-', '.']).next().unwrap_or_default();
    !body.is_empty() && body.chars().all(|c| matches!(c, 'x' | 'X' | '0' | '.' | '*'))
}

/// `sk-` begins words of style sheets too; a key has digits or capitals.
fn is_word(token: &str) -> bool {
    is_blank(token) || token.chars().all(|c| c.is_ascii_lowercase() || c == '-')
}

/// `Bearer authentication`, `Bearer YOUR_API_TOKEN`.
fn is_prose(value: &str) -> bool {
    is_blank(value)
        || super::assignment::is_placeholder(value)
        || !value.bytes().any(|byte| byte.is_ascii_digit()) && super::assignment::is_wordy(value)
}

/// Names of a user or a password in documentation are no secrets, and neither are those that git itself uses beside a token.
fn is_placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    matches!(
        lower.as_str(),
        "user"
            | "username"
            | "pass"
            | "password"
            | "passwd"
            | "pwd"
            | "git"
            | "oauth2"
            | "x-access-token"
            | "x-oauth-basic"
            | "x-token-auth"
            | "token"
            | "secret"
            | "host"
            | "port"
            | "..."
    ) || super::assignment::is_placeholder(value)
}

/// `-u 1000:1000` is a user and a group.
fn is_number(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_digit()) || super::assignment::is_placeholder(value)
}
