//! Takes what Entire writes beside a transcript (`metadata.json` of a session and of its checkpoint); gives a [`Checkpoint`].
//!
//! A checkpoint is made when the human commits. It holds the transcript so far, how many of the commit's lines are the agent's, and what
//! the tokens since the last checkpoint were. A session has as many as there were commits while it ran.

use super::value::{number_of, text_of, time_of};
use crate::usage::Usage;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

type Object = Map<String, Value>;

/// What was recorded of a session when its human committed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Checkpoint {
    /// The checkpoint's id: 12 hexadecimal digits or a ULID. Other sessions may have a part in the same checkpoint.
    pub id: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// The branch that was committed to.
    pub branch: Option<String>,
    /// The version of Entire that made it.
    pub cli_version: Option<String>,
    /// Files that the session changed.
    pub files_touched: Vec<String>,
    /// Whose lines the commit holds.
    pub attribution: Option<Attribution>,
    /// Tokens of the main agent since the last checkpoint, as far as they were known when the checkpoint was made: while a turn was
    /// under way, its transcript came to hold more. Some versions of early 2026 counted from the transcript's beginning.
    pub usage: Option<Usage>,
    /// How many lines of the transcript are of earlier checkpoints; of a transcript in one document, how many messages. Some versions of
    /// early 2026 stored the transcript without them.
    pub starts_at_line: u64,
    /// What a model made of it.
    pub summary: Option<Summary>,
    /// Hashes of the commits that name the checkpoint, the oldest first.
    pub commits: Vec<String>,
}

/// Whose lines a commit holds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Attribution {
    /// Lines of the agent that were added.
    pub agent_lines: u64,
    /// Lines that the agent removed.
    pub agent_removed: u64,
    /// Lines that the human added.
    pub human_added: u64,
    /// Lines of the agent that the human changed.
    pub human_modified: u64,
    /// Lines that the human removed.
    pub human_removed: u64,
    /// Lines that were added, whoever wrote them.
    pub total_committed: u64,
    /// Lines that were added, changed or removed; older versions of Entire did not count them.
    pub total_lines_changed: Option<u64>,
    /// The agent's share as it was recorded, 0 to 100.
    pub agent_percentage: f64,
}

impl Attribution {
    /// The lines that `agent_percentage` is a share of.
    pub fn lines(&self) -> u64 {
        self.total_lines_changed.unwrap_or(self.total_committed)
    }
}

/// A model's summary of what happened since the last checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// What the human wanted.
    pub intent: String,
    /// What came of it.
    pub outcome: String,
    /// What went wrong on the way.
    pub friction: Vec<String>,
    /// What is left to do.
    pub open_items: Vec<String>,
}

/// A checkpoint in `sessions --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckpointSummary {
    /// Its id.
    pub id: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// The branch that was committed to.
    pub branch: Option<String>,
    /// Hashes of the commits that name it.
    pub commits: Vec<String>,
    /// The agent's share of the changed lines, 0 to 100; none where no lines were changed.
    pub agent_percentage: Option<f64>,
    /// Tokens since the last checkpoint, as they were recorded.
    pub usage: Option<Usage>,
    /// How many files the session changed.
    pub files_touched: usize,
}

/// Whose metadata a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The checkpoint's id.
    pub checkpoint: String,
    /// The session's id, in the metadata of a session.
    pub session: Option<String>,
}

/// Whose metadata `json` is; none if it is not Entire's.
pub fn names(json: &[u8]) -> Option<Names> {
    let object = object(json)?;
    let text = |key| text_of(object.get(key)).filter(|text| !text.trim().is_empty());
    let session = text("session_id").map(|id| without_date(&id).to_owned());
    // A checkpoint's own metadata names its sessions in a list.
    let known = session.is_some() || object.get("sessions").is_some_and(Value::is_array);
    text("checkpoint_id").filter(|_| known).map(|checkpoint| Names { checkpoint, session })
}

/// Reads the checkpoint `id` from a session's metadata and from that of the checkpoint as a whole, which says some of the same. None if
/// neither can be understood.
pub fn read(id: &str, session: Option<&[u8]>, whole: Option<&[u8]>) -> Option<Checkpoint> {
    let share = session.and_then(recorded_share);
    let (session, whole) = (session.and_then(object), whole.and_then(object));
    if session.is_none() && whole.is_none() {
        return None;
    }
    let own = |key: &str| session.as_ref().and_then(|object| object.get(key));
    let either = |key: &str| own(key).or_else(|| whole.as_ref().and_then(|object| object.get(key)));
    let text = |key| text_of(either(key)).filter(|text| !text.is_empty());
    Some(Checkpoint {
        id: id.to_owned(),
        created: time_of(own("created_at")),
        branch: text("branch"),
        cli_version: text("cli_version"),
        files_touched: texts(either("files_touched")),
        attribution: own("initial_attribution").and_then(Value::as_object).zip(share).map(attribution),
        // The checkpoint's is that of all its sessions.
        usage: own("token_usage").and_then(Value::as_object).map(usage),
        starts_at_line: number_of(own("checkpoint_transcript_start").or_else(|| own("transcript_lines_at_start")))
            .unwrap_or(0),
        summary: own("summary").and_then(Value::as_object).map(summary),
        commits: Vec::new(),
    })
}

/// The checkpoints in the order of their times, one of each id: a session that stands in a checkpoint twice counts by its later record. Commits are
/// those of all records, since only a repository knows them.
pub fn in_order(checkpoints: Vec<Checkpoint>) -> Vec<Checkpoint> {
    let mut by_id: BTreeMap<String, Checkpoint> = BTreeMap::new();
    for mut checkpoint in checkpoints {
        if let Some(known) = by_id.remove(&checkpoint.id) {
            let (mut kept, other) =
                if known.created > checkpoint.created { (known, checkpoint) } else { (checkpoint, known) };
            let missing: Vec<String> = other.commits.into_iter().filter(|hash| !kept.commits.contains(hash)).collect();
            kept.commits.extend(missing);
            checkpoint = kept;
        }
        by_id.insert(checkpoint.id.clone(), checkpoint);
    }
    let mut ordered: Vec<Checkpoint> = by_id.into_values().collect();
    ordered.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
    ordered
}

/// The agent's share of all changed lines of the checkpoints, 0 to 100: the mean of the recorded shares, each weighted by the lines that it is a
/// share of. None where no lines were changed.
pub fn agent_percentage(checkpoints: &[Checkpoint]) -> Option<f64> {
    let shares: Vec<(f64, f64)> = checkpoints
        .iter()
        .filter_map(|checkpoint| checkpoint.attribution)
        .filter(|attribution| attribution.lines() > 0)
        .map(|attribution| (attribution.agent_percentage, attribution.lines() as f64))
        .collect();
    match shares.as_slice() {
        [] => None,
        // As it was recorded, to the last digit.
        [(only, _)] => Some(*only),
        shares => {
            let lines: f64 = shares.iter().map(|(_, lines)| lines).sum();
            Some(shares.iter().map(|(share, of)| share * of).sum::<f64>() / lines)
        }
    }
}

impl Checkpoint {
    /// The checkpoint in a listing.
    pub fn summary(&self) -> CheckpointSummary {
        CheckpointSummary {
            id: self.id.clone(),
            created: self.created,
            branch: self.branch.clone(),
            commits: self.commits.clone(),
            agent_percentage: agent_percentage(std::slice::from_ref(self)),
            usage: self.usage,
            files_touched: self.files_touched.len(),
        }
    }
}

/// An id without the date (`2026-01-21-…`) that old versions of Entire put before it.
pub(super) fn without_date(id: &str) -> &str {
    let dated = id.len() > 11
        && id
            .bytes()
            .zip("0000-00-00-".bytes())
            .all(|(b, mark)| if mark == b'0' { b.is_ascii_digit() } else { b == mark });
    if dated { &id[11..] } else { id }
}

fn object(json: &[u8]) -> Option<Object> {
    serde_json::from_slice(json).ok()
}

fn texts(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|value| text_of(Some(value))).collect()
}

/// Entire's counts do not overlap: what was read from or written to a cache is not in `input_tokens`. Subagents have counts of their own within.
fn usage(counts: &Object) -> Usage {
    let count = |key| number_of(counts.get(key)).unwrap_or(0);
    Usage {
        input: count("input_tokens"),
        cached_input: count("cache_read_tokens"),
        cache_write: count("cache_creation_tokens"),
        output: count("output_tokens"),
        reasoning: 0,
    }
}

/// The agent's share to the last digit, which numbers lose in a [`Value`].
fn recorded_share(json: &[u8]) -> Option<f64> {
    #[derive(Deserialize)]
    struct Session<'a> {
        #[serde(borrow)]
        initial_attribution: Recorded<'a>,
    }
    #[derive(Deserialize)]
    struct Recorded<'a> {
        #[serde(borrow)]
        agent_percentage: &'a RawValue,
    }
    let Session { initial_attribution } = serde_json::from_slice(json).ok()?;
    initial_attribution.agent_percentage.get().parse().ok().filter(|share: &f64| share.is_finite())
}

fn attribution((record, share): (&Object, f64)) -> Attribution {
    let count = |key| number_of(record.get(key)).unwrap_or(0);
    // Only from this version of the metric on is the share one of all changed lines.
    let of_changes = count("metric_version") >= 2;
    Attribution {
        agent_lines: count("agent_lines"),
        agent_removed: count("agent_removed"),
        human_added: count("human_added"),
        human_modified: count("human_modified"),
        human_removed: count("human_removed"),
        total_committed: count("total_committed"),
        total_lines_changed: number_of(record.get("total_lines_changed")).filter(|_| of_changes),
        agent_percentage: share.clamp(0.0, 100.0),
    }
}

fn summary(record: &Object) -> Summary {
    let text = |key| text_of(record.get(key)).unwrap_or_default();
    let list = |key| texts(record.get(key));
    Summary {
        intent: text("intent"),
        outcome: text("outcome"),
        friction: list("friction"),
        open_items: list("open_items"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn bytes(value: Value) -> Vec<u8> {
        value.to_string().into_bytes()
    }

    fn committed(id: &str, created: &str, percentage: f64, record: Value) -> Checkpoint {
        let mut attribution = json!({ "agent_percentage": percentage });
        let (Some(into), Some(more)) = (attribution.as_object_mut(), record.as_object()) else { panic!("objects") };
        into.extend(more.clone());
        let session = json!({ "created_at": created, "initial_attribution": attribution });
        read(id, Some(&bytes(session)), None).expect("it is an object")
    }

    #[test]
    fn metadata_is_read_from_the_session_first_and_then_from_the_whole() {
        let session = bytes(json!({
            "checkpoint_id": "aa0123456789", "session_id": "2026-01-21-0f3c", "created_at": "2026-01-21T10:00:00.5+01:00",
            "branch": "fix/it", "files_touched": ["a.rs", "b.rs"], "checkpoint_transcript_start": 12, "transcript_lines_at_start": 3,
            "token_usage": { "input_tokens": 5, "cache_creation_tokens": 7, "cache_read_tokens": 11, "output_tokens": 13,
                             "api_call_count": 2, "subagent_tokens": { "input_tokens": 1000 } },
            "initial_attribution": { "agent_lines": 8, "human_added": 2, "total_committed": 10, "agent_percentage": 80,
                                     "total_lines_changed": 40 },
            "summary": { "intent": "i", "outcome": "o", "friction": ["f"], "open_items": [], "learnings": { "repo": [] } },
        }));
        let whole =
            bytes(json!({ "checkpoint_id": "aa0123456789", "sessions": [], "cli_version": "0.8.1", "branch": "other",
                                  "token_usage": { "input_tokens": 99 } }));
        let read = read("aa0123456789", Some(&session), Some(&whole)).expect("it is metadata");
        let expected = Checkpoint {
            id: "aa0123456789".to_owned(),
            created: "2026-01-21T09:00:00.5Z".parse().ok(),
            branch: Some("fix/it".to_owned()),
            cli_version: Some("0.8.1".to_owned()),
            files_touched: vec!["a.rs".to_owned(), "b.rs".to_owned()],
            attribution: Some(Attribution {
                agent_lines: 8,
                human_added: 2,
                total_committed: 10,
                agent_percentage: 80.0,
                ..Attribution::default()
            }),
            usage: Some(Usage { input: 5, cached_input: 11, cache_write: 7, output: 13, reasoning: 0 }),
            starts_at_line: 12,
            summary: Some(Summary {
                intent: "i".to_owned(),
                outcome: "o".to_owned(),
                friction: vec!["f".to_owned()],
                open_items: vec![],
            }),
            commits: vec![],
        };
        assert_eq!(read, expected);
        assert_eq!(
            names(&session),
            Some(Names { checkpoint: "aa0123456789".to_owned(), session: Some("0f3c".to_owned()) })
        );
        assert_eq!(names(&whole).and_then(|names| names.session), None);
    }

    #[test]
    fn only_entires_metadata_is_taken_for_it() {
        for other in [
            json!({ "checkpoint_id": "c" }),
            json!({ "session_id": "s" }),
            json!({ "checkpoint_id": " ", "session_id": "s" }),
            json!(["checkpoint_id"]),
        ] {
            assert_eq!(names(&bytes(other.clone())), None, "{other}");
        }
        assert_eq!(read("c", Some(b"{\"a\""), Some(b"[]")), None);
        assert_eq!(read("c", Some(b"{\"a\""), Some(b"{}")).map(|checkpoint| checkpoint.id).as_deref(), Some("c"));
    }

    #[test]
    fn the_agents_share_is_pooled_over_the_lines() {
        let one = committed("a", "2026-05-01T10:00:00Z", 13.793103448275861, json!({ "total_committed": 29 }));
        assert_eq!(agent_percentage(std::slice::from_ref(&one)), Some(13.793103448275861));
        let all = committed("b", "2026-05-02T10:00:00Z", 100.0, json!({ "total_committed": 71 }));
        let share = agent_percentage(&[one.clone(), all]).expect("lines were changed");
        assert!((share - 75.0).abs() < 1e-9, "(4 + 71) of 100, not {share}");
        let removed =
            json!({ "total_committed": 0, "total_lines_changed": 29, "metric_version": 2, "agent_removed": 29 });
        let removed = committed("c", "2026-05-03T10:00:00Z", 100.0, removed);
        let share = agent_percentage(&[one, removed]).expect("lines were changed");
        assert!((share - 33.0 / 58.0 * 100.0).abs() < 1e-9, "{share}");
        let nothing = committed("d", "2026-05-04T10:00:00Z", 0.0, json!({ "total_committed": 0 }));
        let uncounted = committed("e", "2026-05-04T10:00:00Z", 50.0, json!({ "total_lines_changed": 9 }));
        assert_eq!(agent_percentage(&[nothing, uncounted]), None, "nothing was committed");
    }

    #[test]
    fn checkpoints_come_in_time_order_and_once() {
        let at = |id: &str, created: &str, line: u64| Checkpoint {
            id: id.to_owned(),
            created: created.parse().ok(),
            starts_at_line: line,
            ..Checkpoint::default()
        };
        let linked = Checkpoint { commits: vec!["c1".to_owned()], ..at("b", "2026-05-02T10:00:00Z", 1) };
        let ordered = in_order(vec![
            linked,
            at("c", "2026-05-01T10:00:00Z", 2),
            at("b", "2026-05-03T10:00:00Z", 3),
            at("b", "2026-05-01T10:00:00Z", 4),
            at("a", "", 5),
        ]);
        let seen: Vec<(&str, u64)> =
            ordered.iter().map(|checkpoint| (&*checkpoint.id, checkpoint.starts_at_line)).collect();
        assert_eq!(seen, [("a", 5), ("c", 2), ("b", 3)]);
        assert_eq!(ordered[2].commits, ["c1"]);
    }

    proptest! {
        #[test]
        fn nothing_in_metadata_makes_a_reader_fail(value in super::super::value::any_json()) {
            let record = json!({ "created_at": value, "token_usage": value, "initial_attribution": { "agent_percentage": value,
                "total_committed": value }, "summary": value, "files_touched": value, "checkpoint_transcript_start": value });
            let checkpoint = read("c", Some(&bytes(record)), Some(&bytes(value))).expect("the session's is an object");
            let share = agent_percentage(&[checkpoint]);
            prop_assert!(share.is_none_or(|share| (0.0..=100.0).contains(&share)));
        }
    }
}
