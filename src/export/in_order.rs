//! Takes things that are slow to read; gives what was read in their order, while others are being read on every core.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How far reading may run ahead of taking, for each thread that reads.
const AHEAD: usize = 2;

/// What the threads agree on.
struct State<R> {
    /// The next thing that nobody reads yet.
    next: usize,
    /// How many were taken.
    taken: usize,
    /// What was read and not yet taken.
    read: BTreeMap<usize, R>,
    /// Whether all should end: an error, or a panic of one of them.
    stopped: bool,
}

struct Shared<R> {
    state: Mutex<State<R>>,
    changed: Condvar,
}

impl<R> Shared<R> {
    fn lock(&self) -> MutexGuard<'_, State<R>> {
        // Nothing is half done while the lock is held, so a panic elsewhere leaves the state usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State<R>>) -> MutexGuard<'s, State<R>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }
}

/// Ends the others when a thread is done with its work or has panicked over it.
struct StopOnPanic<'s, R>(&'s Shared<R>);

impl<R> Drop for StopOnPanic<'_, R> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

/// Reads `things` on `threads` threads and hands each to `take` on this one, in their order. At most [`AHEAD`] times `threads` of them
/// are in memory.
///
/// # Errors
/// The first that `take` gives; no further thing is read then.
pub(super) fn read_in_order<T: Sync, R: Send, E>(
    things: &[T],
    threads: usize,
    read: impl Fn(&T) -> R + Sync,
    mut take: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let threads = threads.max(1);
    let shared = Shared {
        state: Mutex::new(State { next: 0, taken: 0, read: BTreeMap::new(), stopped: false }),
        changed: Condvar::new(),
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.min(things.len()) {
            scope.spawn(|| {
                let _guard = StopOnPanic(&shared);
                while let Some(at) = claim(&shared, things.len(), threads * AHEAD) {
                    let done = read(&things[at]);
                    shared.lock().read.insert(at, done);
                    shared.changed.notify_all();
                }
            });
        }
        let _guard = StopOnPanic(&shared);
        for at in 0..things.len() {
            // A reader that panicked: the scope ends with its panic.
            let Some(done) = await_read(&shared, at) else { return Ok(()) };
            if let Err(error) = take(done) {
                shared.stop();
                return Err(error);
            }
        }
        Ok(())
    })
}

/// The next thing to read, once there is room for it.
fn claim<R>(shared: &Shared<R>, things: usize, ahead: usize) -> Option<usize> {
    let mut state = shared.lock();
    loop {
        if state.stopped || state.next >= things {
            return None;
        }
        if state.next < state.taken + ahead {
            state.next += 1;
            return Some(state.next - 1);
        }
        state = shared.wait(state);
    }
}

/// The thing at `at`, once it is read; none if it never will be.
fn await_read<R>(shared: &Shared<R>, at: usize) -> Option<R> {
    let mut state = shared.lock();
    loop {
        if let Some(done) = state.read.remove(&at) {
            state.taken = at + 1;
            shared.changed.notify_all();
            return Some(done);
        }
        if state.stopped {
            return None;
        }
        state = shared.wait(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn what_is_read_out_of_order_is_taken_in_order() {
        let things: Vec<usize> = (0..500).collect();
        let mut taken = Vec::new();
        let busy = |thing: &usize| (0..(thing % 7) * 1000).fold(*thing, |sum, _| std::hint::black_box(sum));
        read_in_order(&things, 4, busy, |thing| {
            taken.push(thing);
            Ok::<(), Infallible>(())
        })
        .unwrap();
        assert_eq!(taken, things);
        read_in_order(&[] as &[usize], 4, |thing| *thing, |_| Ok::<(), Infallible>(())).unwrap();
    }

    #[test]
    fn reading_does_not_run_far_ahead_of_taking() {
        let things: Vec<usize> = (0..200).collect();
        let (read, mut taken, mut farthest) = (AtomicUsize::new(0), 0, 0);
        read_in_order(
            &things,
            3,
            |_| read.fetch_add(1, Ordering::SeqCst),
            |_| {
                farthest = farthest.max(read.load(Ordering::SeqCst) - taken);
                taken += 1;
                Ok::<(), Infallible>(())
            },
        )
        .unwrap();
        assert!(farthest <= 3 * AHEAD + 1, "{farthest}");
    }

    #[test]
    fn an_error_ends_the_reading() {
        let things: Vec<usize> = (0..10_000).collect();
        let read = AtomicUsize::new(0);
        let ended = read_in_order(
            &things,
            2,
            |thing| {
                read.fetch_add(1, Ordering::SeqCst);
                *thing
            },
            |thing| if thing == 10 { Err("full") } else { Ok(()) },
        );
        assert_eq!(ended, Err("full"));
        assert!(read.load(Ordering::SeqCst) <= 11 + 2 * AHEAD, "{}", read.load(Ordering::SeqCst));
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_of_a_reader_is_not_waited_for() {
        let things: Vec<usize> = (0..100).collect();
        let read = |thing: &usize| if *thing == 5 { panic!("five") } else { *thing };
        read_in_order(&things, 2, read, |_| Ok::<(), Infallible>(())).unwrap();
    }
}
