//! Some that sleep for a short time again and again beside others that hold a thread.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::Blocking;
use crate::peers::threads;
use crate::solo::tick::{BESIDE_BLOCKED, BESIDE_HOGS, HOGS_PER_PROC, Ticks, hog};

/// Some that tick.
struct Tickers<K: Blocking> {
    handles: Vec<K::Handle<Vec<Duration>>>,
    end: Arc<OnceLock<Instant>>,
}

impl<K: Blocking> Tickers<K> {
    /// Each has ticked once when this is done.
    fn start(count: usize, period: Duration) -> io::Result<Self> {
        let (told, ticked) = K::channel::<()>(Some(count));
        let end = Arc::new(OnceLock::new());
        let mut handles = Vec::with_capacity(count);
        for _ in 0..count {
            let (told, end) = (told.clone(), Arc::clone(&end));
            handles.push(K::spawn(move || tick::<K>(period, told, &end))?);
        }
        for _ in 0..count {
            K::recv(&ticked);
        }
        Ok(Self { handles, end })
    }

    /// From now on lateness counts, so long.
    fn begin(&self, time: Duration) -> Instant {
        *self.end.get_or_init(|| Instant::now() + time)
    }

    fn late(self) -> Vec<Duration> {
        self.handles.into_iter().flat_map(K::join).collect()
    }
}

fn tick<K: Blocking>(
    period: Duration,
    told: K::Sender<()>,
    end: &OnceLock<Instant>,
) -> Vec<Duration> {
    let mut told = Some(told);
    let mut ticks = Ticks::every(period);
    loop {
        let ahead = ticks.ahead();
        if end.get().is_some_and(|end| Instant::now() + ahead >= *end) {
            return ticks.late();
        }
        K::sleep(ahead);
        ticks.awake(Instant::now());
        if end.get().is_none() {
            ticks.begin();
        }
        if let Some(told) = told.take() {
            K::send(&told, ());
        }
    }
}

/// Hogs that know nothing of a runtime.
pub(super) fn hogs<K: Blocking>(procs: usize, ms: usize) -> io::Result<Vec<Duration>> {
    let ticker = Tickers::<K>::start(1, BESIDE_HOGS)?;
    let end = ticker.begin(Duration::from_millis(ms as u64));
    let mut hogs = Vec::with_capacity(HOGS_PER_PROC * procs);
    for _ in 0..HOGS_PER_PROC * procs {
        hogs.push(K::spawn(move || hog(end))?);
    }
    hogs.into_iter().for_each(K::join);
    Ok(ticker.late())
}

/// A thread in the kernel, of which nobody is told.
pub(super) fn blocked<K: Blocking>(procs: usize, ms: usize) -> io::Result<Vec<Duration>> {
    let tickers = Tickers::<K>::start(procs, BESIDE_BLOCKED)?;
    let time = Duration::from_millis(ms as u64);
    tickers.begin(time);
    K::join(K::spawn(move || threads::sleep(time))?);
    Ok(tickers.late())
}
