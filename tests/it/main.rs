//! Tests from outside: the library and the binary against a server that speaks the providers' forms.

mod agree;
mod agree_task;
mod annotate;
mod bad_input;
mod codebooks;
mod context;
mod damage;
mod entire_oracle;
mod fake;
mod faults;
mod init;
mod interrupt;
mod mutation;
mod odd_files;
mod one_model;
mod project;
mod redact;
mod requests;
mod sessions;
mod stops;
mod story;
