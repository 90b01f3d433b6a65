//! Few goroutines or threads at few channels: to and fro, one way, several, one of two.
//!
//! Every message is looked at when it has come: a wrong one is a failure, not a fast result.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::starting::{self, Party};
use super::{Channels, Scene};
use crate::measure::time;

/// How far a sender may be ahead at a channel without a limit: what is measured must not be how
/// memory grows.
pub(crate) const AHEAD: u64 = 1024;

/// Two that pass a number there and back, at channels without a buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PingPong {
    pub(crate) round_trips: u64,
}

impl Scene for PingPong {
    fn play<K: Channels>(&self) -> io::Result<Duration> {
        let (back, answers) = K::channel::<u64>(Some(0));
        let answer = move |ball| {
            K::send(&back, ball);
        };
        rally::<K>(self.round_trips, answer, || K::recv(&answers))
    }
}

/// Sends balls to a partner, who answers each; they come back by `receive`.
fn rally<K: Channels>(
    round_trips: u64,
    answer: impl Fn(u64) + Send + 'static,
    receive: impl Fn() -> Option<u64>,
) -> io::Result<Duration> {
    let (there, incoming) = K::channel::<u64>(Some(0));
    let partner = K::spawn(move || {
        while let Some(ball) = K::recv(&incoming) {
            answer(ball);
        }
    })?;
    let mut ball = 0;
    let mut round_trip = || {
        K::send(&there, ball);
        assert_eq!(receive(), Some(ball));
        ball += 1;
    };
    // The first one starts the partner.
    round_trip();
    let elapsed = time(round_trips, round_trip);
    drop(there);
    K::join(partner);
    Ok(elapsed)
}

/// The same, but the answer comes by one of two channels in turn, and a select waits for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SelectWait {
    pub(crate) round_trips: u64,
}

impl Scene for SelectWait {
    fn play<K: Channels>(&self) -> io::Result<Duration> {
        let (odd, odd_answers) = K::channel::<u64>(Some(0));
        let (even, even_answers) = K::channel::<u64>(Some(0));
        let answer = move |ball| {
            let back = if ball % 2 == 0 { &even } else { &odd };
            K::send(back, ball);
        };
        let receive = || K::select(&odd_answers, &even_answers);
        rally::<K>(self.round_trips, answer, receive)
    }
}

/// One sends, one receives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    /// Of the channel; without one the sender waits after [`AHEAD`] messages.
    pub(crate) cap: Option<usize>,
    pub(crate) messages: u64,
}

impl Scene for Stream {
    fn play<K: Channels>(&self) -> io::Result<Duration> {
        let Self { cap, messages } = *self;
        let (sender, receiver) = K::channel::<u64>(cap);
        let (told, ready) = K::channel::<()>(Some(0));
        let partner = K::spawn(move || {
            K::send(&told, ());
            for expected in 0..messages {
                assert_eq!(K::recv(&receiver), Some(expected));
                if cap.is_none() && ends_batch(expected) {
                    K::send(&told, ());
                }
            }
            Instant::now()
        })?;
        K::recv(&ready);
        let start = Instant::now();
        for message in 0..messages {
            K::send(&sender, message);
            if cap.is_none() && ends_batch(message) {
                K::recv(&ready);
            }
        }
        Ok(K::join(partner) - start)
    }
}

pub(super) fn ends_batch(message: u64) -> bool {
    message % AHEAD == AHEAD - 1
}

/// Four send, four receive, at one channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mpmc {
    pub(crate) messages: u64,
}

pub(crate) const SIDES: u64 = 4;
pub(crate) const MPMC_CAP: usize = 128;

/// Of the channel of a stream that has room.
pub(crate) const STREAM_CAP: usize = 128;

impl Scene for Mpmc {
    fn play<K: Channels>(&self) -> io::Result<Duration> {
        let each = self.messages.div_ceil(SIDES);
        let (sender, receiver) = K::channel::<u64>(Some(MPMC_CAP));
        let sum = Arc::new(AtomicU64::new(0));
        let mut parties: Vec<Party> = Vec::new();
        for _ in 0..SIDES {
            let sender = sender.clone();
            parties.push(Box::new(move || {
                for message in 1..=each {
                    K::send(&sender, message);
                }
            }));
            let (receiver, sum) = (receiver.clone(), Arc::clone(&sum));
            parties.push(Box::new(move || {
                let mut own = 0;
                while let Some(message) = K::recv(&receiver) {
                    own += message;
                }
                sum.fetch_add(own, Ordering::Relaxed);
            }));
        }
        drop(sender);
        let elapsed = starting::race::<K>(parties)?;
        let expected = SIDES * (each * (each + 1) / 2);
        assert_eq!(sum.load(Ordering::Relaxed), expected, "lost or doubled");
        Ok(elapsed.mul_f64(self.messages as f64 / (SIDES * each) as f64))
    }
}

/// Receiving what is there already.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    pub(crate) from: From,
    pub(crate) messages: u64,
}

/// How it is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// By a receive.
    Plain,
    /// By a select of two channels with something in the second only.
    OneOfTwo,
    /// By a select of two channels with something in both.
    BothOfTwo,
}

/// What is received between two fillings, which do not count.
pub(super) const FILLING: u64 = 1024;

impl Scene for Ready {
    fn play<K: Channels>(&self) -> io::Result<Duration> {
        let [(first_in, first), (second_in, second)] =
            [(); 2].map(|()| K::channel::<u64>(Some(FILLING as usize)));
        let (mut in_first, mut in_second) = (0, 0);
        let mut elapsed = Duration::ZERO;
        let mut left = self.messages;
        while left > 0 {
            let part = left.min(FILLING);
            if self.from == From::BothOfTwo {
                fill::<K>(&first_in, FIRST, &mut in_first);
            }
            fill::<K>(&second_in, SECOND, &mut in_second);
            let mut sum = 0;
            let mut receive = |message: Option<u64>| sum += message.expect("it is there");
            elapsed += match self.from {
                From::Plain => time(part, || receive(K::recv(&second))),
                From::OneOfTwo | From::BothOfTwo => {
                    time(part, || receive(K::select(&first, &second)))
                }
            };
            in_first -= sum / FIRST;
            in_second -= sum % FIRST;
            assert_eq!(sum / FIRST + sum % FIRST, part, "one message each");
            left -= part;
        }
        Ok(elapsed)
    }
}

/// Messages, by whose sum it is known how many came from where.
const SECOND: u64 = 1;
const FIRST: u64 = 1 << 32;

fn fill<K: Channels>(sender: &K::Sender<u64>, message: u64, inside: &mut u64) {
    for _ in *inside..FILLING {
        K::send(sender, message);
    }
    *inside = FILLING;
}
