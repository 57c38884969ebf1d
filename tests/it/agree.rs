//! `agree`: on any ratings file, and on a task's gold, raters and runs.

use crate::project::Project;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Cohen's kappa by its definition, (po − pe) / (1 − pe); NaN where pe is 1.
fn kappa(pairs: &[(&str, &str)]) -> f64 {
    let n = pairs.len() as f64;
    let (mut a, mut b) = (BTreeMap::<&str, f64>::new(), BTreeMap::<&str, f64>::new());
    for (x, y) in pairs {
        *a.entry(x).or_default() += 1.0 / n;
        *b.entry(y).or_default() += 1.0 / n;
    }
    let po = pairs.iter().filter(|(x, y)| x == y).count() as f64 / n;
    let pe: f64 = a.iter().map(|(label, share)| share * b.get(label).copied().unwrap_or(0.0)).sum();
    (po - pe) / (1.0 - pe)
}

fn close(got: &Value, expected: f64, what: &str) {
    let got = got.as_f64().unwrap_or_else(|| panic!("{what}: {got} is no number"));
    assert!((got - expected).abs() < 1e-9 * expected.abs().max(1.0), "{what}: {got}, expected {expected}");
}

fn ratings(pairs: &[(&str, &str)]) -> String {
    let rows = pairs.iter().enumerate().map(|(item, (a, b))| format!("i{item:03},h1,{a}\ni{item:03},h2,{b}\n"));
    std::iter::once("item,annotator,label\n".to_owned()).chain(rows).collect()
}

/// The one field of a ratings file.
fn agree(project: &Project, args: &[&str]) -> Value {
    let document = project.json(&[&["agree", "--replicates", "200"], args].concat());
    assert_eq!(document["fields"].as_array().map(Vec::len), Some(1));
    document["fields"][0].clone()
}

/// Ninety pairs over `labels`, of which every `apart`-th differs.
fn ninety<'l>(labels: &[&'l str], apart: usize) -> Vec<(&'l str, &'l str)> {
    let pick = |at: usize| labels[(at * at + at / 3) % labels.len()];
    (0..90).map(|at| (pick(at), if at % apart == 0 { pick(at + 1) } else { pick(at) })).collect()
}

#[test]
fn kappa_of_ninety_doubly_labelled_items_is_the_definitions() {
    let project = Project::empty();
    for (labels, apart) in
        [(&["yes", "no"][..], 4), (&["a", "b", "c"], 3), (&["a", "b", "c", "d", "e"], 2), (&["a", "b", "c", "d"], 11)]
    {
        let pairs = ninety(labels, apart);
        project.write("r.csv", ratings(&pairs));
        let field = agree(&project, &["r.csv", "--labels", &labels.join(",")]);
        let pair = &field["pairs"][0];
        assert_eq!((&pair["items"], &pair["a"], &pair["b"]), (&json!(90), &json!("h1"), &json!("h2")));
        close(&pair["cohen_kappa"]["value"], kappa(&pairs), "kappa");
        let same = pairs.iter().filter(|(a, b)| a == b).count();
        close(&pair["percent"], same as f64 / 90.0, "percent");
        let (low, high) = (pair["cohen_kappa"]["low"].as_f64().unwrap(), pair["cohen_kappa"]["high"].as_f64().unwrap());
        assert!(low < kappa(&pairs) && kappa(&pairs) < high);
        assert_eq!(pair["disagreements"].as_array().map(Vec::len), Some(90 - same));
        for label in pair["per_label"].as_array().unwrap() {
            let name = label["label"].as_str().unwrap();
            let rest: Vec<(&str, &str)> = pairs
                .iter()
                .map(|(a, b)| (if *a == name { "1" } else { "0" }, if *b == name { "1" } else { "0" }))
                .collect();
            close(&label["kappa"], kappa(&rest), "one label against the rest");
            let both = pairs.iter().filter(|(a, b)| *a == name && *b == name).count() as f64;
            let support = pairs.iter().filter(|(a, _)| *a == name).count();
            assert_eq!(label["support"], json!(support));
            close(&label["recall"], both / support as f64, "recall");
        }
    }
}

#[test]
fn swapping_the_raters_or_the_rows_changes_no_coefficient() {
    let project = Project::empty();
    let pairs = ninety(&["a", "b", "c"], 3);
    let swapped: Vec<(&str, &str)> = pairs.iter().map(|(a, b)| (*b, *a)).collect();
    let text = ratings(&pairs);
    let (header, rows) = text.split_once('\n').unwrap();
    let reversed: Vec<&str> = rows.lines().rev().collect();
    project
        .write("r.csv", &text)
        .write("s.csv", ratings(&swapped))
        .write("t.csv", format!("{header}\n{}\n", reversed.join("\n")));
    let of = |file: &str| agree(&project, &[file, "--labels", "a,b,c"])["pairs"][0].clone();
    let (plain, swapped, reversed) = (of("r.csv"), of("s.csv"), of("t.csv"));
    for name in ["cohen_kappa", "gwet_ac1", "brennan_prediger", "scott_pi"] {
        let value = |pair: &Value| pair[name]["value"].as_f64().unwrap();
        close(&plain[name]["value"], value(&swapped), name);
        close(&plain[name]["value"], value(&reversed), name);
    }
    let counts = |pair: &Value, a: usize, b: usize| pair["confusion"]["counts"][a][b].clone();
    assert_eq!(counts(&plain, 0, 1), counts(&swapped, 1, 0));
}

/// A worked case, where these lie beside the checkout.
fn case(id: &str) -> Option<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors");
    let text = fs::read_to_string(folder.join(format!("{id}.json"))).ok()?;
    Some((folder.join(format!("{id}.csv")).display().to_string(), serde_json::from_str(&text).expect("a case is JSON")))
}

/// A label list as an argument: CSV would need quotes, so only labels without a comma.
fn joined(labels: &Value) -> Option<String> {
    let labels: Vec<&str> = labels.as_array()?.iter().filter_map(Value::as_str).collect();
    (!labels.iter().any(|label| label.contains(','))).then(|| labels.join(","))
}

#[test]
fn label_coefficients_are_those_of_the_reference_implementations() {
    let project = Project::empty();
    let mut checked = 0;
    for id in ["a01", "a04", "a07", "a13", "a17", "a20", "b03", "b06"] {
        let Some((file, case)) = case(id) else {
            println!("skipped {id}: no worked cases beside this checkout");
            continue;
        };
        for check in case["checks"].as_array().unwrap() {
            let params = &check["params"];
            let (name, key) = match check["stat"].as_str().unwrap() {
                "cohen_kappa" if params["weights"] == "none" => ("cohen_kappa", "kappa"),
                "scott_pi" => ("scott_pi", "pi"),
                "gwet_ac" if params["weights"] == "identity" && params["items"] == "co-labelled" => {
                    ("gwet_ac1", "value")
                }
                "brennan_prediger" if params["weights"] == "identity" => ("brennan_prediger", "value"),
                _ => continue,
            };
            let labels = joined(&params["labels"]);
            let args: Vec<&str> = match &labels {
                Some(labels) => vec![&file, "--labels", labels],
                // Those seen are all that this case declares.
                None => vec![&file],
            };
            let found = &agree(&project, &args)["pairs"][0][name];
            match check["expect"][key].as_f64() {
                Some(expected) => close(&found["value"], expected, &format!("{id} {name}")),
                None => assert!(found["value"].is_null() && found["undefined"].is_string(), "{id} {name}: {found}"),
            }
            checked += 1;
        }
    }
    println!("{checked} numbers checked");
}

#[test]
fn score_coefficients_are_those_of_the_reference_implementations() {
    let Some((file, case)) = case("d01") else {
        println!("skipped d01: no worked cases beside this checkout");
        return;
    };
    let project = Project::empty();
    let field = agree(&project, &[&file, "--level", "interval"]);
    let pair = &field["pairs"][0];
    let expect = |stat: &str, key: &str| {
        let check = case["checks"].as_array().unwrap().iter().find(|check| check["stat"] == stat);
        check.and_then(|check| check["expect"][key].as_f64()).unwrap_or_else(|| panic!("{stat} {key}"))
    };
    let sign = if pair["a"] == "human" { 1.0 } else { -1.0 };
    close(&pair["bias"]["value"], sign * expect("error", "bias_b_minus_a"), "bias");
    close(&pair["mae"]["value"], expect("error", "mae"), "mae");
    close(&pair["rmse"]["value"], expect("error", "rmse"), "rmse");
    for (name, stat, key) in
        [("pearson", "pearson", "r"), ("spearman", "spearman", "rho"), ("kendall_tau_b", "kendall_tau_b", "tau")]
    {
        close(&pair[name]["value"], expect(stat, key), name);
    }
}

const SCORES: &str =
    "item,annotator,label\ni1,h,10\ni1,m,20\ni2,h,40\ni2,m,30\ni3,h,70\ni3,m,90\ni4,h,80\ni4,m,\ni5,h,55.5\ni5,m,60\n";

#[test]
fn scores_have_the_contracts_keys() {
    let project = Project::empty();
    project.write("r.csv", SCORES);
    let field = agree(&project, &["r.csv", "--level", "interval"]);
    let pair = &field["pairs"][0];
    assert_eq!((&field["level"], &pair["items"]), (&json!("interval"), &json!(4)));
    for name in [
        "bias",
        "mae",
        "rmse",
        "limits_of_agreement",
        "icc_a1",
        "icc_c1",
        "ccc",
        "spearman",
        "pearson",
        "kendall_tau_b",
        "krippendorff_alpha",
        "mode_share",
    ] {
        assert!(pair.get(name).is_some_and(|figure| figure["value"].is_number()), "{name}: {}", pair[name]);
    }
    close(&pair["bias"]["value"], (10.0 - 10.0 + 20.0 + 4.5) / 4.0, "bias");
    close(&pair["mae"]["value"], (10.0 + 10.0 + 20.0 + 4.5) / 4.0, "mae");
    assert_eq!(field["raters"][1], json!({ "rater": "m", "items": 4, "missing": 1, "invalid": 0 }));
    assert_eq!(pair["disagreements"][0], json!({ "unit": "i3", "a": 70.0, "b": 90.0 }));
}

#[test]
fn labels_have_the_contracts_keys() {
    let project = Project::empty();
    project.write("r.csv", ratings(&ninety(&["a", "b", "c"], 3)));
    let document = project.json(&["agree", "r.csv", "--replicates", "200"]);
    let field = &document["fields"][0];
    let has = |value: &Value, keys: &str| {
        keys.split(' ').for_each(|key| assert!(value.get(key).is_some(), "no `{key}` in {value}"));
    };
    has(field, "task field level labels cluster clusters items raters pairs all human_ceiling warnings");
    has(&field["raters"][0], "rater items missing invalid");
    let pair = &field["pairs"][0];
    has(
        pair,
        "a b items percent cohen_kappa gwet_ac1 brennan_prediger scott_pi confusion per_label collapses warnings disagreements",
    );
    for name in ["cohen_kappa", "gwet_ac1", "brennan_prediger", "scott_pi"] {
        has(&pair[name], "value se low high method undefined");
    }
    has(&pair["confusion"], "labels counts");
    has(&pair["per_label"][0], "label support precision recall f1 kappa");
    has(&pair["disagreements"][0], "unit a b");
    has(&field["all"], "krippendorff_alpha fleiss_kappa gwet_ac1 mean_pairwise_kappa");
}

#[test]
fn raters_who_use_one_label_have_an_undefined_kappa_with_a_reason() {
    let project = Project::empty();
    project.write("r.csv", ratings(&[("ok", "ok"); 20]));
    let field = agree(&project, &["r.csv", "--labels", "bad,ok"]);
    let found = &field["pairs"][0]["cohen_kappa"];
    assert!(found["value"].is_null() && found["low"].is_null(), "{found}");
    assert!(found["undefined"].as_str().is_some_and(|reason| reason.contains("ok")), "{found}");
    close(&field["pairs"][0]["percent"], 1.0, "percent");
    close(&field["pairs"][0]["brennan_prediger"]["value"], 1.0, "brennan_prediger");
    let table = project.ok(&["agree", "r.csv", "--labels", "bad,ok", "--replicates", "200"]).out;
    assert!(table.contains("undefined") || table.contains('–'), "{table}");
    // One constant rater: 0 by construction.
    let pairs: Vec<(&str, &str)> = (0..20).map(|at| ("ok", if at < 5 { "bad" } else { "ok" })).collect();
    project.write("r.csv", ratings(&pairs));
    close(&agree(&project, &["r.csv"])["pairs"][0]["cohen_kappa"]["value"], 0.0, "kappa");
}

#[test]
fn files_of_any_make_are_read_alike() {
    let project = Project::empty();
    let text = ratings(&ninety(&["a", "b"], 4));
    let of = |content: &str| {
        project.write("r.csv", content);
        agree(&project, &["r.csv"])["pairs"][0]["cohen_kappa"].clone()
    };
    let plain = of(&text);
    assert_eq!(of(&format!("\u{feff}{text}")), plain);
    assert_eq!(of(&text.replace('\n', "\r\n")), plain);
    assert_eq!(of(text.trim_end()), plain);
    assert_eq!(of(&text.replace('\n', "\n\n")), plain);
    assert_eq!(of(&text.replace(",a\n", ",\"a\"\n")), plain);
    assert_eq!(of(&format!("{text}i000,h1,a\n")), plain, "the same row twice is one");
}

#[test]
fn a_file_that_cannot_be_understood_is_refused_with_its_line() {
    let project = Project::empty();
    let said = |content: &[u8], more: &[&str]| {
        project.write("r.csv", content);
        project.refused(&[&["agree", "r.csv"], more].concat())
    };
    const HEAD: &str = "item,annotator,label\n";
    let rows = |rows: &str| format!("{HEAD}{rows}").into_bytes();
    insta::assert_snapshot!(said(&rows("i1,h1,a\ni2,h1,b\ni1,h1,b\n"), &[]), @"
    error: r.csv:4: item 'i1': annotator 'h1' has two different answers, 'a' and 'b'
    hint: keep one of the two rows, or give the second pass an annotator name of its own
    ");
    insta::assert_snapshot!(said(&rows("i1,h1,a\ni1,h2,c\n"), &["--labels", "a,b"]), @"
    error: r.csv:3: item 'i1': annotator 'h2' used the label 'c', which is not declared (declared: a, b)
    hint: correct the row, or add the label to the declared ones (labels are taken as they are, blanks included)
    ");
    insta::assert_snapshot!(said(&rows("i1,h1,a\r\ni1,h2,c\r\n"), &["--labels", "a,b"]), @"
    error: r.csv:3: item 'i1': annotator 'h2' used the label 'c', which is not declared (declared: a, b)
    hint: correct the row, or add the label to the declared ones (labels are taken as they are, blanks included)
    ");
    insta::assert_snapshot!(said(b"item,rater,label\ni1,h1,a\n", &[]), @"
    error: r.csv:1: no column 'annotator' (the columns are: item, rater, label); the header must name item, annotator, label
    hint: the long form has one row a rating: item,annotator,label
    ");
    insta::assert_snapshot!(said(b"item;annotator;label\ni1;h1;a\n", &[]), @"
    error: r.csv:1: no column 'item' (the columns are: item;annotator;label); the header must name item, annotator, label
    hint: the long form has one row a rating: item,annotator,label
    ");
    insta::assert_snapshot!(said(b"item,annotator,label,label\ni1,h1,a,b\n", &[]), @"error: r.csv:1: the column 'label' is there twice; rename or remove one");
    insta::assert_snapshot!(said(b"", &[]), @"
    error: r.csv:1: no column 'item' (the columns are: ); the header must name item, annotator, label
    hint: the long form has one row a rating: item,annotator,label
    ");
    insta::assert_snapshot!(said(HEAD.as_bytes(), &[]), @"error: r.csv: no ratings below the header");
    insta::assert_snapshot!(said(&[&rows("i1,h1,a\n")[..], b"i2,h1,caf\xe9\n"].concat(), &[]), @"
    error: r.csv:3: this row is not UTF-8
    hint: the file is not in UTF-8: save it as that (in a spreadsheet: CSV UTF-8)
    ");
    insta::assert_snapshot!(said(&rows("i1,h1,a\ni1,h2\n"), &[]), @"
    error: r.csv:3: this row has 2 cells, the header has 3
    hint: a label that holds a comma, a quote or a line break stands in double quotes, its own quotes doubled
    ");
    insta::assert_snapshot!(said(&rows("i1,h1,\"a\ni1,h2,a\n"), &[]), @r#"
    error: r.csv:2: the double quote that opens here is never closed
    hint: close it, or double it ("") where it belongs to the label itself
    "#);
    insta::assert_snapshot!(said(&rows("i1,,a\n"), &[]), @"
    error: r.csv:2: an empty annotator
    hint: every row names an item and an annotator; only the label may be empty
    ");
    insta::assert_snapshot!(said(&rows("i1,h1,high\n"), &["--level", "interval"]), @"
    error: r.csv:2: item 'i1': annotator 'h1' gave 'high', which is not a number
    hint: correct the row, empty the cell if the answer is missing, or choose the level nominal
    ");
    insta::assert_snapshot!(said(&rows("i1,h1,a\n"), &["--labels", "a"]), @"error: the declared labels: 1 label declared: with fewer than two there is nothing to annotate");
    insta::assert_snapshot!(said(&rows("i1,h1,a\n"), &["--reference", "gold"]), @"error: no rater 'gold' (the raters are: h1)");
    insta::assert_snapshot!(said(&rows("i1,h1,a\n"), &["--by", "team"]), @"
    error: r.csv:1: no column 'team' (the columns are: item, annotator, label); the header must name item, annotator, label, team
    hint: the long form has one row a rating: item,annotator,label
    ");
    insta::assert_snapshot!(project.refused(&["agree", "none.csv"]), @"error: cannot open none.csv: No such file or directory (os error 2)");
    assert!(project.refused(&["agree"]).contains("<FILE>"));
    assert!(project.refused(&["agree", "r.csv", "--task", "tone"]).contains("cannot be used with"));
}

#[test]
fn items_are_clustered_by_session_where_a_file_says_so() {
    let project = Project::empty();
    project.write("r.csv", ratings(&ninety(&["a", "b", "c"], 3)));
    let items = |column: &str| -> String {
        let rows = (0..90).map(|item| format!("i{item:03},s{},t{}\n", item / 3, item / 9));
        std::iter::once(format!("item,{column},team\n")).chain(rows).collect()
    };
    project.write("items.csv", items("session"));
    let clusters = |more: &[&str]| {
        let field = agree(&project, &[&["r.csv"], more].concat());
        (field["cluster"].as_str().unwrap().to_owned(), field["clusters"].as_u64().unwrap())
    };
    assert_eq!(clusters(&["--items", "items.csv"]), ("session".to_owned(), 30));
    assert_eq!(clusters(&["--items", "items.csv", "--by", "team"]), ("team".to_owned(), 10));
    assert_eq!(clusters(&["--items", "items.csv", "--by", "item"]), ("item".to_owned(), 90));
    assert_eq!(clusters(&[]), ("item".to_owned(), 90));
    let method = agree(&project, &["r.csv", "--items", "items.csv"])["pairs"][0]["cohen_kappa"]["method"].clone();
    assert_eq!(method, "cluster bootstrap, t-expanded");
    insta::assert_snapshot!(project.refused(&["agree", "r.csv", "--items", "items.csv", "--by", "squad"]), @"
    error: r.csv:1: no column 'squad' (the columns are: item, annotator, label); the header must name item, annotator, label, squad
    hint: the long form has one row a rating: item,annotator,label
    ");
    // A column that is not there leaves each item by itself, and says so.
    project.write("items.csv", items("sesion"));
    let ran = project.ok(&["agree", "r.csv", "--items", "items.csv", "--replicates", "200"]);
    assert_eq!(ran.err, "note: items.csv: no column 'session', so each item is its own cluster\n");
    let rest: String = items("session").lines().take(90).map(|line| format!("{line}\n")).collect();
    project.write("items.csv", rest);
    insta::assert_snapshot!(project.refused(&["agree", "r.csv", "--items", "items.csv"]), @"error: items.csv: no line for item 'i089', which is rated in r.csv; add it, or leave the items file out");
}

#[test]
fn a_single_rater_is_no_agreement_and_that_is_said() {
    let project = Project::empty();
    project.write("r.csv", "item,annotator,label\ni1,h1,a\ni2,h1,b\n");
    let ran = project.ok(&["agree", "r.csv", "--replicates", "200"]);
    assert_eq!(ran.err, "note: label: `h1` is the only rater, so there is nothing to compare\n");
}

/// Items in sessions of unequal size, three raters with gaps; items in the order of `places`.
fn in_sessions(places: impl Iterator<Item = usize>, answer: impl Fn(usize, usize) -> String) -> (String, String) {
    let (mut ratings, mut items) = ("item,annotator,label\n".to_owned(), "item,session\n".to_owned());
    for item in places {
        items.push_str(&format!("i{item},s{}\n", item * item % 90));
        for rater in (0..3).filter(|rater| item == 0 || (item + rater) % 17 > 0) {
            ratings.push_str(&format!("i{item},r{rater},{}\n", answer(item, rater)));
        }
    }
    (ratings, items)
}

fn label(item: usize, rater: usize) -> String {
    let pick = if (item * 31 + rater * 7).is_multiple_of(5) { item + rater } else { item };
    ["yes", "no", "unclear", "other"][pick * pick % 7 % 4].to_owned()
}

#[test]
fn the_numbers_are_the_same_for_any_number_of_threads() {
    let project = Project::empty();
    let score = |item: usize, rater: usize| format!("{}", (item * 37 + item * rater * 11 / 3) % 101);
    let (labels, items) = in_sessions(0..600, label);
    project.write("labels.csv", labels);
    project.write("items.csv", items);
    project.write("scores.csv", in_sessions(0..200, score).0);
    let runs: [&[&str]; 4] = [
        &["labels.csv", "--items", "items.csv", "--reference", "r1"],
        &["labels.csv", "--level", "ordinal", "--labels", "yes,unclear,other,no"],
        &["scores.csv", "--level", "interval", "--items", "items.csv"],
        &["scores.csv", "--level", "interval"],
    ];
    for args in runs {
        let args = [&["agree", "--json", "--replicates", "400", "--seed", "5"], args].concat();
        let printed = |threads: &str| {
            let ran = project.run_with(&args, &[("RAYON_NUM_THREADS", threads)]);
            assert_eq!(ran.code, 0, "{args:?}: {}", ran.err);
            ran.out
        };
        let alone = printed("1");
        assert!(alone.contains("bootstrap"), "{args:?} resampled nothing");
        assert!(["2", "5"].into_iter().all(|threads| printed(threads) == alone), "{args:?} depends on threads");
    }
}

#[test]
fn the_numbers_are_the_same_in_any_order_of_items() {
    let project = Project::empty();
    let mut found = [false, true].map(|turned| {
        // The first item stays, so that the raters come in the same order.
        let places = (0..1).chain((1..600).map(|item| if turned { 600 - item } else { item }));
        let (ratings, items) = in_sessions(places, label);
        project.write("r.csv", ratings);
        project.write("items.csv", items);
        agree(&project, &["r.csv", "--items", "items.csv"])
    });
    for pair in found.iter_mut().flat_map(|field| field["pairs"].as_array_mut().unwrap()) {
        let disagreements = pair["disagreements"].as_array_mut().unwrap();
        disagreements.sort_by_key(|one| one["unit"].to_string());
    }
    assert_eq!(found[0], found[1]);
}
