//! Tests from outside: the library and the binary against a server that speaks the providers' forms.

mod agree;
mod agree_task;
mod annotate;
mod bad_input;
mod codebooks;
mod context;
mod fake;
mod faults;
mod init;
mod interrupt;
#[cfg(not(feature = "parquet"))]
mod no_tables;
#[cfg(feature = "parquet")]
mod parquet_file;
mod project;
mod redact;
mod requests;
mod sessions;
mod stops;
#[cfg(feature = "parquet")]
mod swe_chat;
#[cfg(feature = "parquet")]
mod table_corpus;
#[cfg(feature = "parquet")]
mod table_sessions;
#[cfg(feature = "parquet")]
mod table_transcripts;
#[cfg(feature = "parquet")]
mod tables;
