//! Tests from outside: the library and the binary against a server that speaks the providers' forms.

mod agree;
mod agree_task;
mod bad_input;
mod codebooks;
mod fake;
mod init;
mod project;
mod sessions;
