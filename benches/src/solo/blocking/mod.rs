//! What goroutines and threads do in the same words: they block.

mod crowds;
mod http;
mod ticking;

use std::io;
use std::time::{Duration, Instant};

use super::pace::{once, paced};
use super::tick::lateness;
use super::{Answer, Job, YIELDERS};
use crate::measure::time;
use crate::peers::channels::pairs::{Mpmc, PingPong, STREAM_CAP, SelectWait, Stream};
use crate::peers::channels::sieve::Sieve;
use crate::peers::channels::starting::{self, Party};
use crate::peers::channels::{Channels, Counted, Scene};
use crate::peers::kinds::{Goroutines, Threads};
use crate::peers::locks::{Contended, Mutex, MutexAlone, Section};
use crate::peers::threads;

/// Who may block, also at a clock, a socket and a lock.
pub(super) trait Blocking: Channels {
    type Mutex: Mutex;
    type Listener: Send + 'static;
    type Stream: io::Read + io::Write + Send + 'static;

    fn sleep(time: Duration);

    fn adopt(listener: std::net::TcpListener) -> io::Result<Self::Listener>;
    fn accept(listener: &Self::Listener) -> io::Result<Self::Stream>;
}

impl Blocking for Goroutines {
    type Mutex = gopark::sync::Mutex<u64>;
    type Listener = gopark::net::TcpListener;
    type Stream = gopark::net::TcpStream;

    fn sleep(time: Duration) {
        gopark::time::sleep(time);
    }

    fn adopt(listener: std::net::TcpListener) -> io::Result<Self::Listener> {
        gopark::net::TcpListener::from_std(listener)
    }

    fn accept(listener: &Self::Listener) -> io::Result<Self::Stream> {
        listener.accept().map(|(stream, _)| stream)
    }
}

impl Blocking for Threads {
    type Mutex = std::sync::Mutex<u64>;
    type Listener = std::net::TcpListener;
    type Stream = std::net::TcpStream;

    fn sleep(time: Duration) {
        threads::sleep(time);
    }

    fn adopt(listener: std::net::TcpListener) -> io::Result<Self::Listener> {
        Ok(listener)
    }

    fn accept(listener: &Self::Listener) -> io::Result<Self::Stream> {
        listener.accept().map(|(stream, _)| stream)
    }
}

/// Where they are at home.
pub(super) trait Home {
    type Kind: Blocking;

    /// Runs `f` as one of them.
    fn enter<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T;
}

/// Does everything but what depends on the kind.
pub(super) fn play<H: Home>(home: &H, job: &Job) -> Answer {
    match job.workload.as_str() {
        "yield-2" => paced(job, |count| Ok(home.enter(|| yields::<H::Kind>(2, count))?)),
        "yield-200" => {
            let all = YIELDERS * job.size as u64;
            once(all, || Ok(home.enter(|| yields::<H::Kind>(YIELDERS, all))?))
        }
        "pingpong" => scenes(home, job, |round_trips| PingPong { round_trips }),
        "stream" => scenes(home, job, |messages| Stream {
            cap: Some(STREAM_CAP),
            messages,
        }),
        "mpmc" => scenes(home, job, |messages| Mpmc { messages }),
        "select" => scenes(home, job, |round_trips| SelectWait { round_trips }),
        "mutex" => scenes(home, job, MutexAlone::<<H::Kind as Blocking>::Mutex>::new),
        "mutex-contended" => scenes(home, job, |count| {
            Contended::<<H::Kind as Blocking>::Mutex>::new(Section::Short, count)
        }),
        "sieve" => whole(home, &Sieve::new(job.size)),
        "skynet" => whole(home, &job.tree()?),
        "spawn-join" => paced(job, |count| {
            Ok(home.enter(|| spawn_joins::<H::Kind>(count))?)
        }),
        "spawn-100k" => once(job.size as u64, || {
            Ok(home.enter(|| spawn_all::<H::Kind>(job.size))?)
        }),
        "chained-spawn" => paced(job, |count| Ok(home.enter(|| chain::<H::Kind>(count))?)),
        _ => play_once(home, job),
    }
}

/// What is done once in a process.
fn play_once<H: Home>(home: &H, job: &Job) -> Answer {
    let size = job.size;
    match job.workload.as_str() {
        "sleep-10k" => lateness(home.enter(|| crowds::sleepers::<H::Kind>(size))?),
        "parked" => Ok(home.enter(|| crowds::parked::<H::Kind>(size))?),
        "idle" => home
            .enter(|| crowds::idle::<H::Kind>(size).map_err(|error| error.to_string()))
            .map_err(Into::into),
        "hogs" => lateness(home.enter(|| ticking::hogs::<H::Kind>(job.procs(), size))?),
        "blocked" => lateness(home.enter(|| ticking::blocked::<H::Kind>(job.procs(), size))?),
        "http" => {
            let listener = super::http::listen()?;
            Ok(home
                .enter(|| http::serve::<H::Kind>(listener))
                .map(|()| Vec::new())?)
        }
        _ => job.unknown(),
    }
}

fn scenes<H: Home, S: Scene>(home: &H, job: &Job, scene: impl Fn(u64) -> S) -> Answer {
    paced(job, |count| Ok(enter(home, &scene(count))?))
}

fn whole<H: Home>(home: &H, scene: &(impl Scene + Counted)) -> Answer {
    once(scene.operations(), || Ok(enter(home, scene)?))
}

fn enter<H: Home>(home: &H, scene: &impl Scene) -> io::Result<Duration> {
    home.enter(|| scene.play::<H::Kind>())
}

/// So many that yield in turn, all together `count` times.
fn yields<K: Channels>(parties: u64, count: u64) -> io::Result<Duration> {
    let each = count.div_ceil(parties);
    let party = |_| -> Party {
        Box::new(move || {
            for _ in 0..each {
                K::yield_now();
            }
        })
    };
    let elapsed = starting::race::<K>((0..parties).map(party).collect())?;
    Ok(elapsed.mul_f64(count as f64 / (each * parties) as f64))
}

fn spawn_joins<K: Channels>(count: u64) -> io::Result<Duration> {
    // A first one outside of the interval: whether it can be had at all.
    K::join(K::spawn(|| ())?);
    Ok(time(count, || {
        K::join(K::spawn(|| ()).expect("one more when there was one"));
    }))
}

fn spawn_all<K: Channels>(count: usize) -> io::Result<Duration> {
    let mut handles = Vec::with_capacity(count);
    let start = Instant::now();
    for _ in 0..count {
        handles.push(K::spawn(|| ())?);
    }
    handles.into_iter().for_each(K::join);
    Ok(start.elapsed())
}

fn chain<K: Channels>(links: u64) -> io::Result<Duration> {
    let (told, done) = K::channel(Some(1));
    let start = Instant::now();
    link::<K>(links, told)?;
    assert_eq!(K::recv(&done), Some(true), "a link could not be spawned");
    Ok(start.elapsed())
}

/// Spawns the next one, who spawns the next one; says in the end whether all could be had.
fn link<K: Channels>(left: u64, told: K::Sender<bool>) -> io::Result<()> {
    K::go(move || {
        if left <= 1 {
            K::send(&told, true);
        } else if link::<K>(left - 1, told.clone()).is_err() {
            K::send(&told, false);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solo::tests::{answers, job};
    use crate::solo::{goroutines, threads};

    #[test]
    fn goroutines_and_threads_do_every_workload() {
        answers("gopark", goroutines::play, 2, &[]);
        answers("threads", threads::play, 2, &[]);
    }

    #[test]
    fn what_is_unknown_or_cannot_be_is_named() {
        let refused = goroutines::play(&job("gopark", "juggle", 2, 1)).unwrap_err();
        assert!(refused.to_string().contains("juggle"), "{refused}");
        let refused = goroutines::play(&job("gopark", "skynet", 2, 12)).unwrap_err();
        assert!(refused.to_string().contains("12 leaves"), "{refused}");
    }

    #[test]
    fn a_server_answers_goroutines_and_threads() {
        for is_goroutine in [true, false] {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = listener.local_addr().unwrap();
            // Both serve until this process ends.
            std::thread::spawn(move || {
                if is_goroutine {
                    let runtime = crate::peers::goroutines::runtime(1, None).unwrap();
                    runtime.run(|| http::serve::<Goroutines>(listener))
                } else {
                    http::serve::<Threads>(listener)
                }
            });
            crate::solo::http::tests::ask(addr);
        }
    }
}
