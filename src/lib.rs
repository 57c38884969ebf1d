//! interrater annotates coding-agent sessions with language models and tells how far the labels can be trusted.
//!
//! ```text
//! transcripts ─ session ─ unit ─ material ─ prompt ─ request ─ response ─ answer ─ annotation ─┬─ evaluation ─ estimate ─ dossier ─ report
//!               corpus           codebook            engine: llm, store            run           │  (agreement, comparison)
//!                                                                                                └─ gold ─ labelling ─ page
//! ```
//!
//! A module uses what stands before it in this line, never what stands after. [`engine`] and [`batch`] alone send requests; everything else is
//! synchronous and can be tried without a network.
//!
//! | to change … | go to |
//! |---|---|
//! | how an agent's transcript is read | [`session`], one file a format; [`corpus`] finds them, in git repositories too |
//! | how a Parquet table is read | [`table`]; [`session::swe_chat`] knows what its columns mean |
//! | what is asked, and what counts as an answer | `prompts/`, [`codebook`], [`prompt`], [`answer`] |
//! | what never leaves the machine | [`redact`] |
//! | which machine annotates what | [`shard`] |
//! | what a rater sees, what is cut | [`material`] |
//! | a provider's wire format, pace, retries, prices | [`llm`] |
//! | what a job costs, beforehand and afterwards | [`forecast`], [`engine::spending`], [`llm::price`] |
//! | what is asked again, stored, written | [`engine`], [`store`], [`run`] |
//! | what the store is worth, and what may go | [`reuse`], [`store::tally`], [`store::prune`], [`store::merge`] |
//! | what goes to a batch lane or a file, and comes back | [`batch`], [`store::journal`], [`llm::batch`] |
//! | a coefficient or an interval | [`agreement`] |
//! | whether one rater is better than another | [`comparison`]; [`evaluation::compared`] for runs on a gold |
//! | what a confidence is worth | [`confidence`] |
//! | what tells how far labels can be trusted, beside agreement | [`evaluation::judged`], one file a thing |
//! | the sealed test split, examples that leak into gold | [`evaluation::sealed`], [`evaluation::leak`] |
//! | a corrected share or mean | [`estimate`]; [`estimate::drawing`] decides the formula |
//! | how many units are labelled, and which | [`planning`] |
//! | what `stat` computes on a ratings file | [`stat`], one file a family |
//! | which ratings are compared | [`gold`], [`evaluation`] |
//! | how people label and decide; what is written into a gold file | [`labelling`], [`gold::file`] |
//! | the labelling page | [`page`], `src/page/assets/` |
//! | tables on the terminal | [`report`] |
//! | what a report says | [`dossier`], which holds no markup |
//! | a chart | [`chart`], one a file; [`markup`] escapes |
//! | tables in files for other programs | [`export`], [`frame`] |

#![warn(clippy::unwrap_used)]

pub mod source_error;
pub mod usage;
pub mod table;
pub mod frame;
pub mod session;
pub mod corpus;
pub mod filter;
pub mod shard;
pub mod redact;
pub mod unit;
pub mod export;
pub mod shipped;
pub mod codebook;
pub mod material;
pub mod prompt;
pub mod llm;
pub mod answer;
pub mod store;
pub mod run;
pub mod reuse;
pub mod engine;
pub mod forecast;
pub mod batch;
pub mod sheet;
pub mod gold;
pub mod agreement;
pub mod comparison;
pub mod confidence;
pub mod planning;
pub mod stat;
pub mod markup;
pub mod chart;
pub mod report;
pub mod config;
pub mod evaluation;
pub mod estimate;
pub mod summary;
pub mod labelling;
pub mod page;
pub mod dossier;
pub mod cli;
