//! Many that wait.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::Blocking;
use crate::measure::Result;
use crate::peers::parked::Memory;
use crate::solo::usage::Usage;

/// Over which the moments of sleepers are spread, and how long before the first all are spawned.
const SPREAD: Duration = Duration::from_millis(100);
const LEAD: Duration = Duration::from_millis(100);
const LEAD_EACH: Duration = Duration::from_micros(2);

/// How long nothing happens.
const IDLE: Duration = Duration::from_secs(1);

/// How late each wakes up.
pub(super) fn sleepers<K: Blocking>(count: usize) -> io::Result<Vec<Duration>> {
    let number = u32::try_from(count).map_err(io::Error::other)?;
    let mut handles = Vec::with_capacity(count);
    let first = Instant::now() + LEAD + LEAD_EACH * number;
    for index in 0..number {
        let due = first + SPREAD.mul_f64(f64::from(index) / f64::from(number));
        handles.push(K::spawn(move || {
            K::sleep(due.saturating_duration_since(Instant::now()));
            let now = Instant::now();
            assert!(now >= due, "woken {:?} too early", due - now);
            now - due
        })?);
    }
    if Instant::now() > first {
        return Err(io::Error::other(
            "the first was due before all were spawned",
        ));
    }
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
    let before = Memory::now();
    let start = Instant::now();
    let crowd = Crowd::<K>::gather(count)?;
    let spawned = start.elapsed();
    let after = Memory::now();

    let start = Instant::now();
    crowd.release();
    let woken = start.elapsed();

    let each = |total: f64| total / count as f64;
    Ok(vec![
        ("bytes", each(after.bytes - before.bytes)),
        ("spawn", each(spawned.as_nanos() as f64)),
        ("wake", each(woken.as_nanos() as f64)),
    ])
}

/// What the process does while all of them wait.
pub(super) fn idle<K: Blocking>(count: usize) -> Result<Vec<(&'static str, f64)>> {
    let crowd = Crowd::<K>::gather(count)?;
    let usage = Usage::now()?;
    K::sleep(IDLE);
    let answer = usage.answer();
    crowd.release();
    answer
}
