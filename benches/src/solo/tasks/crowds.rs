//! Many tasks that wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::Async;
use crate::peers::parked::Memory;
use crate::solo::usage::Usage;

/// Over which the moments of sleepers are spread, and how long before the first all are spawned.
const SPREAD: Duration = Duration::from_millis(100);
const LEAD: Duration = Duration::from_millis(100);
const LEAD_EACH: Duration = Duration::from_micros(2);

/// How long nothing happens.
const IDLE: Duration = Duration::from_secs(1);

/// How late each wakes up.
pub(super) async fn sleepers<A: Async>(count: usize) -> Result<Vec<Duration>, String> {
    let number = u32::try_from(count).map_err(|_| format!("{count} sleepers are too many"))?;
    let mut handles = Vec::with_capacity(count);
    let first = Instant::now() + LEAD + LEAD_EACH * number;
    for index in 0..number {
        let due = first + SPREAD.mul_f64(f64::from(index) / f64::from(number));
        handles.push(A::spawn(async move {
            A::sleep_until(due).await;
            let now = Instant::now();
            assert!(now >= due, "woken {:?} too early", due - now);
            now - due
        }));
    }
    if Instant::now() > first {
        return Err("the first was due before all were spawned".into());
    }
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
    let before = Memory::now();
    let start = Instant::now();
    let crowd = Crowd::<A>::gather(count).await;
    let spawned = start.elapsed();
    let after = Memory::now();

    let start = Instant::now();
    crowd.release().await;
    let woken = start.elapsed();

    let each = |total: f64| total / count as f64;
    vec![
        ("bytes", each(after.bytes - before.bytes)),
        ("spawn", each(spawned.as_nanos() as f64)),
        ("wake", each(woken.as_nanos() as f64)),
    ]
}

/// What the process does while all of them wait.
pub(super) async fn idle<A: Async>(count: usize) -> Result<Vec<(&'static str, f64)>, String> {
    let crowd = Crowd::<A>::gather(count).await;
    let usage = Usage::now().map_err(|error| error.to_string())?;
    A::sleep_until(Instant::now() + IDLE).await;
    let answer = usage.answer().map_err(|error| error.to_string());
    crowd.release().await;
    answer
}
