//! The same story of every agent is the same session: nothing after the readers has to ask which agent it was.

use crate::project::Project;
use crate::story::{self, FIRST, LAST, STEERING};
use interrater::corpus;
use interrater::session::{EventBody, Session, ToolCategory};
use serde_json::{Value, json};

#[test]
fn the_same_story_is_the_same_session_whoever_tells_it() {
    let project = Project::empty();
    for telling in story::all() {
        let place = telling.name.replace(' ', "-");
        telling.write(&project, &place, &telling.records());
        let ran = project.ok(&["sessions", "--json", &place]);
        let sessions: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(sessions.len(), 1, "{}: {}", telling.name, ran.out);
        let session = &sessions[0];
        assert_eq!(session["id"], telling.id, "{}", telling.name);
        for (key, value) in telling.says.as_object().expect("what is said") {
            assert_eq!(session[key], *value, "{} of {}", key, telling.name);
        }
        let read = &session["read"];
        assert_eq!(
            (&read["repaired"], &read["bad"], &read["unknown"]),
            (&json!(0), &json!(0), &json!({})),
            "{}",
            telling.name
        );
        assert!(!ran.err.contains("skipped"), "{}: {}", telling.name, ran.err);
    }
}

/// What happens in the story, in order; a format may lack some of it.
const EVENTS: [&str; 12] = [
    "prompt",
    "reply",
    "call",
    "result",
    "prompt",
    "call",
    "result",
    "interruption",
    "compaction",
    "prompt",
    "call",
    "result",
];

/// The kinds of a session's events; what clients inject differs.
fn events(session: &Session) -> Vec<&'static str> {
    let kinds = session.events.iter().filter_map(|event| match event.body {
        EventBody::Prompt(_) => Some("prompt"),
        EventBody::Reply { .. } => Some("reply"),
        EventBody::ToolCall(_) => Some("call"),
        EventBody::ToolResult(_) => Some("result"),
        EventBody::Interruption { .. } => Some("interruption"),
        EventBody::Compaction { .. } => Some("compaction"),
        EventBody::Injected { .. } => None,
        EventBody::Rewind { .. } => Some("rewind"),
        EventBody::Commit { .. } => Some("commit"),
        EventBody::ClientError { .. } => Some("client error"),
    });
    kinds.collect()
}

#[test]
fn what_happens_is_told_in_one_order_and_in_the_same_words() {
    let project = Project::empty();
    for telling in story::all() {
        let place = telling.name.replace(' ', "-");
        telling.write(&project, &place, &telling.records());
        let corpus = corpus::find(&[project.path(&place)]).expect("there is a session");
        let session = corpus::read(&corpus.sources()[0]).expect("the session can be read");
        let mut story = EVENTS.iter();
        let told = events(&session);
        assert!(told.iter().all(|kind| story.any(|other| other == kind)), "{}: {told:?}", telling.name);
        let prompts: Vec<&str> = session.prompts().map(|(_, prompt)| prompt.text.trim()).collect();
        assert_eq!(prompts, [FIRST, STEERING, LAST], "{}", telling.name);
        let calls: Vec<(u32, ToolCategory)> =
            session.tool_calls().map(|(event, call)| (event.number, call.category)).collect();
        let categories: Vec<ToolCategory> = calls.iter().map(|(_, category)| *category).collect();
        assert_eq!(categories, [ToolCategory::Verify, ToolCategory::Edit, ToolCategory::Research], "{}", telling.name);
        // Each result is that of the last call before it.
        for event in &session.events {
            if let EventBody::ToolResult(result) = &event.body {
                let last = calls.iter().rev().find(|(call, _)| *call < event.number).map(|(call, _)| *call);
                assert_eq!(result.call, last, "{}", telling.name);
            }
        }
    }
}
