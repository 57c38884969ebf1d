//! Damaged and odd transcripts of every agent: what is kept, and how it is counted. The expectations follow from the story that
//! is told and from what was done to it.

mod shapes;
mod size;

use crate::project::Project;
use crate::story::{self, Form, LAST, STEERING, TOKENS, Telling, with};
use interrater::corpus;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What was done to a telling, and what becomes of it.
struct Damage {
    content: Content,
    /// What a summary no longer says as it does of the whole story.
    changes: Value,
    repaired: u64,
    bad: u64,
    unknown: Value,
    /// What the last prompt says, where that is looked at.
    last: Option<&'static str>,
}

/// What stands on the disk.
enum Content {
    /// These records in the telling's own form.
    Records(Vec<Vec<u8>>),
    /// These bytes in the telling's own file.
    File(Vec<u8>),
    /// These bytes in a file of another name.
    Named(String, Vec<u8>),
}

impl Damage {
    fn of(content: Content) -> Damage {
        Damage { content, changes: json!({}), repaired: 0, bad: 0, unknown: json!({}), last: None }
    }

    fn records(records: Vec<Vec<u8>>) -> Damage {
        Damage::of(Content::Records(records))
    }

    fn file(bytes: Vec<u8>) -> Damage {
        Damage::of(Content::File(bytes))
    }

    fn repaired(self, repaired: usize) -> Damage {
        Damage { repaired: repaired as u64, ..self }
    }

    fn bad(self, bad: u64) -> Damage {
        Damage { bad, ..self }
    }

    fn unless(self, changes: Value) -> Damage {
        Damage { changes, ..self }
    }

    fn unknown(self, unknown: Value) -> Damage {
        Damage { unknown, ..self }
    }

    fn last(self, last: &'static str) -> Damage {
        Damage { last: Some(last), ..self }
    }
}

/// Damages the story in every telling and looks at what is read; `damage` gives none where a form cannot be damaged so.
fn every(damage: impl Fn(&Telling) -> Option<Damage>) {
    let project = Project::empty();
    let mut damaged = Vec::new();
    for telling in story::all() {
        let Some(damage) = damage(&telling) else { continue };
        let place = telling.name.replace(' ', "-");
        write(&project, &place, &telling, &damage.content);
        damaged.push((telling, place, damage));
    }
    assert!(!damaged.is_empty());
    let ran = project.ok(&["sessions", "--json", "."]);
    let mut sessions: BTreeMap<String, Value> = BTreeMap::new();
    for line in ran.out.lines() {
        let session: Value = serde_json::from_str(line).expect("each line is one document");
        let path = session["path"].as_str().expect("a session has a path");
        let place = path.trim_start_matches("./").split('/').next().unwrap_or_default().to_owned();
        let known = sessions.insert(place.clone(), session);
        assert!(known.is_none(), "{place} holds one session\n{}", ran.out);
    }
    for (telling, place, damage) in &damaged {
        let name = telling.name;
        let session = sessions.get(place).unwrap_or_else(|| panic!("{name} is lost:\n{}", ran.err));
        assert_eq!(session["id"], telling.id, "{name}");
        let says = with(telling.says.clone(), damage.changes.clone());
        for (key, value) in says.as_object().expect("what is said") {
            assert_eq!(session[key], *value, "{key} of {name}: {session}");
        }
        let read = &session["read"];
        let counted = (read["repaired"].clone(), read["bad"].clone(), read["unknown"].clone());
        assert_eq!(counted, (json!(damage.repaired), json!(damage.bad), damage.unknown.clone()), "{name}: {read}");
        if let Some(last) = damage.last {
            assert_eq!(last_prompt(&project, place), last, "{name}");
        }
    }
    assert!(!ran.err.contains("skipped"), "{}", ran.err);
}

fn write(project: &Project, place: &str, telling: &Telling, content: &Content) {
    match content {
        Content::Records(records) => telling.write(project, place, records),
        Content::File(bytes) => {
            let file = telling.file().expect("it has one file");
            project.write(&format!("{place}/{file}"), bytes);
        }
        Content::Named(name, bytes) => {
            project.write(&format!("{place}/{name}"), bytes);
        }
    }
}

fn last_prompt(project: &Project, place: &str) -> String {
    let corpus = corpus::find(&[project.path(place)]).expect("there is a session");
    let session = corpus::read(&corpus.sources()[0]).expect("the session can be read");
    session.prompts().last().map(|(_, prompt)| prompt.text.clone()).unwrap_or_default()
}

/// Which record holds the human's last words; of a row that is written twice, the one that counts.
fn last_words(records: &[Vec<u8>]) -> usize {
    let holds = |record: &Vec<u8>| String::from_utf8_lossy(record).contains(LAST);
    records.iter().rposition(holds).expect("somebody says the last words")
}

/// The records with other bytes in place of `publish` in the last words.
fn with_in_words(telling: &Telling, bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut records = telling.records();
    let at = last_words(&records);
    let record = &mut records[at];
    let word = record.windows(7).position(|window| window == b"publish").expect("the word is there");
    record.splice(word..word + 7, bytes.iter().copied());
    records
}

fn is_text(telling: &Telling) -> bool {
    matches!(telling.form, Form::Text(..))
}

fn is_lines(telling: &Telling) -> bool {
    matches!(telling.form, Form::Lines(..))
}

#[test]
fn an_undamaged_story_is_read_whole() {
    every(|telling| Some(Damage::records(telling.records()).last(LAST)));
}

#[test]
fn objects_glued_together_are_told_apart() {
    every(|telling| {
        let records = telling.records();
        match telling.form {
            Form::Lines(..) => {
                let pairs: Vec<Vec<u8>> = records.chunks(2).map(|pair| pair.concat()).collect();
                Some(Damage::records(pairs).repaired(records.len() / 2))
            }
            Form::Document { .. } => Some(Damage::file(telling.bytes(&records, b"")).repaired(1)),
            Form::Text(..) | Form::Storage(_) | Form::Database(..) => None,
        }
    });
}

#[test]
fn a_final_newline_may_be_missing_or_there() {
    every(|telling| {
        telling.file()?;
        let bytes = telling.bytes(&telling.records(), telling.between());
        let end: &[u8] = if matches!(telling.form, Form::Document { .. }) { b"\n\n" } else { b"" };
        Some(Damage::file([&bytes, end].concat()))
    });
}

#[test]
fn runs_of_nul_cost_nothing_of_what_follows() {
    every(|telling| {
        let (first, middle, last) = (vec![0; 200], vec![0; 700], vec![0; 300]);
        let mut records = telling.records();
        let at = last_words(&records);
        if telling.file().is_none() {
            records[at] = [first, records[at].clone(), last].concat();
            return Some(Damage::records(records).repaired(1));
        }
        records[at] = [&middle[..], &records[at]].concat();
        let bytes = telling.bytes(&records, telling.between());
        let end: &[u8] = if matches!(telling.form, Form::Document { .. }) { b"" } else { b"\n" };
        // Three lines, or one document.
        let pieces = if matches!(telling.form, Form::Document { .. }) { 1 } else { 3 };
        Some(Damage::file([&first, &bytes, end, &last].concat()).repaired(pieces))
    });
}

#[test]
fn what_is_appended_behind_an_interrupted_write_is_kept() {
    every(|telling| {
        let mut records = telling.records();
        let at = last_words(&records);
        let half = records[at].len() / 2;
        if telling.file().is_none() || is_text(telling) {
            return None;
        }
        // Half a record, NULs up to the end of a block, the next record.
        records[at].truncate(half);
        records[at].extend([0; 500]);
        let next = records.remove(at + 1);
        records[at].extend(next);
        Some(Damage::records(records).unless(json!({ "prompts": 2 })).bad(1))
    });
}

#[test]
fn control_characters_in_words_stay_in_them() {
    every(|telling| {
        let damage =
            Damage::records(with_in_words(telling, b"pub\0li\x1b[31msh")).last("and then pub\0li\u{1b}[31msh it");
        Some(if is_text(telling) { damage } else { damage.repaired(1) })
    });
    every(|telling| {
        let escaped = br"pub\u0000li\u001b[31msh";
        (!is_text(telling))
            .then(|| Damage::records(with_in_words(telling, escaped)).last("and then pub\0li\u{1b}[31msh it"))
    });
}

#[test]
fn bytes_that_are_no_text_are_replaced() {
    every(|telling| {
        Some(Damage::records(with_in_words(telling, b"pub\xFFlish")).repaired(1).last("and then pub\u{FFFD}lish it"))
    });
}

#[test]
fn halves_of_surrogate_pairs_are_replaced() {
    every(|telling| {
        let records = with_in_words(telling, br"pub\ud83dlish");
        (!is_text(telling)).then(|| Damage::records(records).repaired(1).last("and then pub\u{FFFD}lish it"))
    });
}

#[test]
fn a_truncated_record_in_the_middle_costs_itself() {
    every(|telling| {
        let mut records = telling.records();
        let at = last_words(&records);
        // Within the words, so that what stands before them is known.
        let cut = String::from_utf8_lossy(&records[at]).find("then").expect("the word is there");
        records[at].truncate(cut);
        let damage = Damage::records(records);
        // Nobody can tell that plain text was longer.
        Some(if is_text(telling) { damage.last("and") } else { damage.unless(json!({ "prompts": 2 })).bad(1) })
    });
}

#[test]
fn a_truncated_end_costs_the_last_record() {
    every(|telling| {
        let less = |answer: usize| {
            let sum = |kind: usize| TOKENS.iter().map(|tokens| tokens[kind]).sum::<u64>() - TOKENS[answer][kind];
            json!({ "input": sum(0), "cached_input": sum(1), "cache_write": sum(2), "output": sum(3), "reasoning": sum(4) })
        };
        // What the last record tells: nothing that is counted, the last answer, the account of all tokens.
        let changes = match telling.name {
            "gemini_cli document" => {
                with(json!({ "tool_calls": 2, "usage": less(2) }), json!({ "usage": { "cache_write": 0 } }))
            }
            "opencode export" => json!({ "tool_calls": 2, "usage": less(2) }),
            "copilot document" => json!({ "tool_calls": 2 }),
            "copilot" => {
                json!({ "usage": { "input": 0, "cached_input": 0, "cache_write": 0, "output": 100, "reasoning": 0 } })
            }
            _ => json!({}),
        };
        let mut records = telling.records();
        let Some(_) = telling.file() else {
            let last = records.last_mut().expect("there are records");
            last.truncate(last.len() / 2);
            return Some(Damage::records(records).unless(changes).bad(1));
        };
        let bytes = telling.bytes(&records, telling.between());
        let damage = Damage::file(bytes[..bytes.len() - 10].to_vec()).unless(changes);
        Some(if is_text(telling) { damage } else { damage.bad(1) })
    });
}

#[test]
fn wherever_a_transcript_is_cut_what_stands_before_is_kept() {
    let project = Project::empty();
    for telling in story::all() {
        let Some(file) = telling.file() else { continue };
        let records = telling.records();
        let bytes = telling.bytes(&records, telling.between());
        let begins: Vec<usize> =
            (0..records.len()).map(|at| telling.bytes(&records[..=at], telling.between()).len()).collect();
        let mut before = 0;
        for cut in (begins[1]..bytes.len()).step_by(7) {
            project.write(&format!("cut/{file}"), &bytes[..cut]);
            let corpus = corpus::find(&[project.path("cut")])
                .unwrap_or_else(|error| panic!("{} at {cut}: {error}", telling.name));
            let session = corpus::read(&corpus.sources()[0]).expect("the session can be read").summary();
            let seen = session.prompts + session.tool_calls + session.interruptions;
            assert!(seen >= before, "{} at {cut}: {seen} after {before}", telling.name);
            assert!(session.read.bad <= 1, "{} at {cut}: {:?}", telling.name, session.read);
            before = seen;
        }
        assert!(before >= 5, "{}: {before}", telling.name);
        std::fs::remove_file(project.path(&format!("cut/{file}"))).expect("the file is there");
    }
}

#[test]
fn each_record_can_be_lost_alone() {
    let project = Project::empty();
    for telling in story::all().into_iter().filter(|telling| !is_text(telling)) {
        let whole = telling.records();
        let place = "lost";
        telling.write(&project, place, &whole);
        let read = || {
            let corpus = corpus::find(&[project.path(place)])?;
            Ok::<_, corpus::CorpusError>(corpus::read(&corpus.sources()[0]).expect("the session can be read").summary())
        };
        let sound = read().expect("the story is found");
        for lost in 0..whole.len() {
            let mut records = whole.clone();
            let half = records[lost].len() / 2;
            records[lost].truncate(half);
            let _ = std::fs::remove_dir_all(project.path(place));
            telling.write(&project, place, &records);
            // Of a storage folder the session's own file says that there is a session.
            let session = match read() {
                Ok(session) => session,
                Err(error) if matches!(telling.form, Form::Storage(_)) && lost == 0 => {
                    assert!(error.to_string().contains("files"), "{error}");
                    continue;
                }
                Err(error) => panic!("{} without record {lost}: {error}", telling.name),
            };
            assert!(session.read.bad >= 1, "{} without record {lost}: {:?}", telling.name, session.read);
            // A message of OpenCode takes its parts with it.
            assert!(session.read.bad <= 4, "{} without record {lost}: {:?}", telling.name, session.read);
            assert!(session.prompts + 1 >= sound.prompts, "{} without record {lost}", telling.name);
            assert!(session.tool_calls + 1 >= sound.tool_calls, "{} without record {lost}", telling.name);
            assert!(session.tool_calls <= sound.tool_calls && session.prompts <= sound.prompts, "{}", telling.name);
            if is_lines(&telling) {
                assert_eq!(
                    (session.read.bad, session.read.records),
                    (1, sound.read.records - 1),
                    "{} at {lost}",
                    telling.name
                );
            }
        }
        let _ = std::fs::remove_dir_all(project.path(place));
    }
}

#[test]
fn a_byte_order_mark_costs_nothing() {
    every(|telling| {
        const MARK: &[u8] = b"\xEF\xBB\xBF";
        match &telling.form {
            Form::Database(..) => None,
            Form::Storage(files) => {
                let records = telling.records().into_iter().map(|record| [MARK, &record].concat()).collect();
                Some(Damage::records(records).repaired(files.len()))
            }
            _ => {
                let bytes = telling.bytes(&telling.records(), telling.between());
                Some(Damage::file([MARK, &bytes].concat()).repaired(1).last(LAST))
            }
        }
    });
}

#[test]
fn windows_line_ends_change_nothing() {
    every(|telling| {
        if let Form::Storage(files) = &telling.form {
            let pretty = files.iter().map(|(_, value)| format!("{value:#}").replace('\n', "\r\n").into_bytes());
            return Some(Damage::records(pretty.collect()));
        }
        telling.file()?;
        let bytes = telling.bytes(&telling.records(), telling.between());
        let text = String::from_utf8(bytes).expect("a telling is text");
        Some(Damage::file(text.replace('\n', "\r\n").into_bytes()).last(LAST))
    });
}

#[test]
fn rows_with_ids_of_their_own_count_once_however_often_they_stand_there() {
    every(|telling| {
        // Elsewhere a row that stands twice cannot be told from words that were sent again.
        let known = ["claude_code", "gemini_cli lines", "gemini_cli document", "opencode export", "copilot"];
        let twice = telling.records().into_iter().flat_map(|record| [record.clone(), record]).collect();
        known.contains(&telling.name).then(|| Damage::records(twice))
    });
    every(|telling| {
        let known = ["claude_code", "gemini_cli lines", "gemini_cli document", "opencode export", "copilot"];
        let records = telling.records();
        // The session begins with facts that stand once.
        let again = [records.clone(), records].concat();
        known.contains(&telling.name).then(|| Damage::records(again))
    });
}

#[test]
fn copies_of_a_session_are_one_session() {
    let project = Project::empty();
    let tellings = story::all();
    for telling in &tellings {
        let place = telling.name.replace(' ', "-");
        let mut records = telling.records();
        telling.write(&project, &format!("{place}/2"), &records);
        // An earlier copy of a transcript that goes on.
        if is_lines(telling) {
            records.truncate(last_words(&records));
        }
        telling.write(&project, &format!("{place}/1"), &records);
    }
    let ran = project.ok(&["sessions", "--json", "."]);
    let sessions: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(sessions.len(), tellings.len(), "{}", ran.out);
    for telling in tellings {
        let session =
            sessions.iter().find(|session| session["id"] == telling.id).unwrap_or_else(|| panic!("{}", telling.name));
        for (key, value) in telling.says.as_object().expect("what is said") {
            assert_eq!(session[key], *value, "{key} of {}", telling.name);
        }
    }
}

#[test]
fn a_files_name_says_nothing_about_what_is_in_it() {
    every(|telling| {
        let file = telling.file()?;
        let (stem, extension) = file.rsplit_once('.').expect("a file has an extension");
        let other = match extension {
            "json" => "jsonl",
            "jsonl" => "json",
            _ => "log",
        };
        let bytes = telling.bytes(&telling.records(), telling.between());
        Some(Damage::of(Content::Named(format!("{stem}.{other}"), bytes)))
    });
    every(|telling| {
        let file = telling.file()?;
        let (stem, _) = file.rsplit_once('.').expect("a file has an extension");
        Some(Damage::of(Content::Named(stem.to_owned(), telling.bytes(&telling.records(), telling.between()))))
    });
}

#[test]
fn a_session_without_prompts_is_a_session() {
    every(|telling| {
        let records = telling.records();
        if telling.file().is_none() || is_text(telling) {
            return None;
        }
        let is_typed = |record: &Vec<u8>| {
            let text = String::from_utf8_lossy(record);
            [story::FIRST, STEERING, LAST].iter().any(|words| text.contains(words))
        };
        let records = records.into_iter().filter(|record| !is_typed(record)).collect();
        Some(Damage::records(records).unless(json!({ "prompts": 0 })))
    });
}

#[test]
fn a_session_may_hold_next_to_nothing() {
    every(|telling| {
        let nothing = json!({
            "prompts": 0, "interruptions": 0, "rejected_tools": 0, "tool_calls": 0, "failed_tool_calls": 0, "compactions": 0,
            "usage": { "input": 0, "cached_input": 0, "cache_write": 0, "output": 0, "reasoning": 0 },
        });
        let warning =
            json!({ "id": "w", "timestamp": story::at(1), "type": "warning", "content": "Update available." });
        let mut records = telling.records();
        let prompts = match telling.name {
            "gemini_cli lines" => {
                records = vec![records[0].clone(), warning.to_string().into_bytes()];
                0
            }
            "gemini_cli document" => {
                records = vec![warning.to_string().into_bytes()];
                0
            }
            // The first record is the session's facts, or a client's words.
            "codex" | "copilot" | "opencode storage" => {
                records.truncate(1);
                0
            }
            "chat line" | "chat document" => {
                records.truncate(2);
                1
            }
            "opencode database" => {
                records.clear();
                0
            }
            _ => {
                records.truncate(1);
                1
            }
        };
        Some(Damage::records(records).unless(with(nothing, json!({ "prompts": prompts }))))
    });
}

#[cfg(unix)]
#[test]
fn links_that_lie_about_are_listed_and_links_that_are_named_are_followed() {
    let project = Project::empty();
    let mut named = Vec::new();
    for telling in story::all() {
        let Some(file) = telling.file() else { continue };
        telling.write(&project, &format!("real/{}", telling.name.replace(' ', "-")), &telling.records());
        let real = project.path(&format!("real/{}/{file}", telling.name.replace(' ', "-")));
        let file = file.rsplit('/').next().unwrap_or(file);
        std::fs::create_dir_all(project.path("links")).expect("a folder can be made");
        std::os::unix::fs::symlink(&real, project.path(&format!("links/{file}"))).expect("a link can be made");
        named.push((telling, file));
    }
    let ran = project.ok(&["sessions", "--json", "real", "links/events.jsonl"]);
    assert_eq!(ran.out.lines().count(), named.len(), "a link to what is there already adds nothing");
    let refused = project.refused(&["sessions", "links"]);
    let links = format!("no transcript in links: no files and {} symbolic links, which are followed only", named.len());
    assert!(refused.contains(&links), "{refused}");
    project.write("links/one.txt", "user:\n<user_query>\nhello\n</user_query>\n");
    let folder = project.ok(&["sessions", "links"]).err;
    assert!(folder.contains("skipped links/events.jsonl: a symbolic link"), "{folder}");
    for (telling, file) in named {
        let ran = project.ok(&["sessions", "--json", &format!("links/{file}")]);
        let session: Value = serde_json::from_str(&ran.out).expect("one session");
        assert_eq!(session["prompts"], telling.says["prompts"], "{}", telling.name);
    }
}
