//! That the pieces are the material, whatever the words in it, and that nothing after a prompt is in any of them.

use super::*;
use crate::codebook::{Sees, UnitKind};
use crate::material::render;
use crate::session::{Agent, Channel, SessionBuilder, ToolCategory, ToolOutcome};
use crate::unit::units;
use proptest::prelude::*;
use serde_json::json;
use std::path::PathBuf;

fn session(words: &[String]) -> Session {
    let mut builder = SessionBuilder::new(Agent::ClaudeCode, "s", PathBuf::from("s.jsonl"));
    for text in words {
        builder.prompt(None, Channel::Typed, text.clone(), 0);
        builder.reply(None, text.clone());
        let call = builder.tool_call(None, "mcp: [3] USER: x", ToolCategory::Other, text.clone());
        builder.tool_result(None, Some(call), ToolOutcome::Ok, text.clone());
    }
    builder.finish()
}

fn sees(max_tokens: u64) -> Sees {
    serde_json::from_value(json!({ "max_tokens": max_tokens, "tool_results": "full", "tool_calls": "full" })).unwrap()
}

/// The material's text again.
fn joined(pieces: &[Piece]) -> String {
    let line = |piece: &Piece| {
        let mark = if piece.is_target { ">>> " } else { "" };
        let words = piece.text.replace('\n', "\n    ");
        match piece.event {
            None => format!("{}\n", piece.head.replace('\n', "\n    ")),
            Some(_) if words.is_empty() => format!("{mark}{}\n", piece.head),
            Some(_) => format!("{mark}{}: {words}\n", piece.head),
        }
    };
    pieces.iter().map(line).collect()
}

proptest! {
    #[test]
    fn the_pieces_are_the_material(
        words in proptest::collection::vec("([a-z:\\[\\]>0-9 ]{1,12}\n?(\n    )?){1,6}", 1..6), max_tokens in 30u64..400, nth in 0usize..6,
    ) {
        let session = session(&words);
        let prompts = units(&session, UnitKind::Prompt);
        let unit = prompts[nth % prompts.len()].clone();
        let material = render(&session, &unit, &sees(max_tokens));
        let sight = Sight::new(&session, &unit, &material, None);
        let trimmed = |text: &str| text.split('\n').map(|line| line.trim_end().trim_end_matches(':')).collect::<Vec<_>>().join("\n");
        prop_assert_eq!(trimmed(&joined(&sight.pieces)), trimmed(&material.text));
        let shown: Vec<u32> = sight.pieces.iter().filter_map(|piece| piece.event).collect();
        prop_assert_eq!(&shown, &material.shown);
        prop_assert_eq!(sight.pieces.last().map(|piece| piece.is_target), Some(true));
        prop_assert_eq!(sight.target, unit.prompt.map(|prompt| prompt.event));
    }
}

#[test]
fn stretches_are_the_transcript_up_to_the_prompt_and_no_further() {
    let words: Vec<String> = (1..=40).map(|nth| format!("word {nth} {}", "x".repeat(9_000))).collect();
    let session = session(&words);
    let unit = units(&session, UnitKind::Prompt)[29].clone();
    let (mut from, mut seen, mut stretches) = (1, Vec::new(), 0);
    loop {
        let stretch = Stretch::new(&session, &unit, Wanted::From(from));
        assert!(stretch.pieces.iter().map(|piece| piece.text.len()).sum::<usize>() < STRETCH_BYTES + 2 * EVENT_BYTES);
        assert_eq!(stretch.last, 29 * 4 + 1);
        seen.extend(stretch.pieces.iter().filter_map(|piece| piece.event));
        stretches += 1;
        match stretch.next {
            Some(next) => from = next,
            None => {
                assert!(stretch.pieces.last().is_some_and(|piece| piece.is_target && piece.more.is_some()));
                break;
            }
        }
    }
    assert_eq!(seen, (1..=29 * 4 + 1).collect::<Vec<_>>());
    assert!(stretches > 2);
    assert_eq!(event_text(&session, &unit, 29 * 4 + 1).as_deref(), Some(words[29].as_str()));
    for hidden in [0, 29 * 4 + 2, 29 * 4 + 5, u32::MAX] {
        assert_eq!(event_text(&session, &unit, hidden), None);
    }
    assert!(Stretch::new(&session, &unit, Wanted::From(u32::MAX)).pieces.is_empty());
    // From its end, it is the same transcript.
    let (mut to, mut found) = (u32::MAX, Vec::new());
    loop {
        let stretch = Stretch::new(&session, &unit, Wanted::UpTo(to));
        found.splice(0..0, stretch.pieces.iter().filter_map(|piece| piece.event));
        match stretch.previous {
            Some(previous) => to = previous,
            None => break,
        }
    }
    assert_eq!(found, seen);
}
