//! Adding a task takes one new file, and everything else follows from it.

use crate::project::{Project, TONE};
use serde_json::{Value, json};

const MOOD: &str = r#"+++
task = "mood"
title = "Mood"
unit = "prompt"
sees = { before = "recent", max_tokens = 1000 }

[[field]]
name = "why"
type = "text"
description = "One sentence."
[[field]]
name = "mood"
type = "label"
[[field.label]]
name = "on"
definition = "Cheerful."
cues = ['(?i)please']
[[field.label]]
name = "no"
definition = "Not cheerful."
[[field]]
name = "words"
type = "labels"
[[field.label]]
name = "polite"
definition = "Polite."
cues = ['(?i)please']
[[field.label]]
name = "short"
definition = "Short."
cues = ['(?i)^do it']
[[field]]
name = "strength"
type = "score"
min = 1
max = 5
start = 3
[[field]]
name = "urgent"
type = "flag"
cues = ['(?i)\bnow\b']
[[field]]
name = "proof"
type = "evidence"
[[field]]
name = "aside"
type = "number"
optional = true
[[field]]
name = "checks"
type = "criteria"
[[field.criterion]]
name = "asks"
definition = "It asks for something."
+++
{% block material %}{% include "_material.md" %}{% endblock %}
{% block instructions %}
{% for f in fields %}
{{ loop.index }}. {{ f.name }} ({{ f.type }}{{ ", optional" if f.optional else "" }})
{% endfor %}
Moods: {% for l in field.mood.labels %}{{ l.name }} = {{ l.definition }} {% endfor %}

{% endblock %}
"#;

const NAMES: [&str; 8] = ["why", "mood", "words", "strength", "urgent", "proof", "aside", "checks"];

fn with_mood() -> Project {
    let project = Project::new();
    project.write("prompts/_material.md", "{{ material.open }}\n{{ material.text }}{{ material.close }}\n");
    project.write("prompts/mood.md", MOOD);
    project
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn a_new_file_is_a_new_task() {
    let project = with_mood();
    let ran = project.ok(&["annotate", "mood"]);
    assert!(ran.out.lines().any(|line| line.starts_with("mood ")), "{}", ran.out);
    let rows = project.rows(&format!("runs/{}/annotations.jsonl", project.run_name("mood-baseline-cues-")));
    assert_eq!(rows.len(), 40);
    for row in &rows {
        assert_eq!(
            keys(row).join(" "),
            "unit session task rater sample status detail fields evidence coverage usage cost_usd cached attempts latency_ms"
        );
        let measured: Vec<&str> = NAMES.into_iter().filter(|name| *name != "proof").collect();
        assert_eq!(keys(&row["fields"]), measured, "the codebook's order; evidence stands beside the fields");
        assert_eq!((&row["status"], &row["evidence"]), (&json!("ok"), &json!([])));
    }
    assert_eq!((&rows[0]["unit"], &rows[39]["unit"]), (&json!("codex:s0#1"), &json!("codex:s9#4")));
    // Prompt 3 of the first session says "do it now", the first one "please go on".
    assert_eq!(rows[0]["fields"]["mood"], "on");
    assert_eq!(
        rows[2]["fields"],
        json!({
            "why": "by cue words and structure, not by reading", "mood": "no", "words": ["short"], "strength": 3, "urgent": true,
            "aside": 0, "checks": { "asks": false },
        })
    );
    let header = project.read(&format!("runs/{}/annotations.csv", project.run_name("mood-")));
    let header = header.lines().next().unwrap();
    let places: Vec<usize> = ["why", "mood", "words", "strength", "urgent", "aside"]
        .map(|name| header.split(',').position(|column| column == name).unwrap_or_else(|| panic!("{name} in {header}")))
        .into();
    assert!(places.is_sorted(), "{header}");
}

#[test]
fn prompt_and_schema_follow_from_the_file() {
    let project = with_mood();
    let shown = project.json(&["sessions", "--show", "codex:s0#3", "--task", "mood"]);
    assert_eq!(shown["events"], json!([3, 4, 5]));
    let schema = &shown["schema"];
    assert_eq!(keys(&schema["properties"]), NAMES);
    assert_eq!(schema["required"], json!(NAMES));
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["mood"], json!({ "type": "string", "enum": ["on", "no"] }));
    assert_eq!(schema["properties"]["aside"], json!({ "type": ["number", "null"] }));
    insta::assert_snapshot!(shown["parts"].as_array().unwrap().last().unwrap().as_str().unwrap(), @"
    1. why (text)
    2. mood (label)
    3. words (labels)
    4. strength (score)
    5. urgent (flag)
    6. proof (evidence)
    7. aside (number, optional)
    8. checks (criteria)
    Moods: on = Cheerful. no = Not cheerful.
    ");
}

#[test]
fn gold_and_agreement_follow_from_the_file() {
    let project = with_mood();
    let mut gold = "unit,rater,mood,words,strength,urgent,checks\n".to_owned();
    for session in 0..10 {
        let mood = if session % 2 == 0 { "on" } else { "no" };
        gold.push_str(&format!("codex:s{session}#1,gold,{mood},polite;short,{},false,asks=true\n", 1 + session % 5));
    }
    project.ok(&["annotate", "mood", "--quiet"]);
    project.write("gold/mood.csv", gold);
    let document = project.json(&["agree", "--task", "mood", "--replicates", "200"]);
    let fields: Vec<&str> =
        document["fields"].as_array().unwrap().iter().map(|field| field["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["mood", "words.polite", "words.short", "words (sets)", "strength", "urgent", "checks.asks"]);
    assert_eq!(document["fields"][0]["labels"], json!(["on", "no"]), "labels stay strings in the codebook's order");
    assert_eq!(document["fields"][4]["level"], "interval");
    assert!(document["fields"].as_array().unwrap().iter().all(|field| field["items"] == 10));
}

#[test]
fn a_change_of_a_codebook_or_of_what_it_includes_is_another_version() {
    let project = with_mood();
    let version = |run: &str| {
        project.ok(&["annotate", "mood", "--run", run, "--limit", "1", "--quiet"]);
        let manifest: Value = serde_json::from_str(&project.read(&format!("runs/{run}/manifest.json"))).unwrap();
        assert_eq!(manifest["codebook"]["path"], "prompts/mood.md");
        manifest["codebook"]["hash"].as_str().unwrap().to_owned()
    };
    let first = version("r");
    assert_eq!(version("r"), first);
    project.write("prompts/tone.md", TONE.replace("Calm.", "Calm and kind."));
    assert_eq!(version("r"), first, "another task's file is no part of it");
    project.write("prompts/_material.md", "{{ material.text }}");
    let refused = project.refused(&["annotate", "mood", "--run", "r", "--limit", "1", "--quiet"]);
    assert!(refused.starts_with("error: run `r` holds the answers of baseline/cues@mood-"), "{refused}");
    let second = version("s");
    assert_ne!(second, first);
    project.write("prompts/mood.md", MOOD.replace("Cheerful.", "Glad."));
    assert_ne!(version("t"), second);
}

#[test]
fn every_shipped_codebook_annotates_the_sample() {
    let project = Project::empty();
    project.ok(&["init"]);
    // The comparison with gold is another test's.
    for (file, _) in project.files("gold").iter().filter(|(file, _)| file.extension().is_some_and(|kind| kind == "csv"))
    {
        std::fs::remove_file(project.path(&file.display().to_string())).unwrap();
    }
    let document = project.json(&["annotate", "--limit", "5", "--quiet"]);
    let tasks: Vec<&str> =
        document["tasks"].as_array().unwrap().iter().map(|task| task["task"].as_str().unwrap()).collect();
    assert_eq!(tasks, ["frustration", "intent", "outcome", "persona", "phases", "pushback", "success"]);
    for task in document["tasks"].as_array().unwrap() {
        let rows = project.rows(&format!("runs/{}/annotations.jsonl", task["run"].as_str().unwrap()));
        assert!(rows.len() == 5 && rows.iter().all(|row| row["status"] == "ok"), "{task}");
    }
}

#[test]
fn without_a_prompts_folder_the_shipped_codebooks_are_used_and_a_readme_is_no_task() {
    let project = Project::new();
    project.write("prompts/README.md", "# About the codebooks");
    project.ok(&["annotate", "tone", "--limit", "1", "--quiet"]);
    std::fs::remove_dir_all(project.path("prompts")).unwrap();
    project.ok(&["annotate", "pushback", "--limit", "1", "--quiet"]);
    insta::assert_snapshot!(project.refused(&["annotate", "tone", "--quiet"]), @"
    error: there is no codebook for task `tone` in the shipped codebooks
    hint: known tasks: frustration, intent, outcome, persona, phases, pushback, success
    ");
}
