//! Takes how much each reader is going to hold in memory; lets as many of them in at a time as there is room for.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Room for readers on all cores together, in bytes.
const LEAST: u64 = 128 << 20;

/// Room for each of many cores, in bytes: several times what sessions have on average.
const A_THREAD: u64 = 16 << 20;

/// Memory for what is read in parallel.
#[derive(Debug)]
pub(super) struct Room {
    all: u64,
    free: Mutex<u64>,
    freed: Condvar,
}

/// A part of the room that is taken until this is dropped.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    room: &'a Room,
    bytes: u64,
}

impl Room {
    /// Room for so many readers at a time.
    pub(super) fn new(threads: usize) -> Room {
        let all = LEAST.max(A_THREAD.saturating_mul(threads as u64));
        Room { all, free: Mutex::new(all), freed: Condvar::new() }
    }

    /// Waits until there is room for `bytes`; what is larger than all the room waits until it is alone.
    ///
    /// Who holds a part already must not ask for another one: it might wait for itself.
    pub(super) fn take(&self, bytes: u64) -> Taken<'_> {
        let bytes = bytes.min(self.all);
        let free = self.freed.wait_while(self.free(), |free| *free < bytes);
        *free.unwrap_or_else(PoisonError::into_inner) -= bytes;
        Taken { room: self, bytes }
    }

    /// The free bytes; a count is right also when a thread has panicked that held it.
    fn free(&self) -> MutexGuard<'_, u64> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *self.room.free() += self.bytes;
        self.room.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    #[test]
    fn readers_together_hold_no_more_than_there_is_room_for() {
        let room = Room::new(2);
        let (held, most, passed) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for reader in 0..8 {
                let (room, held, most, passed) = (&room, &held, &most, &passed);
                scope.spawn(move || {
                    for nth in 0..200 {
                        let bytes = [1, LEAST / 3, LEAST / 2 + 1, LEAST][(reader + nth) % 4];
                        let taken = room.take(bytes);
                        most.fetch_max(held.fetch_add(bytes, Ordering::SeqCst) + bytes, Ordering::SeqCst);
                        thread::yield_now();
                        held.fetch_sub(bytes, Ordering::SeqCst);
                        drop(taken);
                        passed.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), 1600);
        assert!(most.into_inner() <= LEAST);
        assert_eq!(*room.free(), LEAST);
    }

    #[test]
    fn what_is_larger_than_all_the_room_gets_in_alone() {
        let room = Room::new(1);
        let taken = room.take(u64::MAX);
        assert_eq!(*room.free(), 0);
        drop(taken);
        assert_eq!(*room.free(), LEAST);
        assert_eq!(*Room::new(64).free(), 64 * A_THREAD);
    }
}
