//! Why a request has no stored answer, in words: each part that differs, what it was, what it is, and what would find the answer.

use crate::config::{Model, ModelName};
use crate::store::why::Difference;
use crate::store::{Entry, RequestParts, StoredResponse, Subject};
use crate::unit::UnitId;
use crate::usage::Usage;
use jiff::Timestamp;
use serde::Serialize;
use std::fmt::Write;

/// What the store says to one request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Told {
    /// The unit.
    pub unit: UnitId,
    /// The task.
    pub task: String,
    /// `PROVIDER/MODEL`.
    pub model: String,
    /// Which of several answers, from 0.
    pub sample: u32,
    /// Whether somebody would be asked, and what was found.
    #[serde(flatten)]
    pub asked: Asked,
    /// The stored answers that come nearest, where none was found.
    pub nearest: Vec<Nearest>,
    /// Stored answers to this unit for this task, where none was found.
    pub of_unit: u64,
    /// Those for this task that do not tell their unit.
    pub without_unit: u64,
    /// Those for this task.
    pub of_task: u64,
    /// Those that are about several prompts of the unit's session at once, where the request is for the unit alone and none was found.
    pub of_groups: u64,
}

/// Whether somebody would be asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "asks", rename_all = "snake_case")]
pub enum Asked {
    /// A built-in baseline asks nobody, and stores nothing.
    Nobody,
    /// Nobody typed a prompt in the session, so there is nothing to ask.
    Nothing,
    /// A model would be, unless the answer is stored.
    Model {
        /// The key of the request.
        key: String,
        /// The base URL.
        endpoint: String,
        /// The stored answer.
        found: Option<Found>,
    },
}

/// A stored answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    /// The run that paid.
    pub run: String,
    /// When it came.
    pub created_at: Timestamp,
    /// Tokens as billed.
    pub usage: Option<Usage>,
}

impl Found {
    /// What is told of a stored answer.
    pub fn of(stored: &StoredResponse) -> Found {
        let response = &stored.response;
        Found { run: response.run.clone(), created_at: response.created_at, usage: response.usage }
    }
}

/// A stored answer to another request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Nearest {
    /// The key of its request.
    pub key: String,
    /// The run that paid.
    pub run: String,
    /// When it came.
    pub created_at: Timestamp,
    /// In what its request differs.
    pub differs: Vec<Change>,
}

/// A part of the request that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Its name.
    pub part: &'static str,
    /// What the stored answer was given to, where that is known.
    pub stored: Option<String>,
    /// What would be asked now.
    pub now: Option<String>,
    /// What it means, and what would find the stored answer.
    pub hint: String,
}

fn or_none(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}

impl Change {
    /// The stored answer was given to the session under the other choice of redaction.
    pub fn redaction(redacted: bool) -> Change {
        let words = |redacted: bool| Some(if redacted { "redacted" } else { "as it is" }.to_owned());
        let flag = if redacted { "--no-redact" } else { "--redact" };
        Change {
            part: "redaction",
            stored: words(!redacted),
            now: words(redacted),
            hint: format!("{flag} finds it: the session is shown to the model with secrets replaced, or as it is"),
        }
    }

    /// A difference in words.
    pub fn of(difference: &Difference, entry: &Entry, now: &RequestParts, about: &Subject, model: &Model) -> Change {
        let asked = now.asked.unwrap_or_default();
        let codebook = entry.subject.as_ref().map(|subject| subject.codebook.clone());
        let edited = codebook.as_ref() != Some(&about.codebook);
        let change = |part, stored, now, hint: String| Change { part, stored, now, hint };
        let of_codebook = |part, what: &str| {
            let hint = match codebook {
                None => format!("{what}: the codebook was edited, or the program has changed"),
                Some(_) if edited => format!("{what}, since the codebook was edited: another question was asked then"),
                Some(_) => format!("{what}, but the codebook is the same: the program has changed"),
            };
            change(
                part,
                codebook.clone().map(|hash| format!("codebook {hash}")),
                Some(format!("codebook {}", about.codebook)),
                hint,
            )
        };
        match difference {
            Difference::Model(stored) => {
                let hint = format!("--model {stored} finds it: every model is asked for itself");
                change("model", Some(stored.clone()), Some(model.name.to_string()), hint)
            }
            Difference::Endpoint(stored) => {
                let hint = format!("--base-url {stored} finds it: models of one name differ from server to server");
                change("endpoint", Some(stored.clone()), Some(model.endpoint.base_url.clone()), hint)
            }
            Difference::Temperature(stored) => {
                let hint = match stored {
                    Some(value) => format!("--temperature {value} finds it"),
                    None => "without --temperature it is found".to_owned(),
                };
                change("temperature", Some(or_none(*stored)), Some(or_none(asked.temperature)), hint)
            }
            Difference::MaxOutputTokens(stored) => {
                let hint = match stored {
                    Some(value) => format!("--max-output-tokens {value} finds it"),
                    None => "without --max-output-tokens, and max_output_tokens of the provider in config.toml, it is found".to_owned(),
                };
                change("max_output_tokens", Some(or_none(*stored)), Some(or_none(asked.max_output_tokens)), hint)
            }
            Difference::Sample(stored) => {
                let hint = "each of the --samples is asked for itself; this one never was".to_owned();
                change("sample", Some(stored.to_string()), Some(asked.sample.to_string()), hint)
            }
            Difference::Settings => change(
                "settings",
                None,
                None,
                "temperature, limit of output tokens or sample: the answer was stored before these were written down".to_owned(),
            ),
            Difference::System => of_codebook("system", "the system block is another one"),
            Difference::Schema => of_codebook("schema", "fields or labels are other ones"),
            Difference::Words => of_codebook("words", "the words around the transcript are other ones"),
            Difference::Material => change(
                "material",
                None,
                None,
                "the rater sees something else of the session: the transcript has grown or changed, or what the codebook's `sees` takes of it, or \
                 how this version shows it"
                    .to_owned(),
            ),
            Difference::Turns => change(
                "turns",
                None,
                None,
                "the transcript or the words around it: the answer was stored before these were told apart".to_owned(),
            ),
        }
    }
}

impl Told {
    /// A baseline was meant.
    pub fn nobody(task: &str, unit: &str, model: &ModelName) -> Told {
        Told::without(Asked::Nobody, task, unit, model)
    }

    /// There is nothing to ask.
    pub fn nothing_to_ask(task: &str, unit: &str, model: &ModelName) -> Told {
        Told::without(Asked::Nothing, task, unit, model)
    }

    fn without(asked: Asked, task: &str, unit: &str, model: &ModelName) -> Told {
        Told {
            unit: UnitId::from_text(unit),
            task: task.to_owned(),
            model: model.to_string(),
            sample: 0,
            asked,
            nearest: Vec::new(),
            of_unit: 0,
            without_unit: 0,
            of_task: 0,
            of_groups: 0,
        }
    }

    /// Adds an answer that comes near.
    pub fn near(&mut self, entry: &Entry, differs: Vec<Change>) {
        self.nearest.push(Nearest {
            key: entry.key.to_string(),
            run: entry.run.clone(),
            created_at: entry.created_at,
            differs,
        });
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let Told { unit, task, model, sample, asked, nearest, of_unit, without_unit, of_task, of_groups } = self;
        write!(out, "{task}, {model}, {unit}")?;
        if *sample > 0 {
            write!(out, ", sample {sample}")?;
        }
        let found = match asked {
            Asked::Nobody => return writeln!(out, ": a baseline asks nobody, and nothing of it is stored"),
            Asked::Nothing => {
                return writeln!(out, ": nobody typed a prompt in this session, so there is nothing to ask");
            }
            Asked::Model { found, .. } => found,
        };
        if let Some(Found { run, created_at, usage }) = found {
            let at = created_at.strftime("%Y-%m-%d %H:%M");
            write!(out, ": found. Run {run} paid for it at {at}")?;
            if let Some(usage) = usage {
                write!(out, " ({} prompt tokens, {} output tokens)", usage.prompt(), usage.output)?;
            }
            return writeln!(out, "; `annotate` asks nobody.");
        }
        write!(out, ": not found. ")?;
        match (nearest.is_empty(), *of_unit, *without_unit, *of_task) {
            (false, ..) => writeln!(out, "{of_unit} answers to this unit are stored; the nearest:")?,
            (true, _, _, 0) => writeln!(out, "Nothing is stored for this task.")?,
            (true, 0, 0, all) => writeln!(out, "{all} answers are stored for this task, none of them to this unit.")?,
            (true, 0, unknown, all) => writeln!(
                out,
                "{all} answers are stored for this task, none of them surely to this unit: {unknown} were stored before units were written down."
            )?,
            (true, unit, ..) => writeln!(out, "{unit} answers to this unit are stored, all of them superseded.")?,
        }
        if *of_groups > 0 {
            writeln!(
                out,
                "  {of_groups} answers are about several prompts of this session at once: --group session looks for the one about this prompt."
            )?;
        }
        for Nearest { run, created_at, differs, .. } in nearest {
            writeln!(out, "  of run {run}, {}, differs in", created_at.strftime("%Y-%m-%d %H:%M"))?;
            for Change { part, stored, now, hint } in differs {
                match (stored, now) {
                    (Some(stored), Some(now)) if stored != now => {
                        writeln!(out, "    {part}: {stored} then, {now} now")?
                    }
                    _ => writeln!(out, "    {part}")?,
                }
                writeln!(out, "      {hint}")?;
            }
        }
        Ok(())
    }
}

/// What the store says to some requests, as text.
pub fn told_text(told: &[Told]) -> String {
    let mut out = String::new();
    for one in told {
        one.write(&mut out).expect("a string takes whatever is written");
    }
    out
}
