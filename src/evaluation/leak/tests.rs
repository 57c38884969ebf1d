use super::*;

/// A codebook whose label `rough` has these examples (as TOML), and whose instructions say this.
fn codebook(examples: &str, instructions: &str) -> Codebook {
    let text = format!(
        "+++\ntask = \"tone\"\ntitle = \"Tone\"\nunit = \"prompt\"\nsees = {{ max_tokens = 2000 }}\n\n[[field]]\nname = \"label\"\n\
         type = \"label\"\n[[field.label]]\nname = \"rough\"\ndefinition = \"Rough.\"\nexamples = [{examples}]\n[[field.label]]\n\
         name = \"calm\"\ndefinition = \"Calm.\"\n+++\n{{% block material %}}{{{{ material.open }}}}{{{{ material.text }}}}\
         {{{{ material.close }}}}{{% endblock %}}\n{{% block instructions %}}{instructions} {{% for l in field.label.labels %}}\
         {{{{ l.examples|join(\"” and also this “\") }}}}{{% endfor %}}{{% endblock %}}\n"
    );
    Codebook::of_text("tone", &text).unwrap()
}

fn unit(id: &str, split: Option<Split>, prompts: &[&str]) -> UnitText {
    let prompts = prompts.iter().map(|prompt| (*prompt).to_owned()).collect();
    UnitText { unit: UnitId::from_text(id), split, prompts }
}

fn prompts(texts: &[&str]) -> Vec<UnitText> {
    (1..).zip(texts).map(|(n, text)| unit(&format!("codex:a#{n}"), None, &[text])).collect()
}

fn found(codebook: &Codebook, units: &[UnitText]) -> Vec<(String, Option<String>)> {
    let leaks = leaks(codebook, &BTreeMap::new(), units).into_iter();
    leaks.map(|leak| (leak.unit.to_string(), leak.label)).collect()
}

fn of(id: &str, label: Option<&str>) -> (String, Option<String>) {
    (id.to_owned(), label.map(str::to_owned))
}

#[test]
fn an_example_of_some_length_may_be_a_part_of_the_unit_whatever_its_spacing_and_case() {
    let codebook = codebook(r#""Why on earth's this  still broken""#, "Label it.");
    let units = prompts(&[
        "Hm. WHY on\n  earth’s this still broken? I give up.",
        "why on earth's this still brokenness",
        "why is this still broken",
    ]);
    assert_eq!(found(&codebook, &units), [of("codex:a#1", Some("rough"))]);
    let session = unit("codex:b", None, &["go on", "so why on earth's this still broken, then"]);
    assert_eq!(found(&codebook, &[session]), [of("codex:b", Some("rough"))]);
}

#[test]
fn a_short_example_has_to_be_all_that_the_unit_says() {
    let codebook = codebook(r#""No, stop""#, "Label it.");
    let mut units = prompts(&["no,  STOP", "no, stop it at once, please"]);
    units.push(unit("codex:b", None, &["no, stop", "and go on"]));
    assert_eq!(found(&codebook, &units), [of("codex:a#1", Some("rough"))]);
}

#[test]
fn passages_of_the_template_are_examples_quoted_or_not_and_what_the_engine_reads_is_none() {
    let quoting = "Such as “could you make the tests green again?” or \"do it now\".";
    let units = prompts(&[
        "hey, could you make the tests green again? thanks",
        "do it now",
        "” and also this “",
        "l in field.label.labels",
    ]);
    assert_eq!(found(&codebook("", quoting), &units), [of("codex:a#1", None)]);
    let bare = "Examples:\n- rename all of the columns please -> calm\n- why -> rough";
    let units = prompts(&["Rename all of the columns, please", "rename all of the columns please", "why"]);
    assert_eq!(found(&codebook("", bare), &units), [of("codex:a#2", None)]);
    assert!(has_examples(&codebook("", bare), &BTreeMap::new()));
    assert!(has_examples(&codebook(r#""No, stop""#, "Label it."), &BTreeMap::new()));
    assert!(!has_examples(&codebook("", "Label it."), &BTreeMap::new()));
}

#[test]
fn partial_templates_count_where_they_are_included() {
    let codebook = codebook("", "{% include \"_shots.md\" %}");
    let shots = ("_shots.md".to_owned(), "{% include \"_more.md\" %}".to_owned());
    let more = ("_more.md".to_owned(), "“have a look at the failing login test”".to_owned());
    let partials = BTreeMap::from([shots, more.clone()]);
    let units = prompts(&["Have a look at the failing login test."]);
    assert_eq!(leaks(&codebook, &partials, &units).len(), 1);
    let other = BTreeMap::from([("_other.md".to_owned(), more.1)]);
    assert_eq!(leaks(&codebook, &other, &units), []);
}

#[test]
fn units_of_the_test_split_are_counted_and_not_named() {
    let codebook = codebook(r#""why is this still broken?", "stop""#, "Label it.");
    let units = [
        unit("codex:a#1", Some(Split::Dev), &["why is this still broken?"]),
        unit("codex:a#2", Some(Split::Test), &["and why is this still broken?"]),
        unit("codex:a#3", Some(Split::Test), &["Stop"]),
        unit("codex:a#4", None, &["fine"]),
    ];
    let check = LeakCheck::of(&codebook, &BTreeMap::new(), &units, 5, false);
    assert_eq!((check.units, check.unread, check.not_made), (4, 1, None));
    let warning = check.warning().unwrap();
    assert_eq!(
        warning,
        "the gold holds examples of the codebook (3 units), and whoever is shown the answer knows it: “why is this still broken?” of \
         `rough` in codex:a#1, 1 unit of the test split; “stop” of `rough` in 1 unit of the test split. Replace these examples, or drop \
         these units from the gold"
    );
    let shown = LeakCheck::of(&codebook, &BTreeMap::new(), &units, 5, true);
    assert_eq!(shown.found[0].units, ["codex:a#1", "codex:a#2"]);
    assert_eq!(LeakCheck::of(&codebook, &BTreeMap::new(), &[], 3, false).warning(), None);
}

#[test]
fn none_of_the_shipped_examples_leaks_into_another_ones_words() {
    let library = crate::codebook::Library::shipped().unwrap();
    for codebook in library.codebooks() {
        let examples = examples(codebook, library.partials());
        let fresh = unit("codex:a#1", None, &["Please write down how the importer deals with leap seconds."]);
        assert_eq!(leaks(codebook, library.partials(), &[fresh]), []);
        if let Some(example) = examples.iter().find(|example| example.text.len() > 30) {
            let text = format!("well – {}", example.text);
            let same = unit("codex:a#1", None, &[&text]);
            assert_eq!(leaks(codebook, library.partials(), &[same])[0].example, example.text);
        }
    }
}
