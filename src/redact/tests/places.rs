//! Every text of a session, and nothing else of it.

use super::*;
use crate::session::{Agent, Channel, InjectedSource, SessionBuilder, ToolCategory, ToolOutcome};

#[test]
fn every_text_of_a_session_is_redacted_and_its_ids_stay() {
    let token = secret(&["ghp_", "16C7e42F292c6912E7710c838347Ae178B4a"]);
    let mut builder = SessionBuilder::new(Agent::Codex, "the-id", "/home/jdoe/rollout.jsonl".into());
    builder.model(&format!("model-{token}"));
    builder.prompt(None, Channel::Typed, format!("prompt {token}"), 0);
    builder.reply(None, format!("reply {token}"));
    let call = builder.tool_call(None, &format!("tool-{token}"), ToolCategory::Shell, format!("input {token}"));
    builder.tool_result(None, Some(call), ToolOutcome::Ok, format!("result {token}"));
    builder.injected(None, InjectedSource::Hook, format!("injected {token}"));
    for body in [
        EventBody::Compaction { summary: format!("summary {token}") },
        EventBody::Commit { hash: format!("hash {token}"), subject: format!("subject {token}") },
        EventBody::ClientError { text: format!("error {token}") },
    ] {
        builder.push(None, body);
    }
    let mut session = builder.finish();
    let before = session.clone();
    let counts = redact(&mut session);
    assert_eq!(counts.0, BTreeMap::from([(Kind::GithubToken, 11)]));
    assert!(!format!("{session:?}").contains(&token));
    assert_eq!((&session.id, &session.path, session.events.len()), (&before.id, &before.path, before.events.len()));
    assert_eq!(session.models, ["model-[REDACTED:github_token:1]"]);
}
