//! A socket that becomes ready while every P is busy.
//!
//! The goroutines that keep the Ps busy yield every 100 us, so there is always a turn soon; the
//! question is how soon somebody looks at the sockets.

use std::hint;
use std::io::{ErrorKind, Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gopark::runtime::Runtime;
use serde::{Deserialize, Serialize};

use super::hogs::SETTLING;
use super::latencies::Latencies;
use super::sockets::Pairs;
use super::{goroutines, threads};
use crate::facts;
use crate::measure::Result;

/// How long a hog runs until it yields.
pub(crate) const RUN: Duration = Duration::from_micros(100);

/// No multiple of a hog's turn.
pub(crate) const TICK: Duration = Duration::from_micros(2330);

pub(crate) const HOGS_PER_PROC: usize = 2;

/// What one process found.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// Writes to a socket for `time`, from a plain thread.
pub(crate) fn measure(time: Duration) -> Result<Found> {
    let procs = facts::cores();
    let runtime = goroutines::runtime(procs, None)?;
    let Pairs {
        mut servers,
        mut clients,
    } = Pairs::connect(1)?;
    let stop = Arc::new(AtomicBool::new(false));
    for _ in 0..HOGS_PER_PROC * procs {
        hog(&runtime, &stop);
    }
    let stream = gopark::net::TcpStream::from_std(servers.remove(0))?;
    let begin = Instant::now();
    let reader = runtime.spawn(move || latencies(stream, begin));

    threads::sleep(SETTLING);
    let mut writer = clients.remove(0);
    let start = Instant::now();
    let written = loop {
        if start.elapsed() > time {
            break Ok(());
        }
        threads::sleep(TICK);
        // Before the call: within it the kernel may already wake somebody.
        let moment = begin.elapsed().as_nanos() as u64;
        if let Err(error) = writer.write_all(&moment.to_ne_bytes()) {
            break Err(error);
        }
    };
    drop(writer);
    let found = reader.join().map_err(|_| "the reader panicked")?;
    // Also after an error: the end of the runtime waits for the hogs.
    stop.store(true, Ordering::Relaxed);
    written?;
    let found: Latencies = found?.into_iter().collect();
    Ok(Found {
        p50_us: found.quantile_us(0.5),
        p99_us: found.quantile_us(0.99),
    })
}

fn hog(runtime: &Runtime, stop: &Arc<AtomicBool>) {
    let stop = Arc::clone(stop);
    let run = move || {
        while !stop.load(Ordering::Relaxed) {
            let start = Instant::now();
            while start.elapsed() < RUN {
                hint::spin_loop();
            }
            gopark::yield_now();
        }
    };
    // Detached: the end of the runtime waits for it.
    drop(runtime.spawn(run));
}

/// The reader: what passed from each moment until it had it in its hands.
fn latencies(mut stream: gopark::net::TcpStream, begin: Instant) -> std::io::Result<Vec<Duration>> {
    let mut found = Vec::new();
    let mut moment = [0; 8];
    loop {
        match stream.read_exact(&mut moment) {
            Ok(()) => {
                let moment = Duration::from_nanos(u64::from_ne_bytes(moment));
                found.push(begin.elapsed().saturating_sub(moment));
            }
            // The writer has left, by a reset.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
                ) =>
            {
                return Ok(found);
            }
            Err(error) => return Err(error),
        }
    }
}
