//! sysmon: the thread that watches the others, and holds no P.
//!
//! This file has what others see of it; its rounds are in `rounds.rs`. It allocates nothing and
//! takes no lock that user code could hold: a suspended thread may hold any of those. What may
//! block or allocate is a chore (`service/chores.rs`).
//!
//! # Pace
//!
//! 20 µs after a round that took a P from a blocked thread, as in Go; 50 rounds without make it
//! double, to 10 ms. While work waits behind a running goroutine the pause is 1 ms at most (a
//! quarter of a slice if that is less), and one round follows at once when a thread may have
//! blocked: in Go a thread that blocks just after the pause has grown keeps its P for up to 20 ms.
//! It is 1 ms at most, too, while Ms switch: there will be new work, and whoever submits it should
//! not have to wake this thread. New work after a long pause makes for one round at once, and a
//! pause of 1 ms if that finds none waiting.
//! When all Ps are idle sysmon sleeps until an M takes up a P again.
//!
//! # States of the word
//!
//! | word    | the pause                      | interrupted by                                     |
//! |---------|--------------------------------|----------------------------------------------------|
//! | `AWAKE` | none                           |                                                    |
//! | `NAP`   | up to 100 µs                   | a thread that has suspended itself                 |
//! | `REST`  | up to 1 ms                     | that; a blocking call that begins in front of work |
//! | `DOZE`  | up to 10 ms                    | those; new work                                    |
//! | `DEEP`  | no end; all Ps are idle        | those; an M that takes up a P                      |
//!
//! Whoever interrupts swaps in `AWAKE` and wakes. For `DEEP` the two parties store, fence and load:
//! sysmon the word, then the number of idle Ps; an M the number of idle Ps, then the word.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use std::time::{Duration, Instant};

use crate::sys::futex;

const AWAKE: u32 = 0;
pub(super) const NAP: u32 = 1;
pub(super) const REST: u32 = 2;
pub(super) const DOZE: u32 = 3;
pub(super) const DEEP: u32 = 4;

/// What others see of sysmon.
#[derive(Debug)]
pub(crate) struct Monitor {
    word: AtomicU32,
    now_ms: AtomicU32,
    begin: Instant,
    end: AtomicBool,
}

impl Monitor {
    pub(crate) fn new() -> Monitor {
        Monitor {
            word: AtomicU32::new(AWAKE),
            now_ms: AtomicU32::new(0),
            begin: Instant::now(),
            end: AtomicBool::new(false),
        }
    }

    /// Milliseconds since the runtime began, up to 10 ms old; wraps after 49 days.
    #[inline]
    pub(crate) fn now_ms(&self) -> u32 {
        self.now_ms.load(Ordering::Relaxed)
    }

    /// Time since the runtime began.
    pub(crate) fn uptime(&self) -> Duration {
        self.begin.elapsed()
    }

    pub(super) fn tick(&self) {
        let ms = self.uptime().as_millis() as u32;
        self.now_ms.store(ms, Ordering::Relaxed);
    }

    /// Work waits for a P, perhaps behind a running goroutine.
    #[inline]
    pub(crate) fn work(&self) {
        // Relaxed: a look that comes too early costs one long pause at most.
        if self.word.load(Ordering::Relaxed) >= DOZE {
            self.rouse();
        }
    }

    /// A thief has noted haste on a P: sysmon does not pause for long while that lasts.
    pub(crate) fn haste(&self) {
        // SeqCst: pairs with the fence of sysmon before a long pause.
        fence(Ordering::SeqCst);
        self.work();
    }

    /// A blocking call begins; work waits for its P, or not.
    #[inline]
    pub(crate) fn blocks(&self, has_work: bool) {
        // Relaxed: as in `work`.
        if has_work && self.word.load(Ordering::Relaxed) >= REST {
            self.rouse();
        }
    }

    /// An M has taken up a P.
    pub(crate) fn busy(&self) {
        // SeqCst: pairs with the fence of sysmon before its deep sleep.
        fence(Ordering::SeqCst);
        if self.word.load(Ordering::Relaxed) == DEEP {
            self.tick();
            self.rouse();
        }
    }

    /// Something happened that sysmon waits for. Async-signal-safe.
    pub(crate) fn poke(&self) {
        if self.word.load(Ordering::Relaxed) != AWAKE {
            self.rouse();
        }
    }

    #[cold]
    fn rouse(&self) {
        // AcqRel: orders what the caller did before what sysmon sees.
        if self.word.swap(AWAKE, Ordering::AcqRel) != AWAKE {
            futex::wake(&self.word);
        }
    }

    /// sysmon ends.
    pub(crate) fn end(&self) {
        // Release: pairs with the Acquire of sysmon.
        self.end.store(true, Ordering::Release);
        self.rouse();
    }

    pub(super) fn ends(&self) -> bool {
        // Acquire: pairs with `end`.
        self.end.load(Ordering::Acquire)
    }

    /// True if somebody interrupted the pause.
    pub(super) fn sleep(
        &self,
        state: u32,
        pause: Option<Duration>,
        unless: impl FnOnce() -> bool,
    ) -> bool {
        self.word.store(state, Ordering::Relaxed);
        // SeqCst: pairs with the fence of `busy`, and with that of a submit.
        fence(Ordering::SeqCst);
        if !unless() && !self.ends() {
            futex::wait(&self.word, state, pause);
        }
        // AcqRel: pairs with `rouse`.
        self.word.swap(AWAKE, Ordering::AcqRel) == AWAKE
    }
}
