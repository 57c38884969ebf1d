//! Takes the longest copy's sequence of entries and those of other copies, which may hold entries that it lacks; gives one order
//! of all.
//!
//! The longest copy's order stands. What it lacks comes behind what it follows in its own copy and before what follows it there,
//! so that every copy that does not contradict a longer one can be read off the result. Where that leaves a choice, times decide;
//! an entry without one comes directly behind what it follows.

use jiff::Timestamp;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

/// An entry that the longest copy lacks.
#[derive(Debug, Default)]
struct Guest {
    at: Option<Timestamp>,
    /// How many entries of the longest copy have to come before it.
    low: usize,
    /// Whether anything asks for that.
    is_bound: bool,
    /// How many may come before it.
    high: Option<usize>,
    /// Guests that follow it, and guests that it follows.
    next: Vec<usize>,
    previous: Vec<usize>,
    /// How many entries of the longest copy do come before it.
    place: Option<usize>,
}

/// Tells when an entry was made.
pub(super) type Times<'a> = dyn FnMut(usize) -> Option<Timestamp> + 'a;

/// The order of the entries `0..base` of the longest copy, which are in order, and of `guests` more that are numbered behind them.
/// `sequences` are what other copies have, those of longer copies first.
pub(super) fn order(base: usize, guests: usize, sequences: &[Vec<usize>], times: &mut Times<'_>) -> Vec<usize> {
    let mut guests: Vec<Guest> =
        (base..base + guests).map(|entry| Guest { at: times(entry), ..Guest::default() }).collect();
    for pair in sequences.iter().flat_map(|sequence| sequence.windows(2)) {
        match (pair[0].checked_sub(base), pair[1].checked_sub(base)) {
            (None, None) => {}
            (None, Some(guest)) => guests[guest].comes_behind(pair[0] + 1),
            (Some(guest), None) => {
                let guest = &mut guests[guest];
                guest.high = Some(guest.high.map_or(pair[1], |high| high.min(pair[1])));
            }
            (Some(first), Some(second)) if first == second => {}
            (Some(first), Some(second)) => {
                guests[first].next.push(second);
                guests[second].previous.push(first);
            }
        }
    }
    let mut line = line_up(&guests, times);
    seat(&mut guests, &line, base, times);
    line.sort_by_key(|&guest| guests[guest].place);
    let mut order = Vec::with_capacity(base + guests.len());
    let mut placed = 0;
    for guest in line {
        let place = guests[guest].place.unwrap_or(base);
        order.extend(placed..place);
        order.push(base + guest);
        placed = place;
    }
    order.extend(placed..base);
    order
}

impl Guest {
    fn comes_behind(&mut self, low: usize) {
        self.low = self.low.max(low);
        self.is_bound = true;
    }
}

/// The guests in an order that their copies ask for. Where copies contradict each other, the guest that was met first comes first.
fn line_up(guests: &[Guest], times: &mut Times<'_>) -> Vec<usize> {
    // A guest without a time is as old as what it follows, and so stays with it.
    let mut ages: Vec<Option<Timestamp>> =
        guests.iter().map(|guest| guest.at.or_else(|| times(guest.low.checked_sub(1)?))).collect();
    let mut missing: Vec<usize> = guests.iter().map(|guest| guest.previous.len()).collect();
    let mut is_lined_up = vec![false; guests.len()];
    let mut ready: BinaryHeap<_> =
        (0..guests.len()).filter(|&guest| missing[guest] == 0).map(|guest| Reverse((ages[guest], guest))).collect();
    let mut line = Vec::with_capacity(guests.len());
    let mut first = 0;
    while line.len() < guests.len() {
        let Some(Reverse((age, guest))) = ready.pop() else {
            while is_lined_up[first] {
                first += 1;
            }
            ready.push(Reverse((ages[first], first)));
            continue;
        };
        if std::mem::replace(&mut is_lined_up[guest], true) {
            continue;
        }
        line.push(guest);
        for &next in &guests[guest].next {
            if guests[next].at.is_none() {
                ages[next] = ages[next].max(age);
            }
            missing[next] = missing[next].saturating_sub(1);
            if missing[next] == 0 && !is_lined_up[next] {
                ready.push(Reverse((ages[next], next)));
            }
        }
    }
    line
}

/// Finds each guest's place among the entries of the longest copy, so that no guest comes before one that stands earlier in `line`
/// and has to precede it.
fn seat(guests: &mut [Guest], line: &[usize], base: usize, times: &mut Times<'_>) {
    let mut rank = vec![0; line.len()];
    for (at, &guest) in line.iter().enumerate() {
        rank[guest] = at;
    }
    for &guest in line.iter().rev() {
        let later = guests[guest].next.iter().filter(|&&next| rank[next] > rank[guest]);
        guests[guest].high = later.filter_map(|&next| guests[next].high).chain(guests[guest].high).min();
    }
    for &guest in line {
        let earlier = guests[guest].previous.iter().filter(|&&previous| rank[previous] < rank[guest]);
        if let Some(low) = earlier.filter_map(|&previous| guests[previous].place).max() {
            guests[guest].comes_behind(low);
        }
        let Guest { at, low, is_bound, high, .. } = guests[guest];
        let by_time = at.and_then(|at| by_time(at, low..high.unwrap_or(base), is_bound, times));
        guests[guest].place = by_time.or(is_bound.then_some(low));
    }
    // What neither follows anything nor has a time stands directly before what follows it.
    loop {
        let mut is_settled = true;
        for &guest in line.iter().rev().chain(line) {
            if guests[guest].place.is_some() {
                continue;
            }
            let Guest { next, previous, high, .. } = &guests[guest];
            let later = next.iter().filter(|&&next| rank[next] > rank[guest]);
            let earlier = previous.iter().filter(|&&previous| rank[previous] < rank[guest]);
            let place = |&other: &usize| guests[other].place;
            let found = later.filter_map(place).chain(*high).min().or_else(|| earlier.filter_map(place).max());
            is_settled &= found.is_none();
            guests[guest].place = found;
        }
        if is_settled {
            break;
        }
    }
    for guest in guests {
        guest.place.get_or_insert(base);
    }
}

/// How many entries of the longest copy come before one made at `at` that has its place in `range`: those up to the first that is
/// not older. Among entries without a time it stands as far to the front as it can if it is bound to what precedes it, else as
/// far to the back. None if no time is known.
fn by_time(at: Timestamp, range: Range<usize>, is_bound: bool, times: &mut Times<'_>) -> Option<usize> {
    let begin = range.start;
    let mut older = None;
    for entry in range {
        match times(entry) {
            Some(time) if time < at => older = Some(entry + 1),
            Some(_) if is_bound => return older.or(Some(begin)),
            Some(_) => return Some(entry),
            None => {}
        }
    }
    older
}
