//! The tests drive the real binary.
