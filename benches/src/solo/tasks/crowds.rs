//! Many tasks that wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::Async;
use crate::solo::crowd::{Gathering, IDLE, LEAD_EACH, Moments, late};
use crate::solo::usage::Usage;

/// How late each wakes up.
pub(super) async fn sleepers<A: Async>(count: usize) -> Result<Vec<Duration>, String> {
    let mut handles = Vec::with_capacity(count);
    let moments = Moments::new(count, LEAD_EACH)?;
    for due in moments.all() {
        handles.push(A::spawn(async move {
            A::sleep_until(due).await;
            late(due)
        }));
    }
    moments.check()?;
    let mut late = Vec::with_capacity(count);
    for handle in handles {
        late.push(A::join(handle).await);
    }
    Ok(late)
}

/// Tasks before a gate.
struct Crowd<A: Async> {
    handles: Vec<A::Handle<()>>,
    opener: A::Opener,
}

impl<A: Async> Crowd<A> {
    /// Goes on when all are there.
    async fn gather(count: usize) -> Self {
        let mut handles = Vec::with_capacity(count);
        let (opener, gate) = A::gate();
        let there = Arc::new(AtomicUsize::new(0));
        for _ in 0..count {
            let task = A::pass(Arc::clone(&there), gate.clone());
            handles.push(A::spawn(task));
        }
        while there.load(Ordering::Relaxed) < count {
            A::yield_now().await;
        }
        Self { handles, opener }
    }

    async fn release(self) {
        A::open(self.opener);
        for handle in self.handles {
            A::join(handle).await;
        }
    }
}

/// What each of them costs.
pub(super) async fn parked<A: Async>(count: usize) -> Vec<(&'static str, f64)> {
    let gathering = Gathering::begin();
    let crowd = Crowd::<A>::gather(count).await;
    let release = gathering.complete();
    crowd.release().await;
    release.answer(count)
}

/// What the process does while all of them wait.
pub(super) async fn idle<A: Async>(count: usize) -> Result<Vec<(&'static str, f64)>, String> {
    let crowd = Crowd::<A>::gather(count).await;
    let usage = Usage::begin().map_err(|error| error.to_string())?;
    A::sleep_until(Instant::now() + IDLE).await;
    let answer = usage.answer().map_err(|error| error.to_string());
    crowd.release().await;
    answer
}
