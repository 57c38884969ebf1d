//! Tests from outside: the library and the binary against a server that speaks the providers' forms.

mod annotate;
mod context;
mod fake;
mod faults;
mod interrupt;
mod requests;
mod stops;
