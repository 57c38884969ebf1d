//! Takes a transcript's first bytes; gives the thread of conversation that it holds, if Codex wrote it.

use super::super::{ReadReport, lines};
use crate::session::value::text_of;
use serde_json::{Map, Value};
use std::path::Path;

/// A thread of conversation. Codex writes one rollout file a thread; a subagent has a thread of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// The thread's id.
    pub id: String,
    /// The thread that started this one, if it is a subagent's.
    pub parent: Option<String>,
    /// Whether it is a subagent's: its "user" is another agent.
    pub subagent: bool,
}

/// How far the row is looked for that names the thread, in bytes.
const HEAD_BYTES: usize = 256 * 1024;

/// Types of rows that only a rollout has.
const ROW_TYPES: &[&str] = &[
    "session_meta",
    "turn_context",
    "response_item",
    "event_msg",
    "compacted",
    "inter_agent_communication",
    "world_state",
];

/// The thread in a file that begins with `head`; none if it is not a Codex rollout.
pub fn thread(head: &[u8], path: &Path) -> Option<Thread> {
    let head = &head[..head.len().min(HEAD_BYTES)];
    let mut found = Found::default();
    lines::for_each_record(head, &mut ReadReport::default(), &mut |text| {
        if found.thread.is_none() {
            found.look_at(&serde_json::from_str(text)?);
        }
        Ok(())
    });
    if let Some(thread) = found.thread {
        return Some(thread);
    }
    if let Some(id) = cut_meta_id(head) {
        return Some(Thread { id, parent: None, subagent: false });
    }
    // A slice of a rollout may begin behind the row that names the thread.
    found.is_rollout.then(|| Thread { id: id_from_path(path, head), parent: None, subagent: false })
}

#[derive(Default)]
struct Found {
    thread: Option<Thread>,
    is_rollout: bool,
}

impl Found {
    fn look_at(&mut self, record: &Map<String, Value>) {
        let kind = record.get("type").and_then(Value::as_str);
        let payload = record.get("payload").and_then(Value::as_object);
        if let (Some(kind), Some(payload)) = (kind, payload) {
            if ROW_TYPES.contains(&kind) {
                self.is_rollout = true;
            }
            if kind == "session_meta" {
                self.thread = thread_of(payload);
            }
        } else if is_bare_meta(record) {
            self.is_rollout = true;
            self.thread = thread_of(record);
        } else if is_bare_item(record) {
            self.is_rollout = true;
        }
    }
}

/// The first row of the oldest rollouts: the session's facts without a wrapper.
pub(super) fn is_bare_meta(record: &Map<String, Value>) -> bool {
    let has = |key| record.contains_key(key);
    !has("type") && has("id") && has("timestamp") && (has("instructions") || has("git"))
}

/// A row of the oldest rollouts: what was sent to and received from the model, without a wrapper.
pub(super) fn is_bare_item(record: &Map<String, Value>) -> bool {
    match record.get("type").and_then(Value::as_str) {
        Some("message") => {
            let part = record.get("content").and_then(|content| content.get(0)).and_then(|part| part.get("type"));
            record.contains_key("role")
                && matches!(part.and_then(Value::as_str), Some("input_text" | "output_text" | "input_image"))
        }
        Some("function_call") => record.contains_key("call_id") && record.contains_key("arguments"),
        Some("function_call_output" | "custom_tool_call" | "custom_tool_call_output") => record.contains_key("call_id"),
        Some("local_shell_call") => record.contains_key("action"),
        Some("reasoning") => record.contains_key("summary") && record.contains_key("encrypted_content"),
        _ => false,
    }
}

/// The thread that a `session_meta` names.
pub(super) fn thread_of(meta: &Map<String, Value>) -> Option<Thread> {
    let id = text_of(meta.get("id").or_else(|| meta.get("session_id")))?;
    let spawned = meta.get("source").and_then(|source| source.get("subagent"));
    let subagent = spawned.is_some() || meta.get("thread_source").and_then(Value::as_str) == Some("subagent");
    let parent = || {
        text_of(meta.get("parent_thread_id"))
            .or_else(|| text_of(spawned?.get("thread_spawn")?.get("parent_thread_id")))
            .or_else(|| text_of(meta.get("session_id")))
            .or_else(|| text_of(meta.get("forked_from_id")))
            .filter(|parent| *parent != id)
    };
    Some(Thread { parent: if subagent { parent() } else { None }, id, subagent })
}

/// The id in a first row that is longer than the head.
fn cut_meta_id(head: &[u8]) -> Option<String> {
    let start = String::from_utf8_lossy(&head[..head.len().min(4096)]);
    let (before, meta) = start.split_once(r#""session_meta""#)?;
    if before.contains('\n') || !before.trim_start_matches('\u{feff}').starts_with('{') {
        return None;
    }
    let (_, value) = meta.split_once(r#""id""#)?;
    let value = value.trim_start_matches([' ', ':']).strip_prefix('"')?;
    let (id, _) = value.split_once('"')?;
    (!id.is_empty()).then(|| id.to_owned())
}

/// An id for a slice that names none: from the file's name where it holds one, else also from the first line, so that longer
/// and shorter copies of a slice stay together and other files of the same name stay apart.
fn id_from_path(path: &Path, head: &[u8]) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    if let Some(uuid) = stem.get(stem.len().saturating_sub(36)..).filter(|tail| is_uuid(tail)) {
        return uuid.to_owned();
    }
    let first = head.split(|&byte| byte == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    let hash = blake3::hash(first).to_hex();
    format!("{stem}-{}", &hash[..8])
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
