//! What several samples of one model say about an item: the label most of them gave, how many, and how spread they are.
//!
//! A model that agrees with itself can be wrong: this is a measure of confidence, not of truth.

/// The samples of one item in short.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plurality {
    /// The label with most votes; `None` on a tie, which a human should break.
    pub label: Option<usize>,
    /// Whether several labels have most votes.
    pub tied: bool,
    /// Share of the votes that the most frequent label has.
    pub share: f64,
    /// −Σ p ln p over the labels, in nats.
    pub entropy: f64,
}

/// Takes an item's labels, below `labels`, without those samples that gave none. `None` if none is left.
pub fn plurality(votes: &[usize], labels: usize) -> Option<Plurality> {
    let mut counts = vec![0_usize; labels];
    votes.iter().for_each(|&label| counts[label] += 1);
    let most = counts.iter().copied().max().filter(|most| *most > 0)?;
    let mut winners = (0..labels).filter(|&label| counts[label] == most);
    let (first, tied) = (winners.next(), winners.next().is_some());
    let n = votes.len() as f64;
    let entropy = counts.iter().filter(|count| **count > 0).map(|&count| {
        let p = count as f64 / n;
        p * p.ln()
    });
    Some(Plurality {
        label: first.filter(|_| !tied),
        tied,
        share: most as f64 / n,
        entropy: 0.0 - entropy.sum::<f64>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_votes_win_and_ties_are_nobodys() {
        let found = plurality(&[1, 1, 0, 1, 2], 3).unwrap();
        assert_eq!((found.label, found.tied, found.share), (Some(1), false, 0.6));
        assert!((found.entropy - 0.9502705392332347).abs() < 1e-12);
        let found = plurality(&[0, 0, 2, 2], 3).unwrap();
        assert_eq!((found.label, found.tied, found.share), (None, true, 0.5));
        let found = plurality(&[2; 5], 3).unwrap();
        assert_eq!((found.label, found.entropy), (Some(2), 0.0));
        assert_eq!(plurality(&[], 3), None);
    }
}
