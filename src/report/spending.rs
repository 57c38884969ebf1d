//! What a job has spent, and what it has saved, in a line.

use super::{dollars, plural};
use crate::engine::Spent;

/// What a job has spent and what it has saved, in a line; `None` where nobody was ever asked.
pub fn spending_line(spent: &Spent) -> Option<String> {
    if spent.answers + spent.untold + spent.stored == 0 {
        return None;
    }
    let answers = plural(spent.answers, "answer");
    let mut line = match spent.cost_usd {
        Some(cost) if spent.answers > 0 => {
            let each = dollars(Some(cost / spent.answers as f64));
            format!("spent {} on {answers}, {each} each", dollars(Some(cost)))
        }
        Some(_) => "spent nothing".to_owned(),
        None if spent.answers == 0 => "no answer was paid for".to_owned(),
        None => format!("asked for {answers}, at a price that is not known"),
    };
    match (spent.untold, spent.untold_usd) {
        (0, _) => {}
        (untold, None) => {
            line.push_str(&format!("; {} may have been billed without a word", plural(untold, "attempt")))
        }
        (untold, most) => line.push_str(&format!(
            "; {} may have been billed without a word, {} at most",
            plural(untold, "attempt"),
            dollars(most)
        )),
    }
    if spent.stored > 0 {
        line.push_str(&format!("; stored answers gave {}", plural(spent.stored, "row")));
        if let Some(saved) = spent.saved_by_store_usd {
            line.push_str(&format!(" and saved {}", dollars(Some(saved))));
        }
    }
    if let Some(rate) = spent.usage.cached_share().filter(|rate| *rate > 0.0) {
        line.push_str(&format!("; {:.0} % of the prompts' tokens came from the provider's cache", rate * 100.0));
        if let Some(saved) = spent.saved_by_prompt_cache_usd {
            line.push_str(&format!(", which saved {}", dollars(Some(saved))));
        }
    }
    Some(line)
}
