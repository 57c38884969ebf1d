//! `annotate --samples K`: K stored answers a unit, their vote in the flat files, the summary and the agreement with gold.

use crate::context::{Context, session_id, target};
use crate::fake::{Asked, Fake, Reply};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What most samples say of a prompt.
fn voted(prompt: usize) -> &'static str {
    if prompt.is_multiple_of(2) { "calm" } else { "cross" }
}

fn other(label: &str) -> &'static str {
    if label == "calm" { "cross" } else { "calm" }
}

/// A server that gives each sample other words, and of every three samples of a unit one another label: which one depends on the unit.
fn divided() -> Fake {
    Fake::plan(|_| Reply::Answer)
        .answer(|asked, _| {
            let (session, prompt) = target(asked);
            let is_odd_one_out = asked.nth % 3 == (session + prompt) % 3;
            let label = if is_odd_one_out { other(voted(prompt)) } else { voted(prompt) };
            json!({ "reason": format!("answer {} to {session}-{prompt}", asked.nth), "label": label })
        })
        .start()
}

/// The rows of `annotations.csv`, by column.
fn flat(context: &Context, run: &str) -> Vec<BTreeMap<String, String>> {
    let mut table = csv::Reader::from_path(context.run_folder(run).join("annotations.csv")).unwrap();
    table.deserialize().collect::<Result<_, _>>().unwrap()
}

fn summary(context: &Context, run: &str) -> Value {
    let text = std::fs::read_to_string(context.run_folder(run).join("summary.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn gold(label: impl Fn(usize) -> &'static str) -> String {
    let rows = (1..=4).flat_map(|session| (1..=6).map(move |prompt| (session, prompt)));
    let rows =
        rows.map(|(session, prompt)| format!("claude_code:{}#{prompt},gold,{}\n", session_id(session), label(prompt)));
    format!("unit,rater,label\n{}", rows.collect::<String>())
}

#[test]
fn samples_are_stored_one_by_one_and_vote() {
    let context = Context::with_sessions(4, 6);
    let fake = divided();
    let told = context.annotate(&fake, &["--samples", "3"]).with(0);
    assert_eq!((fake.seen().len(), context.stored().len()), (72, 72));
    let rows = context.rows("mood");
    assert_eq!(rows.len(), 72);
    for (unit, samples) in rows.chunks(3).enumerate() {
        let prompt = unit % 6 + 1;
        assert!(samples.iter().enumerate().all(|(at, row)| row["sample"] == at && row["unit"] == samples[0]["unit"]));
        let mut reasons: Vec<&str> = samples.iter().map(|row| row["fields"]["reason"].as_str().unwrap()).collect();
        reasons.sort_unstable();
        reasons.dedup();
        assert_eq!(reasons.len(), 3, "three answers, not one three times");
        assert_eq!(samples.iter().filter(|row| row["fields"]["label"] == voted(prompt)).count(), 2);
    }
    let is_first_other = |unit: &[Value]| {
        unit[0]["fields"]["label"] != unit[1]["fields"]["label"]
            && unit[1]["fields"]["label"] == unit[2]["fields"]["label"]
    };
    assert!(rows.chunks(3).any(is_first_other), "the first sample would have done as well");

    let flat_rows = flat(&context, "mood");
    assert_eq!(flat_rows.len(), 24, "a row a unit");
    for (at, row) in flat_rows.iter().enumerate() {
        assert_eq!(row["label"], voted(at % 6 + 1));
        assert_eq!((&*row["samples"], &*row["samples_answered"]), ("3", "3"));
        assert!((row["vote_share.label"].parse::<f64>().unwrap() - 2.0 / 3.0).abs() < 1e-12);
        // The words are those of a sample that gave this label.
        let spokesman = &rows[at * 3 + row["sample"].parse::<usize>().unwrap()];
        assert_eq!(
            (&spokesman["fields"]["reason"], &spokesman["fields"]["label"]),
            (&json!(row["reason"]), &json!(row["label"]))
        );
        let tokens: u64 = rows[at * 3..at * 3 + 3].iter().map(|row| row["usage"]["input"].as_u64().unwrap()).sum();
        assert_eq!(row["input"], tokens.to_string());
    }
    let summary = summary(&context, "mood");
    assert_eq!(
        summary["fields"][0]["labels"],
        json!([{ "label": "calm", "count": 12 }, { "label": "cross", "count": 12 }])
    );
    let votes = &summary["votes"];
    assert_eq!((&votes["samples"], &votes["units"]), (&json!(3), &json!(24)));
    assert_eq!((&votes["fields"][0]["unanimous"], &votes["fields"][0]["tied"]), (&json!(0), &json!(0)));
    let said = "mood: the vote of 3 samples is shown; 67 % of the samples agree with it, all of them on 0 of 24 units";
    assert_eq!(told.lines("mood: the vote"), [said]);

    let before = context.files("runs");
    context.annotate(&fake, &["--samples", "3"]).with(0);
    assert!(before == context.files("runs"), "a file of the run has changed");
    // More samples ask only for those that are new, fewer for none.
    context.annotate(&fake, &["--samples", "5"]).with(0);
    assert_eq!((fake.seen().len(), context.rows("mood").len(), context.stored().len()), (120, 120, 120));
    context.annotate(&fake, &["--samples", "1"]).with(0);
    assert_eq!((fake.seen().len(), context.rows("mood").len()), (120, 24));
    assert!(!flat(&context, "mood")[0].contains_key("samples"), "one sample has no vote");
}

#[test]
fn the_vote_is_compared_with_gold_and_not_the_first_sample() {
    let context = Context::with_sessions(4, 6);
    context.write("gold/mood.csv", &gold(voted));
    context.annotate(&divided(), &["--samples", "3", "--fail-under", "kappa=0.99"]).with(0);
    let summary = summary(&context, "mood");
    assert_eq!((&summary["agreement"][0]["items"], &summary["agreement"][0]["percent"]), (&json!(24), &json!(1.0)));
    let told = context.run(&["agree", "--task", "mood", "--json", "--replicates", "200"]).with(0).json();
    let field = &told["fields"][0];
    assert_eq!((&field["pairs"][0]["items"], &field["pairs"][0]["cohen_kappa"]["value"]), (&json!(24), &json!(1.0)));
    let warnings = field["warnings"].to_string();
    assert!(warnings.contains("the vote of 3 samples is compared; 67 % of the samples agree with it"), "{warnings}");
    // Every unit has two votes against one, and the vote is right throughout.
    let own = &field["self_consistency"][0];
    assert_eq!((&own["samples"], &own["units"], &own["tied"]), (&json!(3), &json!(24), &json!(0)));
    assert!((own["mean_vote_share"].as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-12 && own["unanimous"] == 0.0);
    // Half of the 72 answers are calm: Do = 24 · 2, De = 2 · 36 · 36 / 71.
    let alpha = 1.0 - 48.0 / (2.0 * 36.0 * 36.0 / 71.0);
    assert!((own["krippendorff_alpha"]["value"].as_f64().unwrap() - alpha).abs() < 1e-12, "{own}");
    let calibration = &field["calibration"][0];
    assert_eq!((&calibration["source"], &calibration["accuracy"]["value"]), (&json!("vote_share"), &json!(1.0)));
    assert!((calibration["overconfidence"]["value"].as_f64().unwrap() + 1.0 / 3.0).abs() < 1e-12);
}

#[test]
fn a_tie_is_told_wherever_votes_are() {
    let context = Context::with_sessions(2, 2);
    let fake = Fake::plan(|_| Reply::Answer)
        .answer(|asked, _| {
            let label = if target(asked) == (1, 1) || asked.nth == 0 { "calm" } else { "cross" };
            json!({ "reason": "", "label": label })
        })
        .start();
    let told = context.annotate(&fake, &["--samples", "2"]).with(0);
    let ties = "all of them on 1 of 4 units; 3 of 4 units are ties, where the answer that came first stands";
    assert!(told.stderr.contains(ties), "{}", told.stderr);
    let rows = context.rows("mood");
    let flat = flat(&context, "mood");
    assert_eq!((&*flat[0]["detail"], &*flat[0]["vote_share.label"]), ("", "1"));
    for (unit, row) in rows.chunks(2).zip(&flat).skip(1) {
        assert_eq!(row["detail"], "a tie in label: the answer that came first stands");
        assert_eq!((unit[0]["fields"]["label"].as_str().unwrap(), &*row["vote_share.label"]), (&*row["label"], "0.5"));
    }
    assert_eq!(summary(&context, "mood")["votes"]["fields"][0]["tied"], 3);
    context.write("gold/mood.csv", &format!("unit,rater,label\nclaude_code:{}#1,gold,calm\n", session_id(1)));
    let told = context.run(&["agree", "--task", "mood", "--json", "--replicates", "200"]).with(0).json();
    let warnings = told["fields"][0]["warnings"].to_string();
    assert!(
        warnings.contains("all of them on 1 of 1 units") && !warnings.contains("tie"),
        "only what is compared: {warnings}"
    );
}

#[test]
fn samples_without_an_answer_do_not_vote() {
    // Of the first prompt one sample never gives an answer, of the second none does.
    let never = |asked: &Asked| match target(asked) {
        (1, 1) => asked.prompt.contains("could not be used") || asked.nth == 1,
        (1, 2) => true,
        _ => false,
    };
    let fake = Fake::plan(move |asked| if never(asked) { Reply::Garbage } else { Reply::Answer })
        .answer(|_, _| json!({ "reason": "r", "label": "cross" }))
        .start();
    let context = Context::with_sessions(1, 3);
    context
        .write("gold/mood.csv", &gold(|_| "cross").lines().take(4).map(|line| format!("{line}\n")).collect::<String>());
    context.annotate(&fake, &["--samples", "3"]).with(1);
    let flat = flat(&context, "mood");
    let of = |row: usize| {
        let row = &flat[row];
        (&*row["status"], &*row["label"], &*row["samples"], &*row["samples_answered"])
    };
    assert_eq!(of(0), ("ok", "cross", "3", "2"));
    assert_eq!(flat[0]["detail"], "1 of 3 samples have no answer (invalid)");
    assert!((flat[0]["vote_share.label"].parse::<f64>().unwrap() - 2.0 / 3.0).abs() < 1e-12);
    assert_eq!((of(1), &*flat[1]["vote_share.label"]), (("invalid", "", "3", "0"), ""));
    assert_eq!(of(2), ("ok", "cross", "3", "3"));
    let summary = summary(&context, "mood");
    assert_eq!(summary["fields"][0]["answered"], 2);
    assert_eq!((&summary["reasons"][0]["status"], &summary["reasons"][0]["units"]), (&json!("invalid"), &json!(4)));
    let told = context.run(&["agree", "--task", "mood", "--json", "--replicates", "200"]).with(0).json();
    let field = &told["fields"][0];
    assert_eq!(field["raters"][1]["invalid"], 1, "{}", field["raters"]);
    assert_eq!((&field["pairs"][0]["items"], &field["pairs"][0]["percent"]), (&json!(2), &json!(1.0)));
}
