//! Counts how many bytes each kind of row takes.

/// Bytes by kind of row, in order of first appearance.
#[derive(Debug, Default, Clone)]
pub struct Shares(Vec<(&'static str, u64)>);

impl Shares {
    /// Counts bytes.
    pub fn add(&mut self, kind: &'static str, bytes: usize) {
        match self.0.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, sum)) => *sum += bytes as u64,
            None => self.0.push((kind, bytes as u64)),
        }
    }

    /// The bytes of a kind.
    pub fn of(&self, kind: &str) -> u64 {
        self.0.iter().filter(|(known, _)| *known == kind).map(|&(_, bytes)| bytes).sum()
    }
}
