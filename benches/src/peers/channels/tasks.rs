//! The same with tokio's tasks and its channels, which have no form without a buffer: where the
//! others have none, these have room for one message.

use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

use super::pairs::{self, FILLING, From};
use super::ring::Token;
use super::sieve::Sieve;
use super::skynet::{Branch, Skynet};

/// Runs it as a task among others, not on the thread that waits for it.
pub(crate) fn run<T: Send + 'static>(
    runtime: &Runtime,
    task: impl Future<Output = T> + Send + 'static,
) -> T {
    let done = runtime.block_on(async { tokio::spawn(task).await });
    done.expect("a task that does not panic")
}

pub(crate) async fn pingpong(round_trips: u64) -> Duration {
    let (there, mut incoming) = mpsc::channel::<u64>(1);
    let (back, mut answers) = mpsc::channel::<u64>(1);
    let partner = tokio::spawn(async move {
        while let Some(ball) = incoming.recv().await {
            let _ = back.send(ball).await;
        }
    });
    let mut start = Instant::now();
    for ball in 0..=round_trips {
        if ball == 1 {
            // The first one starts the partner.
            start = Instant::now();
        }
        there.send(ball).await.expect("the partner is there");
        assert_eq!(answers.recv().await, Some(ball));
    }
    let elapsed = start.elapsed();
    drop(there);
    partner.await.expect("a partner that only answers");
    elapsed
}

pub(crate) async fn select_wait(round_trips: u64) -> Duration {
    let (there, mut incoming) = mpsc::channel::<u64>(1);
    let (odd, mut odd_answers) = mpsc::channel::<u64>(1);
    let (even, mut even_answers) = mpsc::channel::<u64>(1);
    let partner = tokio::spawn(async move {
        while let Some(ball) = incoming.recv().await {
            let back = if ball % 2 == 0 { &even } else { &odd };
            let _ = back.send(ball).await;
        }
    });
    let mut start = Instant::now();
    for ball in 0..=round_trips {
        if ball == 1 {
            start = Instant::now();
        }
        there.send(ball).await.expect("the partner is there");
        let answer = tokio::select! {
            answer = odd_answers.recv() => answer,
            answer = even_answers.recv() => answer,
        };
        assert_eq!(answer, Some(ball));
    }
    let elapsed = start.elapsed();
    drop(there);
    partner.await.expect("a partner that only answers");
    elapsed
}

pub(crate) async fn stream(cap: usize, messages: u64) -> Duration {
    let (sender, mut receiver) = mpsc::channel::<u64>(cap);
    let (told, ready) = oneshot::channel();
    let partner = tokio::spawn(async move {
        let _ = told.send(());
        for expected in 0..messages {
            assert_eq!(receiver.recv().await, Some(expected));
        }
        Instant::now()
    });
    ready.await.expect("the partner is there");
    let start = Instant::now();
    for message in 0..messages {
        sender.send(message).await.expect("the partner is there");
    }
    partner.await.expect("a partner that only receives") - start
}

pub(crate) async fn stream_unbounded(messages: u64) -> Duration {
    let (sender, mut receiver) = mpsc::unbounded_channel::<u64>();
    let (told, mut ready) = mpsc::channel(1);
    let partner = tokio::spawn(async move {
        let _ = told.send(()).await;
        for expected in 0..messages {
            assert_eq!(receiver.recv().await, Some(expected));
            if pairs::ends_batch(expected) {
                let _ = told.send(()).await;
            }
        }
        Instant::now()
    });
    ready.recv().await.expect("the partner is there");
    let start = Instant::now();
    for message in 0..messages {
        sender.send(message).expect("the partner is there");
        if pairs::ends_batch(message) {
            ready.recv().await.expect("the partner is there");
        }
    }
    partner.await.expect("a partner that only receives") - start
}

/// Receives what is there already.
pub(crate) async fn ready(from: From, messages: u64) -> Duration {
    let [(first_in, mut first), (second_in, mut second)] =
        [(); 2].map(|()| mpsc::channel::<u64>(FILLING as usize));
    let mut elapsed = Duration::ZERO;
    let mut left = messages;
    while left > 0 {
        if from == From::BothOfTwo {
            while first_in.try_send(1).is_ok() {}
        }
        while second_in.try_send(1).is_ok() {}
        let part = left.min(FILLING);
        let mut sum = 0;
        let start = Instant::now();
        for _ in 0..part {
            let message = match from {
                From::Plain => second.recv().await,
                From::OneOfTwo | From::BothOfTwo => tokio::select! {
                    message = first.recv() => message,
                    message = second.recv() => message,
                },
            };
            sum += message.expect("it is there");
        }
        elapsed += start.elapsed();
        assert_eq!(sum, part, "one message each");
        left -= part;
    }
    elapsed
}

/// Tasks in a ring; they end with their runtime.
#[derive(Debug)]
pub(crate) struct TaskRing {
    runtime: Runtime,
    len: u64,
    first: mpsc::Sender<Token>,
    arrived: mpsc::Receiver<()>,
}

impl TaskRing {
    pub(crate) fn new(runtime: Runtime, len: u64) -> Self {
        let (first, mut left) = mpsc::channel(1);
        let (arrive, arrived) = mpsc::channel(1);
        for index in 0..len {
            let (right, next) = match index + 1 {
                last if last == len => (first.clone(), None),
                _ => {
                    let (right, next) = mpsc::channel(1);
                    (right, Some(next))
                }
            };
            runtime.spawn(pass_on(left, right, arrive.clone()));
            match next {
                Some(next) => left = next,
                None => break,
            }
        }
        Self {
            runtime,
            len,
            first,
            arrived,
        }
    }

    /// The time that `hops` take, from that of whole rounds.
    pub(crate) fn race(&mut self, hops: u64) -> Duration {
        let rounds = hops.div_ceil(self.len);
        let token = Token::Hops(rounds * self.len);
        let elapsed = self.runtime.block_on(async {
            let start = Instant::now();
            self.first.send(token).await.expect("the ring is there");
            assert_eq!(self.arrived.recv().await, Some(()), "the token arrives");
            start.elapsed()
        });
        elapsed.mul_f64(hops as f64 / (rounds * self.len) as f64)
    }
}

async fn pass_on(
    mut left: mpsc::Receiver<Token>,
    right: mpsc::Sender<Token>,
    arrive: mpsc::Sender<()>,
) {
    while let Some(token) = left.recv().await {
        match token {
            Token::Hops(0) => drop(arrive.send(()).await),
            Token::Hops(hops) => drop(right.send(Token::Hops(hops - 1)).await),
            Token::End => return,
        }
    }
}

pub(crate) async fn sieve(sieve: Sieve) -> Duration {
    let mut handles = Vec::with_capacity(sieve.primes().len() + 1);
    let start = Instant::now();
    let (sender, mut numbers) = mpsc::channel(1);
    handles.push(tokio::spawn(async move {
        let mut number: u32 = 2;
        while sender.send(number).await.is_ok() {
            number += 1;
        }
    }));
    for &expected in sieve.primes() {
        let prime = numbers.recv().await.expect("there are more primes");
        assert_eq!(prime, expected);
        let (sender, passed) = mpsc::channel(1);
        handles.push(tokio::spawn(async move {
            while let Some(number) = numbers.recv().await {
                if number % prime != 0 && sender.send(number).await.is_err() {
                    return;
                }
            }
        }));
        numbers = passed;
    }
    let elapsed = start.elapsed();
    drop(numbers);
    for handle in handles {
        handle.await.expect("a filter that only filters");
    }
    elapsed
}

pub(crate) async fn skynet(skynet: Skynet) -> Duration {
    let start = Instant::now();
    let (sender, mut sum) = mpsc::channel(1);
    let whole = Branch {
        first: 0,
        leaves: skynet.leaves,
    };
    tokio::spawn(answer(whole, sender));
    let sum = sum.recv().await;
    let elapsed = start.elapsed();
    assert_eq!(sum, Some(skynet.sum()));
    elapsed
}

/// Boxed, since its type would contain itself.
fn answer(branch: Branch, above: mpsc::Sender<u64>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        if branch.leaves == 1 {
            let _ = above.send(branch.first).await;
            return;
        }
        let (sender, mut sums) = mpsc::channel(1);
        for part in branch.parts() {
            tokio::spawn(answer(part, sender.clone()));
        }
        let mut sum = 0;
        for _ in branch.parts() {
            sum += sums.recv().await.unwrap_or(0);
        }
        let _ = above.send(sum).await;
    })
}
