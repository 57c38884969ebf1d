//! Sums over items kept by cluster, so that statistics of sums can be resampled without going over rows.
//!
//! Takes items that lie in clusters and are of a few kinds (an item that one rater labelled `yes` and the other `no`), gives the sums of any
//! resampled data set. Three things make that cheap and change no number: items of one kind are counted before they are summed; clusters that
//! hold the same are one kind of cluster with a multiplicity; and small whole counts lie densely, so that a drawn cluster is a few
//! additions of whole lines. Kinds of clusters stand in an order of their contents, so the order of the rows does not matter.

use super::draw::{self, DRAWS_AT_ONCE, Drawn, Draws};
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

    fn add(&self, line: usize, weight: f64, target: &mut [f64]) {
        let range = self.starts[line]..self.starts[line + 1];
        for (&place, &amount) in self.places[range.clone()].iter().zip(&self.amounts[range]) {
            target[place as usize] += weight * amount;
        }
    }
}

/// Columns of a block of dense counts.
const BLOCK: usize = 16;

/// Small whole counts by block of columns and kind of cluster.
#[derive(Debug, Clone)]
struct DenseCounts {
    blocks: Vec<Vec<[u16; BLOCK]>>,
    /// Lines that can be added before a count could exceed 65,535.
    at_once: usize,
}

impl DenseCounts {
    /// The same counts as `lines`, if they are small and whole, and if lying densely they are no more work than sparsely.
    fn new(lines: &SparseLines, columns: usize) -> Option<DenseCounts> {
        let count = lines.starts.len() - 1;
        let (blocks, largest) = (columns.div_ceil(BLOCK), lines.amounts.iter().copied().fold(1.0, f64::max));
        let small = lines.amounts.iter().all(|amount| amount.fract() == 0.0 && *amount >= 0.0);
        if !small || largest > 4096.0 || blocks * count > lines.places.len().max(2 * count) {
            return None;
        }
        let mut dense = DenseCounts {
            blocks: vec![vec![[0; BLOCK]; count]; blocks],
            at_once: (usize::from(u16::MAX) / largest as usize).min(DRAWS_AT_ONCE),
        };
        for line in 0..count {
            let range = lines.starts[line]..lines.starts[line + 1];
            for (&place, &amount) in lines.places[range.clone()].iter().zip(&lines.amounts[range]) {
                dense.blocks[place as usize / BLOCK][line][place as usize % BLOCK] = amount as u16;
            }
        }
        Some(dense)
    }
}

/// Dense counts of the draws so far.
struct DenseDraw<'a> {
    counts: &'a DenseCounts,
    totals: Vec<[u64; BLOCK]>,
}

impl Drawn for DenseDraw<'_> {
    fn add(&mut self, kind: usize, times: u32) {
        for (total, block) in self.totals.iter_mut().zip(&self.counts.blocks) {
            for (total, &count) in total.iter_mut().zip(&block[kind]) {
                *total += u64::from(times) * u64::from(count);
            }
        }
    }

    fn add_each(&mut self, kinds: &[u32]) {
        for kinds in kinds.chunks(self.counts.at_once) {
            for (total, block) in self.totals.iter_mut().zip(&self.counts.blocks) {
                // A fixed number of small counts, so that they stay in two registers.
                let mut sums = [0_u16; BLOCK];
                for &kind in kinds {
                    let line = &block[kind as usize];
                    for column in 0..BLOCK {
                        sums[column] = sums[column].wrapping_add(line[column]);
                    }
                }
                total.iter_mut().zip(sums).for_each(|(total, sum)| *total += u64::from(sum));
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
    dense: Option<DenseCounts>,
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
        let wide = if counted { columns.len() } else { width };
        ClusterSums {
            width,
            columns: wide,
            multiplicities: clusters.iter().map(|&(_, multiplicity)| multiplicity).collect(),
            dense: DenseCounts::new(&lines, wide),
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
        let Some(counts) = &self.sums.dense else { return replicates_by_weights(self, resampling) };
        let draws = Draws::new(self.kinds());
        let empty = || Box::new(DenseDraw { counts, totals: vec![[0; BLOCK]; counts.blocks.len()] });
        let clear = |drawn: &mut DenseDraw<'_>| drawn.totals.fill([0; BLOCK]);
        draw::replicates(&draws, resampling, empty, clear, |drawn| {
            let columns: Vec<f64> = drawn.totals.as_flattened().iter().map(|&total| total as f64).collect();
            self.evaluate(&columns[..self.sums.columns])
        })
    }
}
