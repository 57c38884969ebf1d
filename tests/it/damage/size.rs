//! Long lines.
