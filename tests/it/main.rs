//! Tests from outside: the library and the binary against a server that speaks the providers' forms.

mod fake;
