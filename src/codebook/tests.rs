//! What is read from a codebook, what is refused and where, and the schema that follows from it.

use super::group::group_schema;
use super::schema::answer_schema;
use super::*;
use miette::Diagnostic;
use serde_json::{Value, json};

/// A codebook with a field of every type, in an order of its own.
pub(super) const EVERY_TYPE: &str = r#"+++
task = "all"
title = "Every type"
unit = "session"
sees = { max_tokens = 1000 }

[[field]]
name = "proof"
type = "evidence"
description = "What shows it."
[[field]]
name = "reason"
type = "text"
[[field]]
name = "label"
type = "label"
[[field.label]]
name = "no"
definition = "It does not."
[[field.label]]
name = "yes"
definition = "It does."
cues = ['(?i)\byes\b']
[[field.label]]
name = "on"
definition = "It is on."
[[field.collapse]]
name = "binary"
map = { no = "off", yes = "on", on = "on" }
[[field]]
name = "topics"
type = "labels"
[[field.label]]
name = "ui"
definition = "Screens."
cues = ['(?i)\bscreen\b']
[[field.label]]
name = "db"
definition = "Tables."
cues = ['(?i)\btable\b']
[[field]]
name = "score"
type = "score"
min = 0
max = 10
start = 5
[[field.cue]]
pattern = '(?i)thanks'
add = 2
[[field]]
name = "hours"
type = "number"
optional = true
[[field]]
name = "urgent"
type = "flag"
cues = ['(?i)asap']
[[field]]
name = "phases"
type = "shares"
[[field.part]]
name = "reading"
definition = "Reading."
tools = ["research"]
[[field.part]]
name = "writing"
definition = "Writing."
tools = ["edit"]
[[field]]
name = "checks"
type = "criteria"
[[field.criterion]]
name = "tests_run"
definition = "Tests were run."
[[field.criterion]]
name = "committed"
definition = "It was committed."
[[field]]
name = "mood"
type = "label"
optional = true
[[field.label]]
name = "good"
definition = "Good."
[[field.label]]
name = "bad"
definition = "Bad."
+++
{% block material %}{{ material.text }}{% endblock %}
{% block instructions %}Answer.{% endblock %}
"#;

/// A small codebook with `field` as its only field, or whatever else stands there.
fn small(field: &str) -> String {
    format!(
        "+++\ntask = \"t\"\ntitle = \"T\"\nunit = \"prompt\"\nsees = {{}}\n[[field]]\n{field}\n+++\n{{% block a %}}x{{% endblock %}}\n"
    )
}

const LABELS: &str = "name = \"label\"\ntype = \"label\"\n[[field.label]]\nname = \"a\"\ndefinition = \"A\"\n[[field.label]]\nname = \"b\"\ndefinition = \"B\"";

/// The error of a codebook, which is refused, as its first line.
fn refused(text: &str) -> String {
    Codebook::of_text("t", text).expect_err("the codebook is refused").to_string()
}

#[test]
fn every_type_is_read_in_the_order_of_the_file() {
    let codebook = Codebook::with_every_type();
    let fields: Vec<(&str, &str)> =
        codebook.fields.iter().map(|field| (field.name.as_str(), field.kind.name())).collect();
    assert_eq!(
        fields,
        [
            ("proof", "evidence"),
            ("reason", "text"),
            ("label", "label"),
            ("topics", "labels"),
            ("score", "score"),
            ("hours", "number"),
            ("urgent", "flag"),
            ("phases", "shares"),
            ("checks", "criteria"),
            ("mood", "label"),
        ]
    );
    assert_eq!(codebook.primary().map(|field| field.name.as_str()), Some("label"));
    let FieldKind::Label(labels) = &codebook.fields[2].kind else { panic!("a label") };
    assert_eq!(labels.names(), ["no", "yes", "on"], "labels stay strings, in the file's order");
    assert_eq!(
        codebook.blocks.iter().map(|block| block.name.as_str()).collect::<Vec<_>>(),
        ["material", "instructions"]
    );
}

#[test]
fn the_hash_follows_every_change_but_not_the_ends_of_lines() {
    let plain = Codebook::of_text("all", EVERY_TYPE).unwrap();
    let windows = Codebook::of_text("all", &EVERY_TYPE.replace('\n', "\r\n")).unwrap();
    let marked = Codebook::of_text("all", &format!("\u{feff}{EVERY_TYPE}")).unwrap();
    assert_eq!(plain.hash, windows.hash);
    assert_eq!(plain.hash, marked.hash);
    let changed = Codebook::of_text("all", &EVERY_TYPE.replace("It does.", "It does so.")).unwrap();
    assert_ne!(plain.hash, changed.hash);
    let with = |partial: &str| {
        let partials =
            BTreeMap::from([("_p.md".to_owned(), partial.to_owned()), ("_q.md".to_owned(), "unused".to_owned())]);
        let text = EVERY_TYPE.replace("Answer.", "{% include \"_p.md\" %}");
        source::parse(Path::new("all.md"), &text, &partials).unwrap().hash
    };
    assert_ne!(with("one"), with("two"), "a partial that is included is part of the version");
}

#[test]
fn mistakes_are_refused_at_their_line() {
    let cases = [
        (small("name = \"x\"\ntype = \"text\"\ncolour = 1"), "prompts/t.md:9: unknown field `colour`"),
        (small("name = \"x\"\ntype = \"choice\""), "prompts/t.md:8: unknown field type `choice`"),
        (small("name = \"a b\"\ntype = \"text\""), "prompts/t.md:7: `a b` is no field name"),
        (small("name = \"\"\ntype = \"text\""), "prompts/t.md:7: a field needs a name"),
        (small("name = \"unit\"\ntype = \"text\""), "prompts/t.md:7: `unit` is a column of its own"),
        (small("name = \"x\"\ntype = \"label\""), "prompts/t.md:7: field `x` declares 0 labels"),
        (small(&LABELS.replace("\"b\"", "\"a\"")), "prompts/t.md:13: duplicate label `a`"),
        (small(&format!("{LABELS}\naliases = [\"bee\", \"a\"]")), "prompts/t.md:15: duplicate label or alias `a`"),
        (small(&format!("{LABELS}\nvalue = 1")), "prompts/t.md:15: this field's labels have no order"),
        (
            small(
                &LABELS
                    .replace("\"label\"\n[", "\"label\"\nlevel = \"ordinal\"\n[")
                    .replace("\"A\"", "\"A\"\nvalue = 1"),
            ),
            "prompts/t.md:15: label `b` has no value, though others have one",
        ),
        (
            small(
                &LABELS
                    .replace("\"label\"\n[", "\"label\"\nlevel = \"ordinal\"\n[")
                    .replace("\"A\"", "\"A\"\nvalue = 1")
                    .replace("\"B\"", "\"B\"\nvalue = 0.5"),
            ),
            "prompts/t.md:17: `b` does not have a higher value than `a`",
        ),
        (
            small(&format!("{LABELS}\nmissing = true")),
            "prompts/t.md:7: field `label` has 1 labels that are not `missing`",
        ),
        (
            small(&format!("{LABELS}\ncues = ['(']")),
            "prompts/t.md:15: this cue is no regular expression: error: unclosed group",
        ),
        (
            small(&format!("{LABELS}\n[[field]]\nname = \"label\"\ntype = \"text\"")),
            "prompts/t.md:16: duplicate field `label`",
        ),
        (
            small(&format!("{LABELS}\n[[field.collapse]]\nname = \"c\"\nmap = {{ a = \"x\", z = \"y\" }}")),
            "prompts/t.md:17: collapse `c` maps `z`, which is no label",
        ),
        (
            small(&format!("{LABELS}\n[[field.collapse]]\nname = \"c\"\nmap = {{ a = \"x\", b = \"x\" }}")),
            "prompts/t.md:17: collapse `c` leaves fewer than two labels",
        ),
        (small("name = \"x\"\ntype = \"score\"\nmin = 5\nmax = 5"), "prompts/t.md:7: min = 5 is not below max = 5"),
        (small("name = \"x\"\ntype = \"score\"\nstart = 101"), "prompts/t.md:7: start = 101 is outside 0 to 100"),
        (small("name = \"x\"\ntype = \"text\"\nmin = 5"), "prompts/t.md:7: field `x` of type text takes no `min`"),
        (small("name = \"x\"\ntype = \"shares\""), "prompts/t.md:7: too few parts"),
        (small("name = \"x\"\ntype = \"criteria\""), "prompts/t.md:7: criteria need at least one"),
        (
            small(LABELS).replace("task = \"t\"", "task = \"u\""),
            "prompts/t.md:2: task = \"u\" does not match the file name `t.md`",
        ),
        (
            small(LABELS).replace("sees = {}", "sees = { max_tokens = 199 }"),
            "prompts/t.md:5: max_tokens = 199 leaves no room",
        ),
        (small(LABELS).replace("sees = {}", "sees = { after = \"all\" }"), "prompts/t.md:5: unknown variant `all`"),
        (small(LABELS).replace("title = \"T\"\n", ""), "prompts/t.md:2: missing field `title`"),
        (small(LABELS).replacen("+++", "---", 1), "prompts/t.md:1: expected `+++`"),
        (small(LABELS).replace("+++\n{%", "{%"), "prompts/t.md:16: the front matter has no closing `+++`"),
        (small(LABELS).replace("{% block a %}x{% endblock %}", ""), "prompts/t.md:16: the template has no block"),
        (small(LABELS).replace("{% endblock %}", ""), "prompts/t.md:16: block `a` has no `endblock`"),
        (small(LABELS).replace("{% block a %}", ""), "prompts/t.md:16: this text stands outside every block"),
        (format!("{}stray\n", small(LABELS)), "prompts/t.md:17: this text stands outside every block"),
        (format!("{}{{% block a %}}y{{% endblock %}}\n", small(LABELS)), "prompts/t.md:17: duplicate block `a`"),
        (String::new(), "prompts/t.md:1: the front matter has no closing `+++`"),
    ];
    for (text, expected) in cases {
        let message = refused(&text);
        assert!(message.starts_with(expected), "expected {expected}\n     got {message}\n{text}");
    }
}

#[test]
fn an_error_carries_the_piece_of_the_file_and_often_a_way_out() {
    let error = Codebook::of_text("t", &small("name = \"x\"\ntype = \"choice\"")).unwrap_err();
    assert_eq!(
        error.help().map(|help| help.to_string()).as_deref(),
        Some("types: label, labels, score, number, flag, text, shares, evidence, criteria")
    );
    let CodebookError::Invalid(error) = &error else { panic!("an error in the file") };
    assert_eq!(error.piece(), "\"choice\"");
}

#[test]
fn comments_may_stand_between_blocks() {
    let text = small(LABELS).replace("{% block a %}", "{# why #}\n{% block a %}{# {% block b %} #}");
    assert_eq!(Codebook::of_text("t", &text).unwrap().blocks.len(), 1);
}

/// Every object in a schema, from the outside in.
fn objects<'v>(schema: &'v Value, found: &mut Vec<&'v Value>) {
    if let Value::Object(map) = schema {
        if map
            .get("type")
            .is_some_and(|kind| kind == "object" || kind.as_array().is_some_and(|any| any.contains(&json!("object"))))
        {
            found.push(schema);
        }
        map.values().for_each(|value| objects(value, found));
    }
}

fn keys<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                found.push(key);
                // Names of properties are the codebook's own words.
                let values: Vec<&Value> = if key == "properties" {
                    value.as_object().into_iter().flat_map(|map| map.values()).collect()
                } else {
                    vec![value]
                };
                values.into_iter().for_each(|value| keys(value, found));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}

#[test]
fn the_schema_keeps_to_what_every_provider_accepts() {
    let mut codebooks = Library::shipped().unwrap().codebooks().to_vec();
    codebooks.push(Codebook::with_every_type());
    let both = |codebook| [(codebook, answer_schema(codebook)), (codebook, group_schema(codebook))];
    for (codebook, schema) in codebooks.iter().flat_map(both) {
        assert!(
            schema.name.len() <= 64 && schema.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        );
        let mut found = Vec::new();
        objects(&schema.json, &mut found);
        assert!(!found.is_empty());
        for object in found {
            let properties: Vec<&String> =
                object["properties"].as_object().expect("an object has properties").keys().collect();
            assert_eq!(object["additionalProperties"], json!(false), "{}: every object is closed", codebook.task);
            assert_eq!(
                object["required"],
                json!(properties),
                "{}: every property is required, in order",
                codebook.task
            );
        }
        let mut used = Vec::new();
        keys(&schema.json, &mut used);
        const ACCEPTED: [&str; 7] =
            ["type", "properties", "required", "additionalProperties", "description", "enum", "items"];
        assert_eq!(used.iter().find(|key| !ACCEPTED.contains(key)), None, "{}: no keyword beyond these", codebook.task);
        let entry = schema.json.pointer("/properties/answers/items").unwrap_or(&schema.json);
        let order: Vec<&String> =
            entry["properties"].as_object().unwrap().keys().filter(|name| *name != "unit").collect();
        assert_eq!(order, codebook.fields.iter().map(|field| &field.name).collect::<Vec<_>>(), "the codebook's order");
    }
}

#[test]
fn every_shipped_codebook_of_prompts_says_whether_they_may_be_asked_for_together() {
    for codebook in Library::shipped().unwrap().codebooks() {
        assert_eq!(codebook.group.is_some(), codebook.unit == UnitKind::Prompt, "{}", codebook.task);
    }
}

#[test]
fn bounds_stand_in_descriptions_and_optional_fields_may_be_null() {
    let schema = answer_schema(&Codebook::with_every_type()).json;
    let property = |name: &str| &schema["properties"][name];
    assert_eq!(property("score"), &json!({ "type": "integer", "description": "a whole number from 0 to 10" }));
    assert_eq!(property("hours"), &json!({ "type": ["number", "null"] }));
    assert_eq!(property("mood"), &json!({ "type": ["string", "null"], "enum": ["good", "bad", null] }));
    assert_eq!(property("topics"), &json!({ "type": "array", "items": { "type": "string", "enum": ["ui", "db"] } }));
    assert_eq!(property("phases")["description"], json!("percentages that sum to 100"));
    assert_eq!(property("proof")["items"]["required"], json!(["event", "quote"]));
}
