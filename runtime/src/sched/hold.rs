//! Who holds a P: the word of a P, and the flag of an M that says "hands off".
//!
//! ```text
//!   31               8     3       2..0
//!  +------------------+---------+-------+
//!  |  number of M + 1 | PREEMPT | state |
//!  +------------------+---------+-------+
//! ```
//!
//! An M that runs user code holds its P, but sysmon may take the P away from it at any instruction,
//! so that a blocked thread or a hog does not keep it. Inside the runtime an M must be able to
//! trust that the P is its own. So each runtime call *pins*, and the two parties meet:
//!
//! *M, a runtime call:* P1 set the flag; P2 light fence; P3 the word says `Running` by me: go on.
//! `Retaking`: set it back to `Running` by CAS. Anything else: the P is lost. P4 work; P5 clear the
//! flag.
//!
//! *sysmon:* T1 `Running` to `Retaking` by CAS; T2 heavy fence; T3 the flag is set: back to
//! `Running` with `PREEMPT`; T4 not set: `Retaking` to `Free` by CAS, and the P is sysmon's.
//!
//! # States
//!
//! | state      | the P belongs to                                  | left by, to                    |
//! |------------|---------------------------------------------------|--------------------------------|
//! | `Free`     | the idle list, or whoever is passing it on        | its receiver, `Running`        |
//! | `Running`  | the M                                             | the M, `Free`, `Blocking`; sysmon, `Retaking` |
//! | `Retaking` | the M, unless T4 comes first                      | the M or sysmon, `Running`; sysmon, `Free`    |
//! | `Blocking` | nobody: the M is inside `blocking`                | the M, `Running`; sysmon or another M, `Free` |
//! | `Forked`   | nobody: this process is a forked child            | nobody                         |
//!
//! # Proof sketch
//!
//! If P3 sees `Running`, its load comes before T1 in the order of the word, and by the two fences
//! T3 sees the flag, or a later clearing of it, which happens after the work (Release at P5,
//! Acquire at T3). If P3 comes after T1 it sees `Retaking`, and one CAS on the word decides between
//! it and T4. There is one sysmon, so `Retaking` is not taken for another one's.
//!
//! # Invariants
//!
//! 1. `Running`, `Retaking` and `Blocking` name one M, and that M names the P.
//! 2. Only sysmon enters and acts on `Retaking`; only the M enters `Blocking`.
//! 3. `PREEMPT` is a wish: whoever loses it loses fairness, not correctness.
//!
//! Modelled in `tests/loom_hold.rs`, each with a seeded bug: `retake_against_pin`,
//! `retake_against_laying_down`, `retake_against_blocking_exit`, `takers_of_a_blocking_p`.

use crate::shim::{AtomicU32, Light, Ordering, heavy};

const STATE: u32 = 0b111;
/// The slice is over, or the P must go: seen at the next look at the word.
const PREEMPT: u32 = 1 << 3;
const MACHINE_SHIFT: u32 = 8;

const FREE: u32 = 0;
const RUNNING: u32 = 1;
const RETAKING: u32 = 2;
const BLOCKING: u32 = 3;
const FORKED: u32 = 4;

const _: () = assert!(
    STATE & PREEMPT == 0 && FORKED <= STATE && PREEMPT < 1 << MACHINE_SHIFT,
    "fields overlap"
);

/// Machines that the word can name.
pub(crate) const MACHINES_MAX: usize = (1 << (32 - MACHINE_SHIFT)) - 2;

/// The word of a P that this M holds and nobody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(u32);

impl Token {
    pub(crate) fn of(m: usize) -> Token {
        debug_assert!(m < MACHINES_MAX);
        Token((m as u32 + 1) << MACHINE_SHIFT | RUNNING)
    }

    fn with(self, state: u32) -> u32 {
        self.0 & !STATE | state
    }
}

/// What an M that looked at the word of its P found.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Held,
    /// Held, and the slice is over. The wish is taken out.
    Preempted,
    /// In a blocking call, and not taken away.
    Blocking,
    Lost,
    /// The process is a forked child.
    Forked,
}

/// What an observer sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Free,
    Running { m: usize, preempt: bool },
    Blocking { m: usize },
}

/// The word of a P. See the top of this file.
#[derive(Debug)]
pub(crate) struct Hold(AtomicU32);

impl Hold {
    pub(crate) fn new() -> Hold {
        Hold(AtomicU32::new(FREE))
    }

    /// P3: the P is the caller's, and nobody wants it.
    #[inline(always)]
    pub(crate) fn is_held(&self, token: Token) -> bool {
        // Relaxed: the caller wrote it, or the fences order it.
        self.0.load(Ordering::Relaxed) == token.0
    }

    /// `Free` to `Running`, by the M that was given the P.
    pub(crate) fn take_up(&self, token: Token) {
        debug_assert!([FREE, FORKED].contains(&(self.0.load(Ordering::Relaxed) & STATE)));
        // Relaxed: what handed the P over published its data.
        self.0.store(token.0, Ordering::Relaxed);
    }

    /// To `Free`, by the M that holds the P and is pinned.
    pub(crate) fn lay_down(&self) {
        // A `Retaking` of sysmon in between is overwritten, and its T4 fails. A store would do; the
        // model checker orders only a swap after the word that it overwrites. Release: pairs with
        // T1, which must not take a later holder's word for this one's.
        self.0.swap(FREE, Ordering::Release);
    }

    /// P3 in full, by a pinned M.
    #[cold]
    pub(crate) fn look(&self, token: Token) -> Look {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let (to, look) = match word {
                w if w == token.0 => return Look::Held,
                w if w == token.0 | PREEMPT => (token.0, Look::Preempted),
                w if w & !PREEMPT == token.with(RETAKING) => (token.0, Look::Preempted),
                w if w == token.with(BLOCKING) => return Look::Blocking,
                w if w & STATE == FORKED => return Look::Forked,
                _ => return Look::Lost,
            };
            // AcqRel: against T3 and T4 of sysmon.
            match self
                .0
                .compare_exchange(word, to, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return look,
                Err(now) => word = now,
            }
        }
    }

    /// `Running` to `Blocking`: false if somebody wants the P, or has it.
    #[inline]
    pub(crate) fn begin_blocking(&self, token: Token) -> bool {
        // Release: whoever takes the P away takes over its data.
        self.0
            .compare_exchange(
                token.0,
                token.with(BLOCKING),
                Ordering::Release,
                Ordering::Relaxed,
            )
            .is_ok()
    }

    /// `Blocking` back to `Running`: false if the P is gone.
    #[inline]
    pub(crate) fn end_blocking(&self, token: Token) -> bool {
        // Acquire: nobody else had it meanwhile, so this orders nothing but is free.
        self.0
            .compare_exchange(
                token.with(BLOCKING),
                token.0,
                Ordering::Acquire,
                Ordering::Relaxed,
            )
            .is_ok()
    }

    /// Takes the P of an M that is inside `blocking`: the caller owns it then. For sysmon, and for
    /// an M that has no P and runs a goroutine.
    pub(crate) fn take_blocking(&self, m: usize) -> bool {
        // Acquire: takes over the P's data; pairs with `begin_blocking`.
        self.0
            .compare_exchange(
                Token::of(m).with(BLOCKING),
                FREE,
                Ordering::Acquire,
                Ordering::Relaxed,
            )
            .is_ok()
    }

    /// Asks the M that runs on the P to give way at its next look.
    pub(crate) fn preempt(&self) {
        let step = |word: u32| (word & STATE == RUNNING).then_some(word | PREEMPT);
        // Relaxed: a wish.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
    }

    /// T1. For sysmon.
    pub(crate) fn begin_retake(&self, m: usize) -> bool {
        let token = Token::of(m);
        let step = |word: u32| (word & !PREEMPT == token.0).then_some(token.with(RETAKING));
        // AcqRel: see the proof sketch.
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, step)
            .is_ok()
    }

    /// T3, the flag is set: the M keeps the P, and shall give way.
    pub(crate) fn put_back(&self, m: usize) {
        let token = Token::of(m);
        // Relaxed: nothing was done to the P. If it fails the M was faster.
        let _ = self.0.compare_exchange(
            token.with(RETAKING),
            token.0 | PREEMPT,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    /// T4: true if the P is the caller's now.
    pub(crate) fn finish_retake(&self, m: usize) -> bool {
        // Acquire: see the proof sketch.
        self.0
            .compare_exchange(
                Token::of(m).with(RETAKING),
                FREE,
                Ordering::Acquire,
                Ordering::Relaxed,
            )
            .is_ok()
    }

    /// T1 to T4: takes the P of an M that runs user code. For sysmon.
    pub(crate) fn retake(&self, m: usize, pin: &Pin) -> bool {
        if !self.begin_retake(m) {
            return false;
        }
        heavy();
        if pin.is_set() {
            self.put_back(m);
            return false;
        }
        self.finish_retake(m)
    }

    /// Marks the P of a forked child. Async-signal-safe.
    pub(crate) fn mark_forked(&self) {
        // Relaxed: the child has one thread.
        self.0.store(FORKED, Ordering::Relaxed);
    }

    /// For observers. `Retaking` counts as running.
    pub(crate) fn seen(&self) -> Seen {
        let word = self.0.load(Ordering::Relaxed);
        let m = (word >> MACHINE_SHIFT).wrapping_sub(1) as usize;
        match word & STATE {
            RUNNING | RETAKING => Seen::Running {
                m,
                preempt: word & PREEMPT != 0,
            },
            BLOCKING => Seen::Blocking { m },
            _ => Seen::Free,
        }
    }

    /// T1 to T4 without the fence and the look at the flag: the bug that the model must find.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn retake_seeded(&self, m: usize) -> bool {
        self.begin_retake(m) && self.finish_retake(m)
    }

    /// `take_blocking` as a load and a store: the bug that the model must find.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn take_blocking_seeded(&self, m: usize) -> bool {
        // Acquire as in the real one.
        let is_blocking = self.0.load(Ordering::Acquire) == Token::of(m).with(BLOCKING);
        if is_blocking {
            self.0.store(FREE, Ordering::Relaxed);
        }
        is_blocking
    }

    /// `end_blocking` as a load and a store: the bug that the model must find.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn end_blocking_seeded(&self, token: Token) -> bool {
        let held = self.0.load(Ordering::Relaxed) == token.with(BLOCKING);
        if held {
            self.0.store(token.0, Ordering::Relaxed);
        }
        held
    }
}

/// Whether an M is inside the runtime. Written by its own thread only.
#[derive(Debug)]
pub(crate) struct Pin {
    flag: AtomicU32,
    /// Here, beside the flag, because every runtime call reads it.
    light: Light,
}

impl Pin {
    pub(crate) fn new() -> Pin {
        Pin {
            flag: AtomicU32::new(0),
            light: Light::chosen(),
        }
    }

    /// P1 and P2.
    #[inline(always)]
    pub(crate) fn set(&self) {
        self.flag.store(1, Ordering::Relaxed);
        self.light.fence();
    }

    /// P5.
    #[inline(always)]
    pub(crate) fn clear(&self) {
        // Release: the work on the P is over; pairs with `is_set`.
        self.flag.store(0, Ordering::Release);
    }

    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        // Acquire: pairs with `clear`.
        self.flag.load(Ordering::Acquire) != 0
    }
}

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_hold.rs"]
mod loom_hold;
