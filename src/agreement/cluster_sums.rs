//! Sums over items kept by cluster, so that statistics of sums can be resampled without going over rows.
//!
//! Takes items that lie in clusters and are of a few kinds (an item that one rater labelled `yes` and the other `no`), gives the sums of any
//! resampled data set. Three things make that cheap and change no number: items of one kind are counted before they are summed; clusters that
//! hold the same are one kind of cluster with a multiplicity; and small whole counts lie densely, so that a drawn cluster is a few
//! additions of whole lines. Kinds of clusters stand in an order of their contents, so the order of the rows does not matter.

use super::draw::{self, Drawn, Draws};
use super::estimate::Value;
use super::interval::{Resampling, Sample, replicates_by_weights};
use foldhash::fast::FixedState;
use rayon::prelude::*;
use std::borrow::Borrow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::Hash;

/// A function of sums over items.
pub trait Statistic: Send + Sync {
    /// The value for a data set whose items sum to `sums`.
    fn value(&self, sums: &[f64]) -> Value;
}

impl<F: Fn(&[f64]) -> Value + Send + Sync> Statistic for F {
    fn value(&self, sums: &[f64]) -> Value {
        self(sums)
    }
}

/// Lines of few numbers among many places.
#[derive(Debug, Clone)]
struct SparseLines {
    starts: Vec<usize>,
    places: Vec<u32>,
    amounts: Vec<f64>,
}

impl SparseLines {
    fn new<L: IntoIterator<Item = (u32, f64)>>(lines: impl IntoIterator<Item = L>) -> SparseLines {
        let mut sparse = SparseLines { starts: vec![0], places: vec![], amounts: vec![] };
        for line in lines {
            for (place, amount) in line {
                sparse.places.push(place);
                sparse.amounts.push(amount);
            }
            sparse.starts.push(sparse.places.len());
        }
        sparse
    }

    /// The places and amounts of a line.
    fn line(&self, line: usize) -> impl Iterator<Item = (u32, f64)> + '_ {
        let range = self.starts[line]..self.starts[line + 1];
        self.places[range.clone()].iter().copied().zip(self.amounts[range].iter().copied())
    }

    fn add(&self, line: usize, weight: f64, target: &mut [f64]) {
        for (place, amount) in self.line(line) {
            target[place as usize] += weight * amount;
        }
    }
}

/// Counts in a word of 64 bits: 16 bits each, so that adding words adds counts as long as no count exceeds 65,535.
const COUNTS: usize = 4;

/// Words of a dense line where there are few columns: sixteen.
const NARROW: usize = 4;

/// Words of a dense line where there are more.
const WIDE: usize = 16;

/// Small whole counts of each kind of cluster in lines of W words; more columns stand in further groups of lines.
struct DenseCounts<const W: usize> {
    groups: Vec<Vec<[u64; W]>>,
    /// Lines that can be added before a count could exceed 65,535.
    at_once: usize,
}

impl<const W: usize> DenseCounts<W> {
    /// The same counts as `lines`, which are at most `largest`.
    fn new(lines: &SparseLines, columns: usize, largest: u16) -> DenseCounts<W> {
        let count = lines.starts.len() - 1;
        let mut groups = vec![vec![[0; W]; count]; columns.div_ceil(COUNTS * W)];
        for (group, dense) in groups.iter_mut().enumerate() {
            for (line, words) in dense.iter_mut().enumerate() {
                for (place, amount) in lines.line(line) {
                    let (word, place) = (place as usize / COUNTS, place as usize % COUNTS);
                    if word / W == group {
                        words[word % W] |= (amount as u64) << (16 * place);
                    }
                }
            }
        }
        DenseCounts { groups, at_once: usize::from(u16::MAX / largest.max(1)) }
    }

    /// What `evaluate` makes of the sums by column of each replicate.
    fn replicates<V: Send>(
        &self,
        draws: &Draws,
        resampling: Resampling,
        evaluate: impl Fn(&[f64]) -> V + Sync + Send,
    ) -> Vec<V> {
        let empty = || Box::new(DenseDraw { counts: self, totals: vec![[0; COUNTS]; self.groups.len() * W] });
        let clear = |drawn: &mut DenseDraw<'_, W>| drawn.totals.fill([0; COUNTS]);
        draw::replicates(draws, resampling, empty, clear, |drawn| {
            let columns: Vec<f64> = drawn.totals.as_flattened().iter().map(|&total| total as f64).collect();
            evaluate(&columns)
        })
    }
}

/// Dense counts of the draws so far.
struct DenseDraw<'a, const W: usize> {
    counts: &'a DenseCounts<W>,
    totals: Vec<[u64; COUNTS]>,
}

impl<const W: usize> DenseDraw<'_, W> {
    fn add_words(&mut self, group: usize, words: &[u64; W], times: u64) {
        for (total, word) in self.totals[group * W..].iter_mut().zip(words) {
            for (place, total) in total.iter_mut().enumerate() {
                *total += times * (word >> (16 * place) & u64::from(u16::MAX));
            }
        }
    }
}

impl<const W: usize> Drawn for DenseDraw<'_, W> {
    fn add(&mut self, kind: usize, times: u32) {
        let counts = self.counts;
        counts.groups.iter().enumerate().for_each(|(group, lines)| self.add_words(group, &lines[kind], times.into()));
    }

    fn add_each(&mut self, kinds: &[u32]) {
        let counts = self.counts;
        for kinds in kinds.chunks(counts.at_once) {
            for (group, lines) in counts.groups.iter().enumerate() {
                let mut sums = [0_u64; W];
                for &kind in kinds {
                    let line = &lines[kind as usize];
                    for word in 0..W {
                        sums[word] += line[word];
                    }
                }
                self.add_words(group, &sums, 1);
            }
        }
    }
}

/// Items gathered one by one: each is known by its cluster and its kind, and what a kind adds to the sums is worked out once.
#[derive(Debug, Clone)]
pub struct Items<K> {
    width: usize,
    known: HashMap<K, usize, FixedState>,
    kinds: Vec<Vec<(usize, f64)>>,
    items: Vec<(usize, usize)>,
}

impl<K: Hash + Eq> Items<K> {
    /// No items yet, for `width` sums.
    pub fn new(width: usize) -> Items<K> {
        Items { width, known: HashMap::default(), kinds: vec![], items: vec![] }
    }

    /// Adds an item. `entries` gives the (place, amount) that items of this kind add to the sums, places below the width.
    pub fn add<Q>(&mut self, cluster: usize, kind: &Q, entries: impl FnOnce() -> Vec<(usize, f64)>)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let kind = match self.known.get(kind) {
            Some(&kind) => kind,
            None => {
                self.known.insert(kind.to_owned(), self.kinds.len());
                self.kinds.push(entries());
                self.kinds.len() - 1
            }
        };
        self.items.push((cluster, kind));
    }

    /// The sums by cluster.
    pub fn sums(self) -> ClusterSums {
        ClusterSums::of_items(self.width, &self.kinds, self.items)
    }
}

/// Sums over items kept by cluster.
#[derive(Debug, Clone)]
pub struct ClusterSums {
    width: usize,
    columns: usize,
    /// How many clusters there are of each kind.
    multiplicities: Vec<u32>,
    /// What a cluster of each kind holds, by column.
    lines: SparseLines,
    /// What an item of each kind adds to the sums, where columns are kinds of items; otherwise columns are the sums' own places.
    item_kinds: Option<SparseLines>,
}

impl ClusterSums {
    /// The sums of `entries` (cluster, place, amount), places below `width`. Clusters without an entry do not count.
    ///
    /// # Panics
    /// If a place is not below `width`.
    pub fn new(width: usize, entries: Vec<(usize, usize, f64)>) -> ClusterSums {
        let mut items = Items::new(width);
        for (cluster, place, amount) in entries {
            items.add(cluster, &(place, amount.to_bits()), || vec![(place, amount)]);
        }
        items.sums()
    }

    /// The sums of `items` (cluster, kind), each adding the (place, amount) of its kind, places below `width`. Clusters that add nothing do not
    /// count.
    ///
    /// # Panics
    /// If a place is not below `width`, or a kind is not among `kinds`.
    pub fn of_items(width: usize, kinds: &[Vec<(usize, f64)>], mut items: Vec<(usize, usize)>) -> ClusterSums {
        assert!(kinds.iter().flatten().all(|(place, _)| *place < width), "a place lies within the width");
        items.retain(|&(_, kind)| !kinds[kind].is_empty());
        items.sort_unstable();
        let runs = || items.chunk_by(|x, y| x == y).map(|run| (run[0].0, run[0].1, run.len()));
        // Kinds that occur are columns in the order of what they add, whatever their order was.
        let mut columns: Vec<usize> = (0..kinds.len()).collect();
        let mut used = vec![false; kinds.len()];
        items.iter().for_each(|&(_, kind)| used[kind] = true);
        columns.retain(|&kind| used[kind]);
        let content = |kind: usize| kinds[kind].iter().map(|&(place, amount)| (place, amount.to_bits()));
        columns.sort_by(|&x, &y| content(x).cmp(content(y)));
        let mut column_of = vec![0_u32; kinds.len()];
        columns.iter().zip(0..).for_each(|(&kind, column)| column_of[kind] = column);

        let by_kinds = runs().count() + columns.iter().map(|&kind| kinds[kind].len()).sum::<usize>();
        let by_places: usize = runs().map(|(_, kind, _)| kinds[kind].len()).sum();
        let counted = by_kinds <= 2 * by_places;
        let mut cells: Vec<(u32, u64)> = vec![];
        let mut starts = vec![0];
        let mut sums: Vec<(u32, f64)> = vec![];
        for cluster in items.chunk_by(|x, y| x.0 == y.0) {
            let runs = cluster.chunk_by(|x, y| x == y).map(|run| (run[0].1, run.len() as f64));
            if counted {
                sums.extend(runs.map(|(kind, count)| (column_of[kind], count)));
            } else {
                sums.extend(runs.flat_map(|(kind, count)| {
                    kinds[kind].iter().map(move |&(place, amount)| (place as u32, count * amount))
                }));
            }
            sums.sort_by_key(|&(column, _)| column);
            for run in sums.chunk_by(|x, y| x.0 == y.0) {
                cells.push((run[0].0, run.iter().map(|(_, amount)| amount).sum::<f64>().to_bits()));
            }
            starts.push(cells.len());
            sums.clear();
        }
        let mut multiplicities: HashMap<&[(u32, u64)], u32, FixedState> = HashMap::default();
        for ends in starts.windows(2) {
            *multiplicities.entry(&cells[ends[0]..ends[1]]).or_default() += 1;
        }
        let mut clusters: Vec<(&[(u32, u64)], u32)> = multiplicities.into_iter().collect();
        clusters.sort_unstable_by_key(|&(cells, multiplicity)| (Reverse(multiplicity), cells));
        let lines = SparseLines::new(
            clusters.iter().map(|(cells, _)| cells.iter().map(|&(place, bits)| (place, f64::from_bits(bits)))),
        );
        ClusterSums {
            width,
            columns: if counted { columns.len() } else { width },
            multiplicities: clusters.iter().map(|&(_, multiplicity)| multiplicity).collect(),
            lines,
            item_kinds: counted.then(|| {
                let entries = |&kind: &usize| kinds[kind].iter().map(|&(place, amount)| (place as u32, amount));
                SparseLines::new(columns.iter().map(entries))
            }),
        }
    }

    /// Number of clusters that hold something.
    pub fn clusters(&self) -> usize {
        self.multiplicities.iter().map(|&count| count as usize).sum()
    }

    /// Sums over everything.
    pub fn total(&self) -> Vec<f64> {
        self.sums(&self.weighted(&self.multiplicities))
    }

    /// The largest count, if all that clusters hold are small whole counts, and if lying densely they are no more work than sparsely.
    fn dense(&self) -> Option<u16> {
        let small = |amount: &f64| amount.fract() == 0.0 && (0.0..=4096.0).contains(amount);
        let work = self.columns.div_ceil(COUNTS * NARROW) * self.multiplicities.len();
        let dense = work <= self.lines.places.len().max(4 * self.multiplicities.len());
        (dense && self.lines.amounts.iter().all(small))
            .then(|| self.lines.amounts.iter().copied().fold(1.0, f64::max) as u16)
    }

    /// By column, with so many clusters of each kind.
    fn weighted(&self, weights: &[u32]) -> Vec<f64> {
        let mut columns = vec![0.0; self.columns];
        for (kind, &weight) in weights.iter().enumerate() {
            if weight > 0 {
                self.lines.add(kind, f64::from(weight), &mut columns);
            }
        }
        columns
    }

    /// The sums, from those by column.
    fn sums(&self, columns: &[f64]) -> Vec<f64> {
        let Some(item_kinds) = &self.item_kinds else { return columns.to_vec() };
        let mut sums = vec![0.0; self.width];
        for (kind, &count) in columns.iter().enumerate() {
            item_kinds.add(kind, count, &mut sums);
        }
        sums
    }
}

/// A sample whose statistics are functions of sums.
pub struct SummedSample<'a> {
    /// The sums by cluster.
    pub sums: ClusterSums,
    /// The statistics.
    pub statistics: Vec<Box<dyn Statistic + 'a>>,
}

impl SummedSample<'_> {
    /// Of sums by column.
    fn evaluate(&self, columns: &[f64]) -> Vec<Value> {
        let sums = self.sums.sums(columns);
        self.statistics.iter().map(|statistic| statistic.value(&sums)).collect()
    }

    /// Replicates by dense counts, none of them above `largest`.
    fn dense_replicates<const W: usize>(&self, largest: u16, resampling: Resampling) -> Vec<Vec<Value>> {
        let (lines, columns) = (&self.sums.lines, self.sums.columns);
        let counts = DenseCounts::<W>::new(lines, columns, largest);
        let draws = Draws::new(&self.sums.multiplicities);
        counts.replicates(&draws, resampling, |sums| self.evaluate(&sums[..columns]))
    }
}

impl Sample for SummedSample<'_> {
    fn kinds(&self) -> &[u32] {
        &self.sums.multiplicities
    }

    fn values(&self, weights: &[u32]) -> Vec<Value> {
        self.evaluate(&self.sums.weighted(weights))
    }

    fn leave_one_out(&self) -> Vec<Vec<Value>> {
        let total = self.sums.weighted(&self.sums.multiplicities);
        let without = |kind| {
            let mut rest = total.clone();
            self.sums.lines.add(kind, -1.0, &mut rest);
            self.evaluate(&rest)
        };
        (0..self.sums.multiplicities.len()).into_par_iter().map(without).collect()
    }

    fn replicates(&self, resampling: Resampling) -> Vec<Vec<Value>> {
        match self.sums.dense() {
            None => replicates_by_weights(self, resampling),
            Some(largest) if self.sums.columns <= COUNTS * NARROW => {
                self.dense_replicates::<NARROW>(largest, resampling)
            }
            Some(largest) => self.dense_replicates::<WIDE>(largest, resampling),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::kappa::cohen_kappa;
    use crate::agreement::table::TableView;
    use proptest::prelude::*;

    /// One statistic of q × q counts, and the counts themselves.
    fn sample(sums: ClusterSums, q: usize) -> SummedSample<'static> {
        let mut statistics: Vec<Box<dyn Statistic>> =
            vec![Box::new(move |counts: &[f64]| cohen_kappa(TableView { labels: q, counts }))];
        for cell in 0..q * q {
            statistics.push(Box::new(move |counts: &[f64]| Ok(counts[cell])));
        }
        SummedSample { sums, statistics }
    }

    fn cells(q: usize) -> Vec<Vec<(usize, f64)>> {
        (0..q * q).map(|cell| vec![(cell, 1.0)]).collect()
    }

    fn sorted(mut values: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
        values.sort_by(|x, y| x.iter().map(|x| x.to_bits()).cmp(y.iter().map(|y| y.to_bits())));
        values
    }

    proptest! {
        #[test]
        fn sums_are_those_of_the_items_however_they_are_kept(
            (q, items) in (2_usize..7).prop_flat_map(|q| (Just(q), prop::collection::vec((0_usize..60, 0..q * q), 1..400)))
        ) {
            let by_cells = sample(ClusterSums::of_items(q * q, &cells(q), items.clone()), q);
            let mut turned: Vec<(usize, usize, f64)> = items.iter().map(|&(cluster, cell)| (99 - cluster, cell, 1.0)).collect();
            turned.reverse();
            let by_entries = sample(ClusterSums::new(q * q, turned), q);
            let mut clusters = std::collections::BTreeMap::new();
            for &(cluster, cell) in &items {
                clusters.entry(cluster).or_insert_with(|| vec![0.0; q * q])[cell] += 1.0;
            }
            let total: Vec<f64> = (0..q * q).map(|cell| clusters.values().map(|counts| counts[cell]).sum()).collect();
            prop_assert_eq!(by_cells.sums.total(), total.clone());
            prop_assert_eq!(by_cells.sums.clusters(), clusters.len());

            // One cluster left out, each as often as there are clusters of its kind.
            let left_out = by_cells.leave_one_out().into_iter().zip(by_cells.kinds()).flat_map(|(values, &count)| {
                let counts: Vec<f64> = values[1..].iter().map(|value| value.unwrap()).collect();
                std::iter::repeat_n(counts, count as usize)
            });
            let expected = clusters.values().map(|counts| total.iter().zip(counts).map(|(x, y)| x - y).collect());
            prop_assert_eq!(sorted(left_out.collect()), sorted(expected.collect()));

            // Replicates do not depend on names and order of clusters, nor on how counts are kept.
            let resampling = Resampling { replicates: 20, seed: 4 };
            let drawn = by_cells.replicates(resampling);
            prop_assert_eq!(&drawn, &by_entries.replicates(resampling));
            prop_assert_eq!(&drawn, &replicates_by_weights(&by_cells, resampling));
            prop_assert_eq!(&drawn, &by_cells.dense_replicates::<1>(60, resampling));
        }
    }

    #[test]
    fn items_that_add_nothing_make_no_cluster_and_odd_amounts_are_kept_as_they_are() {
        let mut items = Items::new(2);
        for cluster in 0..30_usize {
            items.add(
                cluster,
                &(cluster % 3),
                || if cluster == 0 { vec![] } else { vec![(0, 0.1), (1, cluster as f64)] },
            );
        }
        let sums = items.sums();
        assert_eq!((sums.clusters(), sums.multiplicities.as_slice()), (20, [10, 10].as_slice()));
        assert_eq!(sums.total(), [2.0, 30.0]);
        let scores: Vec<(usize, usize, f64)> =
            (0..200).flat_map(|item| [(item / 8, 0, 1.0), (item / 8, 1, (item as f64).sqrt())]).collect();
        let sums = ClusterSums::new(2, scores);
        assert!(sums.dense().is_none() && sums.clusters() == 25);
        assert!((sums.total()[1] - (0..200).map(|item| f64::from(item).sqrt()).sum::<f64>()).abs() < 1e-9);
    }

    #[test]
    fn counts_that_are_not_small_are_summed_without_words_that_overflow() {
        // Thirty sessions with thousands of one label: dense up to 4,096 a session, by weights above.
        for most in [4_000, 5_000] {
            let items =
                (0..30).flat_map(|g| (0..most - g).map(move |item| (g, if item < g * 7 { 3 } else { 0 }))).collect();
            let sample = sample(ClusterSums::of_items(4, &cells(2), items), 2);
            assert_eq!(sample.sums.dense().is_some(), most == 4_000);
            let resampling = Resampling { replicates: 50, seed: 9 };
            assert_eq!(sample.replicates(resampling), replicates_by_weights(&sample, resampling));
        }
    }
}
