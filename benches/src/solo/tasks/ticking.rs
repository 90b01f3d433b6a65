//! Tasks that sleep for a short time again and again beside others that hold a thread.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_channel::Sender;

use super::Async;
use crate::peers::threads;
use crate::solo::tick::{BESIDE_BLOCKED, BESIDE_HOGS, HOGS_PER_PROC, Ticks, hog};

/// Tasks that tick.
struct Tickers<A: Async> {
    handles: Vec<A::Handle<Vec<Duration>>>,
    end: Arc<OnceLock<Instant>>,
}

impl<A: Async> Tickers<A> {
    /// Each has ticked once when this is done.
    async fn start(count: usize, period: Duration) -> Self {
        let (told, ticked) = async_channel::bounded(count);
        let end = Arc::new(OnceLock::new());
        let mut handles = Vec::with_capacity(count);
        for _ in 0..count {
            let (told, end) = (told.clone(), Arc::clone(&end));
            handles.push(A::spawn(tick::<A>(period, told, end)));
        }
        drop(told);
        // Each drops its end of the channel after its first tick.
        while ticked.recv().await.is_ok() {}
        Self { handles, end }
    }

    /// From now on lateness counts, so long.
    fn begin(&self, time: Duration) -> Instant {
        *self.end.get_or_init(|| Instant::now() + time)
    }

    async fn late(self) -> Vec<Duration> {
        let mut all = Vec::new();
        for handle in self.handles {
            all.extend(A::join(handle).await);
        }
        all
    }
}

async fn tick<A: Async>(
    period: Duration,
    told: Sender<()>,
    end: Arc<OnceLock<Instant>>,
) -> Vec<Duration> {
    let mut told = Some(told);
    let mut ticks = Ticks::every(period);
    loop {
        let ahead = ticks.ahead();
        let due = Instant::now() + ahead;
        if end.get().is_some_and(|end| due >= *end) {
            return ticks.late();
        }
        A::sleep_until(due).await;
        ticks.awake(Instant::now());
        if end.get().is_none() {
            ticks.begin();
        }
        drop(told.take());
    }
}

/// Hogs that know nothing of the runtime.
pub(super) async fn hogs<A: Async>(procs: usize, ms: usize) -> Vec<Duration> {
    let ticker = Tickers::<A>::start(1, BESIDE_HOGS).await;
    let end = ticker.begin(Duration::from_millis(ms as u64));
    let hogs: Vec<_> = (0..HOGS_PER_PROC * procs)
        .map(|_| A::spawn(async move { hog(end) }))
        .collect();
    for hog in hogs {
        A::join(hog).await;
    }
    ticker.late().await
}

/// A thread in the kernel, of which the runtime knows.
pub(super) async fn blocked<A: Async>(procs: usize, ms: usize) -> Vec<Duration> {
    let tickers = Tickers::<A>::start(procs, BESIDE_BLOCKED).await;
    let time = Duration::from_millis(ms as u64);
    tickers.begin(time);
    A::block(move || threads::sleep(time)).await;
    tickers.late().await
}
