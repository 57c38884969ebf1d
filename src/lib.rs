//! interrater annotates coding-agent sessions with language models and tells how far the labels can be trusted.
//!
//! ```text
//! transcripts ─ session ─ unit ─ material ─ prompt ─ request ─ response ─ answer ─ annotation ─ agreement ─ report
//! ```
//!
//! A module uses what stands before it in this line, never what stands after.

#![warn(clippy::unwrap_used)]

pub mod usage;
pub mod session;
pub mod corpus;
pub mod unit;
pub mod shipped;
pub mod codebook;
pub mod material;
pub mod prompt;
pub mod llm;
pub mod answer;
pub mod store;
pub mod run;
pub mod engine;
pub mod forecast;
pub mod sheet;
pub mod gold;
pub mod agreement;
pub mod report;
pub mod config;
pub mod evaluation;
pub mod summary;
pub mod cli;
