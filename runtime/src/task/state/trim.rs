//! The transitions of a trimmer, who gives back the dead part of a resting goroutine's stack.

use super::{BY_TOKEN, ID_SHIFT, NOTIFIED, OWNED, PARKED, PARKING, PHASE, State, TOKEN, must_run};
use crate::shim::Ordering;

/// What a trimmer must do when it is done with a stack.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trim {
    /// The goroutine is at rest as before.
    Parked,
    /// A waker came meanwhile: the caller owns the goroutine and must put it on a queue.
    Enqueue,
}

impl State {
    /// `Parked` to `Parking` by a third party, the trimmer, who owns the stack until
    /// [`State::end_trim`]: wakers leave notes meanwhile, as for any parker. False: goroutine `id`
    /// does not rest.
    pub(crate) fn begin_trim(&self, id: u64) -> bool {
        let step = |word: u64| {
            let rests = word >> ID_SHIFT == id && word & PHASE == PARKED;
            rests.then_some(word & !PHASE | PARKING)
        };
        // Acquire: takes over the saved registers.
        self.0
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, step)
            .is_ok()
    }

    /// Back to `Parked`, or to `Owned` if a waker came.
    pub(crate) fn end_trim(&self) -> Trim {
        let step = |word: u64| match word & (PHASE | BY_TOKEN) {
            // A token: a request would have left a note.
            by if by == PARKING | BY_TOKEN && must_run(word) => {
                Some(word & !(PHASE | BY_TOKEN | TOKEN) | OWNED)
            }
            by if by & PHASE == PARKING => Some(word & !PHASE | PARKED),
            by if by & PHASE == NOTIFIED => Some(word & !(PHASE | BY_TOKEN) | OWNED),
            _ => None,
        };
        // AcqRel: hands the registers on, takes over what the waker wrote.
        let before = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, step);
        match before {
            Ok(word) if word & PHASE == NOTIFIED || word & BY_TOKEN != 0 && must_run(word) => {
                Trim::Enqueue
            }
            Ok(_) => Trim::Parked,
            Err(word) => panic!("end_trim in phase {}", word & PHASE),
        }
    }
}
