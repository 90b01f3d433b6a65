//! Many that wait.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::Blocking;
use crate::measure::Result;
use crate::solo::crowd::{Gathering, IDLE, LEAD_EACH, Moments, late};
use crate::solo::usage::Usage;

/// How late each wakes up.
pub(super) fn sleepers<K: Blocking>(count: usize) -> io::Result<Vec<Duration>> {
    let mut handles = Vec::with_capacity(count);
    let moments = Moments::new(count, LEAD_EACH).map_err(io::Error::other)?;
    for due in moments.all() {
        handles.push(K::spawn(move || {
            K::sleep(due.saturating_duration_since(Instant::now()));
            late(due)
        })?);
    }
    moments.check().map_err(io::Error::other)?;
    Ok(handles.into_iter().map(K::join).collect())
}

/// Some before a gate, which is a channel that is closed.
struct Crowd<K: Blocking> {
    handles: Vec<K::Handle<()>>,
    opener: K::Sender<()>,
}

impl<K: Blocking> Crowd<K> {
    /// Goes on when all are there.
    fn gather(count: usize) -> io::Result<Self> {
        let mut handles = Vec::with_capacity(count);
        let (opener, gate) = K::channel::<()>(Some(0));
        let (told, complete) = K::channel::<()>(Some(1));
        let there = Arc::new(AtomicUsize::new(0));
        for _ in 0..count {
            let (there, gate, told) = (Arc::clone(&there), gate.clone(), told.clone());
            handles.push(K::spawn(move || {
                if there.fetch_add(1, Ordering::Relaxed) + 1 == count {
                    K::send(&told, ());
                }
                drop((there, told));
                assert_eq!(K::recv(&gate), None, "nobody sends");
            })?);
        }
        drop(told);
        assert_eq!(K::recv(&complete), Some(()), "the last one tells");
        Ok(Self { handles, opener })
    }

    fn release(self) {
        drop(self.opener);
        self.handles.into_iter().for_each(K::join);
    }
}

/// What each of them costs.
pub(super) fn parked<K: Blocking>(count: usize) -> io::Result<Vec<(&'static str, f64)>> {
    let gathering = Gathering::begin();
    let crowd = Crowd::<K>::gather(count)?;
    let release = gathering.complete();
    crowd.release();
    Ok(release.answer(count))
}

/// What the process does while all of them wait.
pub(super) fn idle<K: Blocking>(count: usize) -> Result<Vec<(&'static str, f64)>> {
    let crowd = Crowd::<K>::gather(count)?;
    let usage = Usage::begin()?;
    K::sleep(IDLE);
    let answer = usage.answer();
    crowd.release();
    answer
}
