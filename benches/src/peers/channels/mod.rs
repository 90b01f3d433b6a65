//! Channels: gopark's between goroutines, crossbeam-channel's between threads, tokio's between
//! tasks.
//!
//! The first two have one interface and block, so a [`Scene`] is written once for both. tokio's
//! need a text of their own, [`tasks`].

pub(crate) mod pairs;
pub(crate) mod ring;
pub(crate) mod sieve;
pub(crate) mod skynet;
pub(crate) mod starting;
pub(crate) mod tasks;

use std::io;
use std::time::Duration;

use gopark::runtime::Runtime;

use super::kinds::{Goroutines, Kind, Threads};
use super::threads::{self, Placement};

/// Who may block at a channel.
pub(crate) trait Channels: Kind {
    type Sender<T: Send + 'static>: Clone + Send + Sync + 'static;
    type Receiver<T: Send + 'static>: Clone + Send + Sync + 'static;

    /// With room for `cap` messages, or without a limit.
    fn channel<T: Send + 'static>(cap: Option<usize>) -> (Self::Sender<T>, Self::Receiver<T>);

    /// Whether there is still a receiver.
    fn send<T: Send + 'static>(sender: &Self::Sender<T>, message: T) -> bool;

    /// `None` when nothing can come any more.
    fn recv<T: Send + 'static>(receiver: &Self::Receiver<T>) -> Option<T>;

    /// From one of two; if there is something in both, from a random one.
    fn select<T: Send + 'static>(
        first: &Self::Receiver<T>,
        second: &Self::Receiver<T>,
    ) -> Option<T>;
}

/// For two crates whose channels have the same interface.
macro_rules! channels_of {
    ($kind:ty, $($chan:ident)::+, $($select:ident)::+) => {
        impl Channels for $kind {
            type Sender<T: Send + 'static> = $($chan)::+::Sender<T>;
            type Receiver<T: Send + 'static> = $($chan)::+::Receiver<T>;

            fn channel<T: Send + 'static>(
                cap: Option<usize>,
            ) -> (Self::Sender<T>, Self::Receiver<T>) {
                cap.map_or_else($($chan)::+::unbounded, $($chan)::+::bounded)
            }

            #[inline(always)]
            fn send<T: Send + 'static>(sender: &Self::Sender<T>, message: T) -> bool {
                sender.send(message).is_ok()
            }

            #[inline(always)]
            fn recv<T: Send + 'static>(receiver: &Self::Receiver<T>) -> Option<T> {
                receiver.recv().ok()
            }

            #[inline(always)]
            fn select<T: Send + 'static>(
                first: &Self::Receiver<T>,
                second: &Self::Receiver<T>,
            ) -> Option<T> {
                $($select)::+! {
                    recv(first) -> message => message.ok(),
                    recv(second) -> message => message.ok(),
                }
            }
        }
    };
}

channels_of!(Goroutines, gopark::chan, gopark::select);
channels_of!(Threads, crossbeam_channel, crossbeam_channel::select);

/// Something that goroutines or threads do; it says how long what counts of it took.
pub(crate) trait Scene: Sync {
    fn play<K: Channels>(&self) -> io::Result<Duration>;
}

/// Of a size that it has chosen itself.
pub(crate) trait Counted: Clone + 'static {
    /// That one run is.
    fn operations(&self) -> u64;
}

pub(crate) fn on_goroutines(runtime: &Runtime, scene: &impl Scene) -> io::Result<Duration> {
    runtime.run(|| scene.play::<Goroutines>())
}

pub(crate) fn on_threads(placement: Placement, scene: &impl Scene) -> io::Result<Duration> {
    threads::placed(placement, || scene.play::<Threads>())
}

#[cfg(test)]
mod tests {
    use super::pairs::{AHEAD, From, Mpmc, PingPong, Ready, SelectWait, Stream};
    use super::ring::{GoroutineRing, ThreadRing};
    use super::sieve::Sieve;
    use super::skynet::Skynet;
    use super::tasks::{self, TaskRing};
    use super::*;
    use crate::peers::goroutines;
    use crate::peers::tasks::{Workers, runtime};

    const COUNT: u64 = 2 * AHEAD + 3;

    fn plays(scene: &impl Scene) {
        let goroutines = goroutines::runtime(2, None).unwrap();
        assert!(on_goroutines(&goroutines, scene).unwrap() > Duration::ZERO);
        assert!(on_threads(Placement::Free, scene).unwrap() > Duration::ZERO);
    }

    #[test]
    fn every_scene_is_played_to_its_end_by_goroutines_and_threads() {
        plays(&PingPong { round_trips: 99 });
        plays(&SelectWait { round_trips: 99 });
        plays(&Mpmc { messages: COUNT });
        for cap in [Some(0), Some(1), Some(128), None] {
            let messages = COUNT;
            plays(&Stream { cap, messages });
        }
        for from in [From::Plain, From::OneOfTwo, From::BothOfTwo] {
            let messages = COUNT;
            plays(&Ready { from, messages });
        }
        plays(&Sieve::new(9));
        plays(&Skynet { leaves: 100 });
    }

    #[test]
    fn every_scene_is_played_to_its_end_by_tasks() {
        let runtime = runtime(Workers::Threads(2)).unwrap();
        tasks::run(&runtime, tasks::pingpong(99));
        tasks::run(&runtime, tasks::select_wait(99));
        tasks::run(&runtime, tasks::stream(1, COUNT));
        tasks::run(&runtime, tasks::stream_unbounded(COUNT));
        for from in [From::Plain, From::OneOfTwo, From::BothOfTwo] {
            tasks::run(&runtime, tasks::ready(from, COUNT));
        }
        tasks::run(&runtime, tasks::sieve(Sieve::new(9)));
        tasks::run(&runtime, tasks::skynet(Skynet { leaves: 100 }));
    }

    #[test]
    fn a_ring_is_used_again_and_ends() {
        let goroutines = goroutines::runtime(2, None).unwrap();
        let goroutines = GoroutineRing::new(goroutines, 50).unwrap();
        let threads = ThreadRing::new(Placement::Free, 5).unwrap();
        let mut tasks = TaskRing::new(runtime(Workers::Threads(2)).unwrap(), 50);
        for hops in [1, 120] {
            assert!(goroutines.race(hops) > Duration::ZERO);
            assert!(threads.race(hops).unwrap() > Duration::ZERO);
            assert!(tasks.race(hops) > Duration::ZERO);
        }
    }
}
