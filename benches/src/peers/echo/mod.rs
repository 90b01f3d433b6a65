//! Echo over loopback TCP: servers send back what they receive.
//!
//! Server and clients live in the same process and are of the same kind, one of each for every
//! connection. There are two ways to load them, and they answer different questions.
//!
//! *Closed loop* ([`Host::race`]): a client sends, waits for the answer, and sends again. What is
//! found is how much a host can do. The latencies are those under full load, and a pause of the
//! host counts once for each connection, however long it is: nobody sends meanwhile, so nobody
//! waits. That omission is what the open loop is for.
//!
//! *Open loop* ([`open::measure`]): messages have moments at which they ought to be sent, whether
//! or not earlier ones are answered, and a latency begins at that moment.
//!
//! ```text
//!  closed   send──answer send──answer send──────(pause)──────answer send──answer
//!  open     send──answer send──answer send──────(pause)──────answer
//!                                        send───(pause)──────answer
//!                                          send─(pause)──────answer
//! ```

mod blocking;
pub(crate) mod open;
mod smol;
mod tasks;

use std::io;
use std::net::TcpStream;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::kinds::{Goroutines, Threads};
use super::latencies::Latencies;
use super::may::{self, Coroutines};
use super::smol as executor;
use super::sockets::Pairs;
use crate::measure::Result;

/// A loaded machine may stop this process for longer than an interval. Eight times that is enough.
const LENGTHENINGS_MAX: u32 = 3;

/// What is asked of a host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    /// Of a message.
    pub(crate) bytes: usize,
    /// How long it is measured.
    pub(crate) interval: Duration,
}

/// Round trips that ended within the interval.
#[derive(Debug)]
pub(crate) struct Trips {
    interval: Duration,
    pub(crate) latencies: Latencies,
}

impl Trips {
    /// Of all connections together.
    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.count() as f64 / self.interval.as_secs_f64()
    }

    /// The interval, divided by the round trips.
    pub(crate) fn ns_each(&self) -> f64 {
        1e9 / self.per_second()
    }
}

/// On what servers and clients run.
pub(crate) enum Host {
    Gopark(gopark::runtime::Runtime),
    Threads,
    Tokio(tokio::runtime::Runtime),
    Smol(executor::Runtime),
    /// Whose workers are those of the process.
    May,
}

impl Host {
    /// Servers alone, until all clients are gone.
    fn serve(&self, streams: Vec<TcpStream>, bytes: usize) -> io::Result<()> {
        match self {
            Self::Gopark(runtime) => runtime.run(|| blocking::serve::<Goroutines>(streams, bytes)),
            Self::Threads => blocking::serve::<Threads>(streams, bytes),
            Self::Tokio(runtime) => runtime.block_on(tasks::serve(streams, bytes)),
            Self::Smol(runtime) => runtime.run(smol::serve(streams, bytes)),
            Self::May => {
                let serve = move || blocking::serve::<Coroutines>(streams, bytes);
                may::join(may::spawn(serve))
            }
        }
    }

    /// Closed loop: all clients, as fast as they can. The interval becomes longer if no answer
    /// comes within it.
    pub(crate) fn race(&self, mut load: Load) -> Result<Trips> {
        for _ in 0..=LENGTHENINGS_MAX {
            let trips = self.race_once(load)?;
            if trips.latencies.count() > 0 {
                return Ok(trips);
            }
            load.interval *= 2;
        }
        Err(format!("no answer came within {:?}", load.interval / 2).into())
    }

    fn race_once(&self, load: Load) -> Result<Trips> {
        let pairs = Pairs::connect(load.connections)?;
        let race = Arc::new(Race {
            load,
            window: OnceLock::new(),
        });
        let found = match self {
            Self::Gopark(runtime) => runtime.run(|| blocking::race::<Goroutines>(pairs, &race)),
            Self::Threads => blocking::race::<Threads>(pairs, &race),
            Self::Tokio(runtime) => runtime.block_on(tasks::race(pairs, &race)),
            Self::Smol(runtime) => runtime.run(smol::race(pairs, Arc::clone(&race))),
            Self::May => may::join(may::spawn(move || {
                blocking::race::<Coroutines>(pairs, &race)
            })),
        };
        Ok(Trips {
            interval: load.interval,
            latencies: found?.into_iter().flatten().collect(),
        })
    }
}

/// What clients have in common.
#[derive(Debug)]
struct Race {
    load: Load,
    /// Set when all clients are there.
    window: OnceLock<Window>,
}

/// The interval that counts.
#[derive(Clone, Copy, Debug)]
struct Window {
    start: Instant,
    end: Instant,
}

impl Race {
    /// All clients are there: after a while to warm up, the interval begins.
    fn begin(&self) {
        let start = Instant::now() + self.load.interval / 4;
        let end = start + self.load.interval;
        self.window.get_or_init(|| Window { start, end });
    }

    fn client(self: &Arc<Self>) -> Client {
        Client {
            race: Arc::clone(self),
            latencies: Vec::new(),
            message: vec![b'x'; self.load.bytes],
            answer: vec![0; self.load.bytes],
        }
    }
}

/// A client, without its connection.
#[derive(Debug)]
struct Client {
    race: Arc<Race>,
    latencies: Vec<Duration>,
    message: Vec<u8>,
    answer: Vec<u8>,
}

impl Client {
    /// The answer to what was sent at `sent` is there. When to send next, which is now, or `None`
    /// when it is over.
    fn answered(&mut self, sent: Instant) -> Option<Instant> {
        let now = Instant::now();
        assert!(self.answer == self.message, "a wrong answer");
        match self.race.window.get() {
            None => Some(now),
            Some(window) if now >= window.end => None,
            Some(window) => {
                if now >= window.start {
                    self.latencies.push(now - sent);
                }
                Some(now)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::goroutines;
    use crate::peers::tasks::{Workers, runtime};

    fn hosts() -> [Host; 4] {
        [
            Host::Gopark(goroutines::runtime(2, None).unwrap()),
            Host::Threads,
            Host::Tokio(runtime(Workers::Threads(2)).unwrap()),
            Host::Smol(executor::Runtime::new(2).unwrap()),
        ]
    }

    #[test]
    fn every_host_answers_in_both_loops() {
        let load = Load {
            connections: 3,
            bytes: 1000,
            interval: Duration::from_millis(20),
        };
        for host in hosts() {
            let trips = host.race(load).unwrap();
            assert!(trips.latencies.count() > 0 && trips.ns_each() > 0.0);
            let trips = open::measure(&host, load, 1000.0).unwrap();
            assert_eq!(trips.latencies.count(), 20, "all that were to be sent");
        }
    }

    #[test]
    fn only_answers_within_the_window_count() {
        let load = Load {
            connections: 1,
            bytes: 1,
            interval: Duration::from_secs(1),
        };
        let at = |start: Instant| {
            let end = start + load.interval;
            let window = OnceLock::from(Window { start, end });
            let mut client = Arc::new(Race { load, window }).client();
            client.answer.copy_from_slice(&client.message);
            let goes_on = client.answered(Instant::now()).is_some();
            (goes_on, client.latencies.len())
        };
        let now = Instant::now();
        assert_eq!(at(now), (true, 1));
        assert_eq!(at(now + load.interval), (true, 0), "before");
        assert_eq!(at(now - load.interval), (false, 0), "after");
    }
}
