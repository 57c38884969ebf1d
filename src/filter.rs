//! Which sessions are meant, or which of other things: an expression over what is known of each, such as `agent = "codex" and prompts > 5`.
//!
//! The language is minijinja's (`and`, `or`, `not`, `in`, comparisons, parentheses, filters such as `models | length`); a single `=` is read as `==`.

use crate::session::SessionSummary;
use miette::Diagnostic;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};
use serde::Serialize;
use std::marker::PhantomData;

/// What can be chosen by a condition.
pub trait Described: Serialize {
    /// The names that an expression may use.
    const NAMES: &str;
    /// An expression.
    const EXAMPLE: &str;
}

impl Described for SessionSummary {
    const NAMES: &str = "id, agent, path, models, started, ended, wall_seconds, active_seconds, events, prompts, interruptions, \
    rejected_tools, tool_calls, failed_tool_calls, subagent_events, compactions, usage.input, usage.output (…), commits, \
    agent_percentage, checkpoints, read.bad (…)";
    const EXAMPLE: &str = "agent = \"codex\" and prompts > 5";
}

/// Why an expression cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Diagnostic)]
#[error("`{expression}` is no filter: {reason}")]
#[diagnostic(help("for example --where '{example}'; names: {names}"))]
pub struct FilterError {
    /// What was typed.
    pub expression: String,
    /// What is wrong with it.
    pub reason: String,
    /// An expression that can.
    pub example: &'static str,
    /// The names that there are.
    pub names: &'static str,
}

/// A condition: on sessions, if nothing else is said.
#[derive(Debug)]
pub struct Filter<T = SessionSummary> {
    environment: Environment<'static>,
    typed: String,
    expression: String,
    on: PhantomData<fn(&T)>,
}

impl<T: Described> Filter<T> {
    /// Reads an expression; its names are checked when the first thing is looked at.
    pub fn new(typed: &str) -> Result<Filter<T>, FilterError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let expression = with_double_equals(typed);
        let filter = Filter { environment, typed: typed.to_owned(), expression, on: PhantomData };
        filter.environment.compile_expression(&filter.expression).map_err(|error| filter.error(&error))?;
        Ok(filter)
    }

    /// Whether this one is meant.
    pub fn matches(&self, described: &T) -> Result<bool, FilterError> {
        let expression = self.environment.compile_expression(&self.expression).map_err(|error| self.error(&error))?;
        let value = expression.eval(Value::from(Serde(described))).map_err(|error| self.error(&error))?;
        Ok(value.is_true())
    }

    /// Keeps those that are meant; tells of each whether it was kept.
    pub fn retain(&self, described: &mut Vec<T>) -> Result<Vec<bool>, FilterError> {
        let keep = described.iter().map(|one| self.matches(one)).collect::<Result<Vec<bool>, _>>()?;
        let mut kept = keep.iter();
        described.retain(|_| kept.next().copied().unwrap_or(true));
        Ok(keep)
    }

    fn error(&self, error: &minijinja::Error) -> FilterError {
        let reason = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        FilterError { expression: self.typed.clone(), reason, example: T::EXAMPLE, names: T::NAMES }
    }
}

/// Doubles each `=` that stands alone outside quotes.
fn with_double_equals(typed: &str) -> String {
    let mut out = String::with_capacity(typed.len() + 4);
    let mut quote = None;
    let mut characters = typed.chars().peekable();
    let mut previous = ' ';
    while let Some(c) = characters.next() {
        out.push(c);
        match (quote, c) {
            (Some(open), c) if c == open && previous != '\\' => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '=') if !matches!(previous, '=' | '!' | '<' | '>') && characters.peek() != Some(&'=') => {
                out.push('=')
            }
            _ => {}
        }
        previous = c;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Agent, Channel, SessionBuilder};

    fn session(prompts: usize) -> SessionSummary {
        let mut builder = SessionBuilder::new(Agent::Codex, "s", "a/s.jsonl".into());
        for _ in 0..prompts {
            builder.prompt(None, Channel::Typed, "p", 0);
        }
        builder.finish().summary()
    }

    fn matches(expression: &str, prompts: usize) -> bool {
        Filter::new(expression).unwrap().matches(&session(prompts)).unwrap()
    }

    #[test]
    fn comparisons_and_connectives_work_with_one_or_two_equals() {
        assert!(matches("agent = \"codex\" and prompts > 5", 6));
        assert!(!matches("agent = \"codex\" and prompts > 5", 5));
        assert!(matches("agent == 'codex' or prompts >= 50", 1));
        assert!(matches("not (prompts != 2)", 2));
        assert!(matches("usage.output = 0 and id in ['codex:s']", 0));
        assert!(!matches("path = 'a=b'", 0));
    }

    #[test]
    fn an_unknown_name_or_a_broken_expression_is_an_error_that_shows_it() {
        let error = Filter::<SessionSummary>::new("promts > 5").unwrap().matches(&session(1)).unwrap_err();
        assert!(error.to_string().starts_with("`promts > 5` is no filter"), "{error}");
        assert!(Filter::<SessionSummary>::new("prompts >").is_err());
        assert!(Filter::<SessionSummary>::new("prompts > 5 and").is_err());
    }
}
