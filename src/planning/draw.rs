//! Which units humans should label: Poisson sampling by salted hash.
//!
//! A unit is drawn if hash(salt, unit)/2⁶⁴ lies below its probability π. Nothing but the salt and the unit's id decides, so the draw can be
//! repeated by anyone, does not change when sessions are added, and its probabilities are exact. Draws with one salt are nested: who is
//! drawn with π is also drawn with any larger one, so that a sample can grow, and the larger probability then holds for all of it.
//!
//! Probabilities may follow a guess of where errors are, mixed with a uniform part that keeps every π above 0: a unit that cannot be drawn
//! cannot be spoken for. Weights 1/π undo it.

use crate::gold::Split;

/// The number in [0, 1) that decides about a unit.
pub fn hash_fraction(salt: &str, purpose: &str, id: &str) -> f64 {
    let mut hasher = blake3::Hasher::new();
    for part in [salt, purpose, id] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let first = hasher.finalize().as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    // The upper 53 bits: what a float between 0 and 1 can hold.
    (first >> 11) as f64 / (1_u64 << 53) as f64
}

/// Whether a unit is drawn.
pub fn is_drawn(salt: &str, unit: &str, probability: f64) -> bool {
    hash_fraction(salt, "unit", unit) < probability
}

/// A whole session's split: test with probability `share`. The same for every task, and whatever other sessions there are.
pub fn split_of(salt: &str, session: &str, share: f64) -> Split {
    if hash_fraction(salt, "split", session) < share { Split::Test } else { Split::Dev }
}

/// Probabilities that sum to `size`, proportional to `sizes` (each at least 0) mixed with a uniform share `mix` (0 to 1):
/// π = min(1, c·((1 − mix)·s/Σs + mix/N)). What certain units cannot take goes to the others, through c. Uniform if all sizes are 0.
pub fn probabilities(sizes: &[f64], size: f64, mix: f64) -> Vec<f64> {
    let n = sizes.len() as f64;
    let total: f64 = sizes.iter().sum();
    // Times N, so that alike units get exactly size/N.
    let share = |own: f64| match total > 0.0 {
        true => (1.0 - mix) * own * n / total + mix,
        false => 1.0,
    };
    scaled(&sizes.iter().map(|&own| share(own)).collect::<Vec<f64>>(), size)
}

/// min(1, c·share) with c such that the sum is `size`, as far as the shares above 0 allow.
fn scaled(shares: &[f64], size: f64) -> Vec<f64> {
    let mut certain = vec![false; shares.len()];
    loop {
        let taken = certain.iter().filter(|&&certain| certain).count() as f64;
        let rest: f64 = shares.iter().zip(&certain).filter(|(_, certain)| !**certain).map(|(share, _)| share).sum();
        let factor = if rest > 0.0 { (size - taken).max(0.0) / rest } else { 0.0 };
        let mut more = false;
        for (share, certain) in shares.iter().zip(&mut certain) {
            if !*certain && share * factor >= 1.0 {
                *certain = true;
                more = true;
            }
        }
        if !more {
            let of = |(share, certain): (&f64, &bool)| if *certain { 1.0 } else { share * factor };
            return shares.iter().zip(&certain).map(of).collect();
        }
    }
}

/// Sizes for as many units of every stratum: one over the stratum's number of units.
pub fn equal_strata(strata: &[String]) -> Vec<f64> {
    let mut counts = std::collections::HashMap::<&str, f64>::new();
    strata.iter().for_each(|stratum| *counts.entry(stratum).or_default() += 1.0);
    strata.iter().map(|stratum| 1.0 / counts[stratum.as_str()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(count: usize) -> Vec<String> {
        (0..count).map(|i| format!("claude_code:session-{}#{}", i / 7, i % 7 + 1)).collect()
    }

    #[test]
    fn the_hash_is_uniform_and_depends_on_salt_purpose_and_id() {
        let fractions: Vec<f64> = units(20_000).iter().map(|unit| hash_fraction("s", "unit", unit)).collect();
        for tenth in 0..10 {
            let (low, high) = (f64::from(tenth) / 10.0, f64::from(tenth + 1) / 10.0);
            let count = fractions.iter().filter(|&&x| x >= low && x < high).count();
            assert!((1850..2150).contains(&count), "{count}");
        }
        let all = [("s", "unit", "a"), ("t", "unit", "a"), ("s", "split", "a"), ("s", "unit", "b"), ("su", "nit", "a")];
        let mut found: Vec<f64> = all.iter().map(|(salt, purpose, id)| hash_fraction(salt, purpose, id)).collect();
        found.sort_by(f64::total_cmp);
        found.dedup();
        assert_eq!(found.len(), all.len());
        // Samples that were drawn must be drawn again by later versions.
        assert_eq!(hash_fraction("interrater", "unit", "codex:1#1"), 0.047510535297025536);
    }

    #[test]
    fn draws_are_nested_and_blind_to_other_units() {
        let (few, many) = (units(3000), units(9000));
        let drawn = |units: &[String], probability: f64| -> Vec<String> {
            units.iter().filter(|unit| is_drawn("salt", unit, probability)).cloned().collect()
        };
        assert_eq!(
            drawn(&few, 0.1),
            drawn(&many, 0.1).into_iter().filter(|unit| few.contains(unit)).collect::<Vec<_>>()
        );
        let larger = drawn(&few, 0.2);
        assert!(drawn(&few, 0.1).iter().all(|unit| larger.contains(unit)));
        assert!((drawn(&many, 0.1).len() as f64 - 900.0).abs() < 100.0);
        assert_eq!((drawn(&few, 0.0).len(), drawn(&few, 1.0).len()), (0, 3000));
    }

    #[test]
    fn probabilities_sum_to_the_size_and_are_never_0() {
        let sizes: Vec<f64> = (0..500).map(|i| if i % 10 == 0 { 1.0 } else { 0.0 }).collect();
        for size in [20.0, 100.0, 400.0, 500.0] {
            let found = probabilities(&sizes, size, 0.2);
            assert!((found.iter().sum::<f64>() - size).abs() < 1e-9, "{size}");
            assert!(found.iter().all(|&p| p > 0.0 && p <= 1.0));
            assert!(found[0] >= found[1]);
        }
        // More than there is: everything.
        assert!(probabilities(&sizes, 900.0, 0.2).iter().all(|&p| p == 1.0));
        // Nothing to go by, or all alike: uniform, to the last digit.
        assert!(probabilities(&[1.0; 231], 50.0, 1.0).iter().all(|&p| p == 50.0 / 231.0));
        assert!(probabilities(&[0.0; 40], 10.0, 0.2).iter().all(|&p| (p - 0.25).abs() < 1e-12));
        assert_eq!(probabilities(&[], 10.0, 0.2), Vec::<f64>::new());
    }

    #[test]
    fn without_anything_certain_it_is_the_published_formula() {
        let errors: [f64; 4] = [0.01, 0.04, 0.09, 0.16];
        let roots = errors.map(f64::sqrt);
        for (found, root) in probabilities(&roots, 2.0, 0.2).iter().zip(roots) {
            assert!((found - (0.8 * 2.0 * root / 1.0 + 0.2 * 2.0 / 4.0)).abs() < 1e-12);
        }
    }

    #[test]
    fn strata_share_alike() {
        let strata: Vec<String> = (0..100).map(|i| if i < 90 { "common" } else { "rare" }.to_owned()).collect();
        let found = probabilities(&equal_strata(&strata), 16.0, 0.0);
        assert!((found[..90].iter().sum::<f64>() - 8.0).abs() < 1e-9);
        assert!((found[95] - 0.8).abs() < 1e-9);
    }

    #[test]
    fn weights_by_one_over_pi_undo_the_choice() {
        // A label that is oversampled fivefold: the weighted share comes out right over many salts, the plain one does not.
        let units = units(2000);
        let sizes: Vec<f64> = (0..2000).map(|i| if i % 10 == 0 { 5.0 } else { 1.0 }).collect();
        let found = probabilities(&sizes, 200.0, 0.2);
        let (mut weighted, mut plain, mut drawn) = (0.0, 0.0, 0.0);
        for salt in 0..60 {
            for (i, unit) in units.iter().enumerate().filter(|(i, unit)| is_drawn(&salt.to_string(), unit, found[*i])) {
                let _ = unit;
                weighted += f64::from(i % 10 == 0) / found[i] / 2000.0 / 60.0;
                plain += f64::from(i % 10 == 0);
                drawn += 1.0;
            }
        }
        assert!((weighted - 0.1_f64).abs() < 0.01, "{weighted}");
        assert!(plain / drawn > 0.25_f64, "{plain} of {drawn}");
    }

    #[test]
    fn sessions_fall_into_splits_as_a_whole_by_their_share() {
        let tests = (0..4000).filter(|i| split_of("salt", &format!("codex:{i}"), 0.3) == Split::Test).count();
        assert!((1100..1300).contains(&tests), "{tests}");
        assert_eq!(split_of("salt", "codex:1", 0.0), Split::Dev);
        assert_eq!(split_of("salt", "codex:1", 1.0), Split::Test);
    }
}
