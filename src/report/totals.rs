//! Sums over sessions, by agent and by model.
//!
//! A transcript says how many tokens a session took, not how many each of its models did. So a session with several models is in a
//! group of their names together, and in no other: nothing is counted twice, and the groups sum to the whole.

use super::{duration, grid, text};
use crate::session::{Agent, SessionSummary};
use crate::usage::Usage;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Sums over some sessions.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Sums {
    /// Sessions.
    pub sessions: u64,
    /// Words typed by a human.
    pub prompts: u64,
    /// The human stopped the agent.
    pub interruptions: u64,
    /// Calls that the human refused.
    pub rejected_tools: u64,
    /// Calls of the main agents.
    pub tool_calls: u64,
    /// Calls that failed.
    pub failed_tool_calls: u64,
    /// Time in which the agents worked.
    pub active_seconds: f64,
    /// Tokens of the main agents.
    pub usage: Usage,
    /// Commits made by the agents.
    pub commits: u64,
}

/// The sums of all sessions of an agent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgentSums {
    /// The agent.
    pub agent: Agent,
    /// Its sums.
    #[serde(flatten)]
    pub sums: Sums,
}

/// The sums of all sessions with the same models.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelSums {
    /// The models, by name; none where the transcripts name none.
    pub models: Vec<String>,
    /// Their sums.
    #[serde(flatten)]
    pub sums: Sums,
}

/// Sums over sessions in three ways, each of which counts every session once.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Totals {
    /// Over all.
    pub all: Sums,
    /// By agent, by name.
    pub agents: Vec<AgentSums>,
    /// By the models of a session, those with the most sessions first.
    pub models: Vec<ModelSums>,
}

impl Sums {
    fn add(&mut self, session: &SessionSummary) {
        self.sessions += 1;
        self.prompts += session.prompts as u64;
        self.interruptions += session.interruptions as u64;
        self.rejected_tools += session.rejected_tools as u64;
        self.tool_calls += session.tool_calls as u64;
        self.failed_tool_calls += session.failed_tool_calls as u64;
        self.active_seconds += session.active_seconds;
        self.usage += session.usage;
        self.commits += session.commits as u64;
    }

    /// Transcripts carry milliseconds; more digits would only be noise of the sum.
    fn rounded(mut self) -> Sums {
        self.active_seconds = (self.active_seconds * 1000.0).round() / 1000.0;
        self
    }
}

impl Totals {
    /// The sums over `sessions`.
    pub fn of(sessions: &[SessionSummary]) -> Totals {
        let mut all = Sums::default();
        let mut agents: BTreeMap<&str, (Agent, Sums)> = BTreeMap::new();
        let mut models: BTreeMap<Vec<&str>, Sums> = BTreeMap::new();
        for session in sessions {
            all.add(session);
            agents.entry(session.agent.name()).or_insert((session.agent, Sums::default())).1.add(session);
            let mut names: Vec<&str> = session.models.iter().map(String::as_str).collect();
            names.sort_unstable();
            models.entry(names).or_default().add(session);
        }
        let mut models: Vec<ModelSums> = models
            .into_iter()
            .map(|(names, sums)| ModelSums {
                models: names.into_iter().map(str::to_owned).collect(),
                sums: sums.rounded(),
            })
            .collect();
        models.sort_by_key(|group| Reverse(group.sums.sessions));
        Totals {
            all: all.rounded(),
            agents: agents.into_values().map(|(agent, sums)| AgentSums { agent, sums: sums.rounded() }).collect(),
            models,
        }
    }
}

/// A line of names longer than this part of the terminal is broken between the names.
const LONGEST_NAME_SHARE: usize = 3;
/// However narrow the terminal, so much stands beside the first column.
const NARROWEST: usize = 30;

/// The totals as two tables. One that is wider than `width` goes on below, with its first column again.
pub fn totals_table(totals: &Totals, width: Option<usize>) -> String {
    let mut agents: Vec<(String, &Sums)> =
        totals.agents.iter().map(|group| (group.agent.to_string(), &group.sums)).collect();
    if agents.len() > 1 {
        agents.push(("all".to_owned(), &totals.all));
    }
    let models: Vec<(String, &Sums)> = totals
        .models
        .iter()
        .map(|group| match group.models.as_slice() {
            [] => ("(not named)".to_owned(), &group.sums),
            names => {
                let line = names.join(" + ");
                let is_long = width.is_some_and(|width| line.chars().count() > width / LONGEST_NAME_SHARE);
                (if is_long { names.join(" +\n") } else { line }, &group.sums)
            }
        })
        .collect();
    format!("{}\n{}", table("agent", &agents, width), table("model", &models, width))
}

const NUMBERS: [&str; 13] = [
    "sessions",
    "prompts",
    "interrupted",
    "tools",
    "failed",
    "rejected",
    "active",
    "commits",
    "input",
    "cached input",
    "cache write",
    "output",
    "reasoning",
];

/// Where the tokens begin.
const FIRST_OF_TOKENS: usize = 8;

fn numbers(sums: &Sums) -> [String; NUMBERS.len()] {
    [
        sums.sessions.to_string(),
        sums.prompts.to_string(),
        sums.interruptions.to_string(),
        sums.tool_calls.to_string(),
        sums.failed_tool_calls.to_string(),
        sums.rejected_tools.to_string(),
        duration(sums.active_seconds),
        sums.commits.to_string(),
        sums.usage.input.to_string(),
        sums.usage.cached_input.to_string(),
        sums.usage.cache_write.to_string(),
        sums.usage.output.to_string(),
        sums.usage.reasoning.to_string(),
    ]
}

fn table(name: &str, groups: &[(String, &Sums)], width: Option<usize>) -> String {
    let rows: Vec<[String; NUMBERS.len()]> = groups.iter().map(|(_, sums)| numbers(sums)).collect();
    let widest = |header: &str, cells: &mut dyn Iterator<Item = usize>| cells.max().unwrap_or(0).max(header.len());
    let lines = groups.iter().flat_map(|(name, _)| name.lines());
    let first = widest(name, &mut lines.map(|line| line.chars().count()));
    let width = width.map(|width| width.max(first + NARROWEST));
    let needs: Vec<usize> = NUMBERS
        .iter()
        .enumerate()
        .map(|(column, header)| 2 + widest(header, &mut rows.iter().map(|row| row[column].chars().count())))
        .collect();
    let fits = width.is_none_or(|width| first + needs.iter().sum::<usize>() <= width);
    let mut blocks: Vec<Vec<usize>> = Vec::new();
    let mut used = 0;
    for (column, needs) in needs.into_iter().enumerate() {
        // Tokens stay together where they can.
        let has_room = fits || (column != FIRST_OF_TOKENS && width.is_none_or(|width| used + needs <= width));
        match blocks.last_mut().filter(|_| has_room) {
            Some(block) => block.push(column),
            None => {
                blocks.push(vec![column]);
                used = first;
            }
        }
        used += needs;
    }
    let block = |columns: &Vec<usize>| {
        let header: Vec<&str> = [name].into_iter().chain(columns.iter().map(|column| NUMBERS[*column])).collect();
        let mut grid = grid(&header, &(1..header.len()).collect::<Vec<_>>());
        for ((name, _), row) in groups.iter().zip(&rows) {
            let cells = columns.iter().map(|column| row[*column].as_str());
            grid.add_row([name.as_str()].into_iter().chain(cells).collect::<Vec<_>>());
        }
        text(&grid)
    };
    blocks.iter().map(block).collect::<Vec<_>>().join("\n")
}
