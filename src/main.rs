//! The command line: arguments → command → exit code.

fn main() {}
