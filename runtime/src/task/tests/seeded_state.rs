//! Transitions with bugs that the models must find.

use super::{BY_TOKEN, Commit, NOTIFIED, OWNED, PARKED, PHASE, State, TOKEN, Trim, WATCHED, Wake};
use crate::shim::Ordering;

impl State {
    /// `end_trim` that forgets wakers: the bug that the model must find.
    pub(crate) fn end_trim_seeded(&self) -> Trim {
        let word = self.0.load(Ordering::Acquire);
        // Acquire above and Release here, as in the real one.
        self.0.store(word & !PHASE | PARKED, Ordering::Release);
        Trim::Parked
    }

    /// `set_watched` as a load and a store: the bug that the model must find.
    pub(crate) fn set_watched_seeded(&self) {
        // Relaxed as in the real one.
        let word = self.0.load(Ordering::Relaxed);
        self.0.store(word | WATCHED, Ordering::Relaxed);
    }

    /// `commit_park` as a load and a store: the bug that the model must find.
    pub(crate) fn commit_park_seeded(&self) -> Commit {
        let word = self.0.load(Ordering::Acquire);
        if word & PHASE == NOTIFIED {
            // Release as in the real one.
            self.0.store(word & !PHASE | OWNED, Ordering::Release);
            return Commit::ResumeNow;
        }
        // Release as in the real one.
        self.0.store(word & !PHASE | PARKED, Ordering::Release);
        Commit::Parked
    }

    /// `commit_park` that does not tell its owner of a request: the bug that the model must find.
    pub(crate) fn commit_park_untold(&self) -> Commit {
        let commit = self.commit_park();
        if commit == Commit::ResumeNow {
            self.clear_ended();
        }
        commit
    }

    /// `park_by_token` that looks for the token first: the bug that the model must find.
    pub(crate) fn park_by_token_seeded(&self) -> Commit {
        if self.take_token() {
            return Commit::ResumeNow;
        }
        // Acquire and Release as in the real one.
        let word = self.0.load(Ordering::Acquire) & !TOKEN;
        self.0
            .store(word & !PHASE | PARKED | BY_TOKEN, Ordering::Release);
        Commit::Parked
    }

    /// `ready` as a load and a store: the bug that the model must find.
    pub(crate) fn ready_seeded(&self, _id: u64) -> Wake {
        let word = self.0.load(Ordering::Acquire);
        if word & PHASE == PARKED {
            // Release as in the real one.
            self.0.store(word & !PHASE | OWNED, Ordering::Release);
            return Wake::Enqueue;
        }
        Wake::Done
    }
}
