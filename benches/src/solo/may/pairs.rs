//! Few coroutines at few channels.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use may::sync::{Semphore, SyncFlag, mpmc, mpsc};

use super::bounded;
use super::gate::{self, Party};
use crate::measure::time;
use crate::peers::channels::pairs::{MPMC_CAP, SIDES, STREAM_CAP};
use crate::peers::may::{join, spawn};

/// Says to a receiver that a sender has sent all. The end of may's channel for several receivers
/// does not always wake all of them.
const LAST: u64 = 0;

pub(super) fn pingpong(round_trips: u64) -> Duration {
    let (back, answers) = mpsc::channel();
    let answer = move |ball| back.send(ball).is_ok();
    rally(round_trips, answer, || answers.recv().ok())
}

/// The answer comes by one of two channels.
pub(super) fn select(round_trips: u64) -> Duration {
    let (odd, odd_answers) = mpsc::channel();
    let (even, even_answers) = mpsc::channel();
    let answer = move |ball: u64| {
        let back = if ball.is_multiple_of(2) { &even } else { &odd };
        back.send(ball).is_ok()
    };
    rally(round_trips, answer, || {
        one_of_two(&odd_answers, &even_answers)
    })
}

/// What came from one of two, `None` if nothing can come from there any more.
fn one_of_two(first: &mpsc::Receiver<u64>, second: &mpsc::Receiver<u64>) -> Option<u64> {
    const NOTHING: u64 = u64::MAX;
    let received = AtomicU64::new(NOTHING);
    let keep = |message| received.store(message, Ordering::Relaxed);
    may::select!(
        message = first.recv() => keep(message.unwrap_or(NOTHING)),
        message = second.recv() => keep(message.unwrap_or(NOTHING))
    );
    Some(received.into_inner()).filter(|&message| message != NOTHING)
}

/// Sends balls to a partner, who answers each; they come back by `receive`.
fn rally(
    round_trips: u64,
    answer: impl Fn(u64) -> bool + Send + 'static,
    receive: impl Fn() -> Option<u64>,
) -> Duration {
    let (there, incoming) = mpsc::channel();
    let partner = spawn(move || {
        while let Ok(ball) = incoming.recv() {
            assert!(answer(ball), "somebody waits for the answer");
        }
    });
    let mut ball = 0;
    let mut round_trip = || {
        there.send(ball).expect("the partner is there");
        assert_eq!(receive(), Some(ball));
        ball += 1;
    };
    // The first one starts the partner.
    round_trip();
    let elapsed = time(round_trips, round_trip);
    drop(there);
    join(partner);
    elapsed
}

pub(super) fn stream(messages: u64) -> Duration {
    let (sender, receiver) = bounded::channel(STREAM_CAP);
    let ready = Arc::new(SyncFlag::new());
    let told = Arc::clone(&ready);
    let partner = spawn(move || {
        told.fire();
        for expected in 0..messages {
            assert_eq!(receiver.recv(), Some(expected));
        }
        Instant::now()
    });
    ready.wait();
    let start = Instant::now();
    for message in 0..messages {
        assert!(sender.send(message), "the partner is there");
    }
    join(partner) - start
}

pub(super) fn mpmc(messages: u64) -> Duration {
    let each = messages.div_ceil(SIDES);
    let (sender, receiver) = mpmc::channel();
    let room = Arc::new(Semphore::new(MPMC_CAP));
    let sum = Arc::new(AtomicU64::new(0));
    let mut parties: Vec<Party> = Vec::new();
    for _ in 0..SIDES {
        let (sender, senders_room) = (sender.clone(), Arc::clone(&room));
        parties.push(Box::new(move || {
            for message in (1..=each).chain([LAST]) {
                senders_room.wait();
                sender.send(message).expect("receivers are there");
            }
        }));
        let (receiver, room, sum) = (receiver.clone(), Arc::clone(&room), Arc::clone(&sum));
        parties.push(Box::new(move || {
            let mut own = 0;
            loop {
                let message = receiver.recv().expect("senders are there");
                room.post();
                if message == LAST {
                    break;
                }
                own += message;
            }
            sum.fetch_add(own, Ordering::Relaxed);
        }));
    }
    let elapsed = gate::race(parties);
    let expected = SIDES * (each * (each + 1) / 2);
    assert_eq!(sum.load(Ordering::Relaxed), expected, "lost or doubled");
    elapsed.mul_f64(messages as f64 / (SIDES * each) as f64)
}
