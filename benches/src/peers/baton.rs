//! Three ways for two threads to take turns.
//!
//! All of them block in the kernel until it is their turn; none spins. The futex is the least
//! that Linux offers, the pipe and the condition variable are what programs often use.

use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex};

use rustix::io::Errno;
use rustix::thread::futex;

/// The right to run, held by party 0 or party 1. Party 0 begins.
pub(crate) trait Baton: Sync {
    /// Gives it to the other party.
    fn pass(&self, to: u32);
    /// Blocks until `me` has it.
    fn wait(&self, me: u32);
}

/// One word, `FUTEX_WAKE` and `FUTEX_WAIT`.
#[derive(Debug, Default)]
pub(crate) struct FutexBaton(AtomicU32);

impl Baton for FutexBaton {
    fn pass(&self, to: u32) {
        // Release: pairs with the Acquire in `wait`, as a lock would.
        self.0.store(to, Ordering::Release);
        futex::wake(&self.0, futex::Flags::PRIVATE, 1).expect("the word is mapped");
    }

    fn wait(&self, me: u32) {
        // Acquire: pairs with the Release in `pass`.
        while self.0.load(Ordering::Acquire) != me {
            match futex::wait(&self.0, futex::Flags::PRIVATE, 1 - me, None) {
                // Passed before the kernel looked, or a signal: the word decides.
                Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => panic!("futex wait: {error}"),
            }
        }
    }
}

/// A pipe per direction, one byte per turn.
#[derive(Debug)]
pub(crate) struct PipeBaton([(PipeReader, PipeWriter); 2]);

impl PipeBaton {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self([io::pipe()?, io::pipe()?]))
    }
}

impl Baton for PipeBaton {
    fn pass(&self, to: u32) {
        (&self.0[to as usize].1)
            .write_all(&[0])
            .expect("the reader is open");
    }

    fn wait(&self, me: u32) {
        (&self.0[me as usize].0)
            .read_exact(&mut [0])
            .expect("the writer is open");
    }
}

/// `std::sync::Mutex` and `std::sync::Condvar`.
#[derive(Debug, Default)]
pub(crate) struct CondvarBaton {
    turn: Mutex<u32>,
    passed: Condvar,
}

impl Baton for CondvarBaton {
    fn pass(&self, to: u32) {
        *self.turn.lock().expect("no holder panics") = to;
        self.passed.notify_one();
    }

    fn wait(&self, me: u32) {
        let turn = self.turn.lock().expect("no holder panics");
        drop(
            self.passed
                .wait_while(turn, |turn| *turn != me)
                .expect("no holder panics"),
        );
    }
}
