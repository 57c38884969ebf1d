//! Tests from outside: the library and the binary against a server that speaks the providers' forms.

mod agree;
mod agree_task;
mod annotate;
mod bad_input;
mod batch;
mod batch_faults;
mod batch_file;
mod browse;
mod browser;
mod cache;
mod cache_faults;
mod codebooks;
mod compare;
mod context;
mod copies;
mod cost;
mod entire;
mod estimate;
mod entire_odd;
mod damage;
mod entire_oracle;
mod export;
mod fake;
mod fault_matrix;
mod faults;
mod group;
mod group_trouble;
mod init;
mod interrupt;
mod judged;
mod label;
mod label_client;
mod label_guard;
#[cfg(not(feature = "parquet"))]
mod no_tables;
#[cfg(unix)]
mod outputs;
#[cfg(unix)]
mod paging;
#[cfg(feature = "parquet")]
mod parquet_file;
#[cfg(feature = "parquet")]
mod parquet_rows;
mod mutation;
mod odd_files;
mod one_model;
mod prefix;
mod project;
mod redact;
mod report;
mod repository;
mod requests;
mod sample;
mod samples;
mod sessions;
mod sealed;
mod shard;
mod stat;
mod stat_correction;
mod stops;
mod strata;
mod unreachable;
#[cfg(unix)]
mod terminal;
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
mod story;
