use super::*;
use serde_json::json;

fn label_kind() -> FieldKind {
    FieldKind::Flag { cues: vec![] }
}

#[test]
fn answers_are_written_as_people_read_them() {
    let shown: Vec<String> = [
        json!("no"),
        json!(["a", "b"]),
        json!([]),
        json!({"reading": 20.5, "writing": 79.5}),
        json!(97.0),
        json!(true),
    ]
    .iter()
    .map(words)
    .collect();
    assert_eq!(shown, ["no", "a, b", "none", "reading 20.5, writing 79.5", "97", "true"]);
}

#[test]
fn distances_are_nothing_for_the_same_answer_and_one_for_the_farthest() {
    let codebook = Codebook::with_every_type();
    for field in &codebook.fields {
        let same = match &field.kind {
            FieldKind::Score(score) => Some((json!(score.min), json!(score.max))),
            FieldKind::Shares(parts) => {
                let all = |name: &str| json!({ name: 100 });
                Some((all(&parts[0].name), all(&parts[1].name)))
            }
            FieldKind::Labels(_) => Some((json!(["a", "b"]), json!(["a"]))),
            _ => None,
        };
        if let Some((a, b)) = same {
            assert_eq!((distance(&field.kind, &a, &a), distance(&field.kind, &a, &b)), (0.0, 1.0), "{}", field.name);
        }
    }
    // A gold score may be a fraction and a model's is whole: the same number is the same answer.
    assert_eq!(distance(&label_kind(), &json!(true), &json!(false)), 1.0);
    assert_eq!(distance(&FieldKind::Number, &json!(3.0), &json!(3)), 0.0);
    assert_eq!(distance(&FieldKind::Labels(labels()), &json!(["a", "b"]), &json!(["b", "a"])), 0.0);
}

fn labels() -> crate::codebook::Labels {
    crate::codebook::Labels { labels: vec![], ordinal: false, collapses: vec![] }
}

#[test]
fn a_case_tells_more_when_more_models_differ_then_when_humans_agree() {
    let rank = |models, humans_agree, sure| Rank { models, humans_agree, distance: 1.0, sure };
    assert!(rank(2, false, 0.0) > rank(1, true, 1.0));
    assert!(rank(1, true, 0.1) > rank(1, false, 0.9));
    assert!(rank(1, true, 0.9) > rank(1, true, 0.1));
}
