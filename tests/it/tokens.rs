//! Cancellation tokens: their channel and their flag say the same, down the tree, on goroutines and
//! threads.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gopark::chan::{Receiver, RecvError, Select, TryRecvError, bounded, never, unbounded};
use gopark::select;
use gopark::sync::{Barrier, CancellationToken};
use gopark::time::{after_func, sleep};
use gopark_tests::{Random, Watchdog, run, runtime, wait_until};

const SHORT: Duration = Duration::from_millis(10);
const LONG: Duration = Duration::from_secs(60);

/// What somebody sees who looks at a token without waiting.
#[track_caller]
fn sees(token: &CancellationToken) -> bool {
    let is_cancelled = token.is_cancelled();
    let expected = match is_cancelled {
        true => TryRecvError::Disconnected,
        false => TryRecvError::Empty,
    };
    assert_eq!(token.cancelled().try_recv(), Err(expected));
    is_cancelled
}

#[test]
fn a_select_is_told_of_a_cancellation_before_and_while_it_waits() {
    let case = || {
        for asks_before in [false, true] {
            let token = CancellationToken::new();
            let child = token.child_token();
            if asks_before {
                assert!(!sees(&token) && !sees(&child));
            }
            let select = |token: &CancellationToken| {
                select! {
                    recv(token.cancelled()) -> told => assert_eq!(told, Err(RecvError)),
                    recv(never::<()>()) -> _ => unreachable!(),
                }
            };
            let dynamic = |token: &CancellationToken| {
                let none = never::<()>();
                let mut select = Select::new();
                select.recv(&none);
                let at = select.recv(token.cancelled());
                let operation = select.select();
                assert_eq!(operation.index(), at);
                assert_eq!(operation.recv(token.cancelled()), Err(RecvError));
            };
            let waits: Vec<_> = (0..3)
                .map(|n| {
                    let child = child.clone();
                    std::thread::spawn(move || match n {
                        0 => select(&child),
                        1 => dynamic(&child),
                        _ => assert_eq!(child.cancelled().recv(), Err(RecvError)),
                    })
                })
                .collect();
            gopark::blocking(|| std::thread::park_timeout(SHORT));
            assert!(waits.iter().all(|one| !one.is_finished()));
            token.cancel();
            select(&token);
            dynamic(&child);
            assert!(sees(&token) && sees(&child) && sees(&child.child_token()));
            for one in waits {
                gopark::blocking(|| one.join().unwrap());
            }
        }
    };
    let _watchdog = Watchdog::start();
    case();
    run(1, case);
    run(2, case);
}

#[test]
fn all_who_wait_are_told_once_however_they_wait() {
    for procs in [1, 2] {
        run(procs, || {
            let root = CancellationToken::new();
            let tokens = [
                root.clone(),
                root.child_token(),
                root.child_token().child_token(),
            ];
            let (_open, silent) = unbounded::<Infallible>();
            let (told, come) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let waits = |n: usize| {
                let token = tokens[n % tokens.len()].clone();
                let (told, come, silent) = (Arc::clone(&told), Arc::clone(&come), silent.clone());
                move || {
                    come.fetch_add(1, Ordering::Relaxed);
                    match n % 4 {
                        0 => token.wait(),
                        1 => assert_eq!(token.cancelled().recv(), Err(RecvError)),
                        2 => select! {
                            recv(silent) -> _ => unreachable!(),
                            recv(token.cancelled()) -> _ => {}
                        },
                        _ => assert!(token.wait_timeout(LONG)),
                    }
                    assert!(sees(&token));
                    told.fetch_add(1, Ordering::Relaxed);
                }
            };
            let threads: Vec<_> = (0..8).map(|n| std::thread::spawn(waits(n))).collect();
            let goroutines: Vec<_> = (0..200).map(|n| gopark::spawn(waits(n))).collect();
            wait_until("all come", || come.load(Ordering::Relaxed) == 208);
            sleep(SHORT);
            assert_eq!(told.load(Ordering::Relaxed), 0);
            let again = root.clone();
            let also = gopark::spawn(move || again.cancel());
            root.cancel();
            goroutines.into_iter().for_each(|one| one.join().unwrap());
            for thread in threads {
                gopark::blocking(|| thread.join().unwrap());
            }
            also.join().unwrap();
            assert_eq!(told.load(Ordering::Relaxed), 208);
        });
    }
}

/// The first who asks for the channel, against who cancels, against who looks.
#[test]
fn a_channel_that_is_asked_for_while_the_token_is_cancelled_is_told() {
    const ROUNDS: usize = 3000;
    for procs in [1, 2] {
        run(procs, || {
            let meet = Arc::new(Barrier::new(4));
            let tokens: Vec<_> = (0..ROUNDS).map(|_| CancellationToken::new()).collect();
            let tokens = Arc::new(tokens);
            let plays = |role: usize| {
                let (meet, tokens) = (Arc::clone(&meet), Arc::clone(&tokens));
                move || {
                    for (n, parent) in tokens.iter().enumerate() {
                        meet.wait();
                        let token = if n % 2 == 0 {
                            parent.clone()
                        } else {
                            parent.child_token()
                        };
                        match (role + n) % 4 {
                            0 => parent.cancel(),
                            1 => assert_eq!(token.cancelled().recv(), Err(RecvError)),
                            2 => select! {
                                recv(token.cancelled()) -> told => assert!(told.is_err()),
                                recv(never::<()>()) -> _ => {}
                            },
                            _ => while !sees_in_between(&token) {},
                        }
                        assert!((role + n).is_multiple_of(4) || sees(&token));
                    }
                }
            };
            let thread = std::thread::spawn(plays(0));
            let goroutines: Vec<_> = (1..4).map(|role| gopark::spawn(plays(role))).collect();
            goroutines.into_iter().for_each(|one| one.join().unwrap());
            gopark::blocking(|| thread.join().unwrap());
        });
    }
}

/// Whether it is cancelled: then its channel is closed, too.
fn sees_in_between(token: &CancellationToken) -> bool {
    gopark::yield_now();
    let is_cancelled = token.is_cancelled();
    let told = token.cancelled().try_recv() == Err(TryRecvError::Disconnected);
    assert!(told || !is_cancelled, "cancelled, with an open channel");
    told
}

/// Go's TestContextErrDoneRace: of the flag and the channel neither is seen without the other, also
/// by one who has had the channel for long.
#[test]
fn the_flag_and_the_channel_change_as_one() {
    const ROUNDS: usize = 3000;
    for procs in [1, 2] {
        run(procs, || {
            let (tokens, incoming) = bounded::<CancellationToken>(0);
            let watch = |incoming: Receiver<CancellationToken>, by_flag: bool| {
                move || {
                    for token in incoming {
                        let channel = token.cancelled();
                        if by_flag {
                            while !token.is_cancelled() {
                                gopark::yield_now();
                            }
                            assert_eq!(channel.try_recv(), Err(TryRecvError::Disconnected));
                        } else {
                            assert_eq!(channel.recv(), Err(RecvError));
                            assert!(token.is_cancelled());
                        }
                    }
                }
            };
            let watchers = [
                gopark::spawn(watch(incoming.clone(), true)),
                gopark::spawn(watch(incoming.clone(), false)),
            ];
            let threads = [
                std::thread::spawn(watch(incoming.clone(), true)),
                std::thread::spawn(watch(incoming, false)),
            ];
            for n in 0..ROUNDS {
                let token = CancellationToken::new();
                tokens.send(token.clone()).unwrap();
                if n % 3 == 0 {
                    tokens.send(token.clone()).unwrap();
                }
                token.cancel();
                assert!(sees(&token));
            }
            drop(tokens);
            watchers.into_iter().for_each(|one| one.join().unwrap());
            for thread in threads {
                gopark::blocking(|| thread.join().unwrap());
            }
        });
    }
}

/// Go's TestLayersCancel: a random tree, of which random nodes are cancelled; those below them are,
/// and no others.
#[test]
fn a_cancellation_reaches_exactly_what_is_below() {
    const NODES: usize = 300;
    for seed in 1..=20 {
        let mut random = Random::new(seed);
        let mut tree = vec![(CancellationToken::new(), 0)];
        for _ in 1..NODES {
            let parent = random.below(tree.len() as u64) as usize;
            let child = tree[parent].0.child_token();
            if random.below(2) == 0 {
                assert!(!sees(&child));
            }
            // A handle that goes at once leaves the rest of the tree alone.
            drop(child.child_token());
            tree.push((child, parent));
        }
        let mut expected = vec![false; NODES];
        for _ in 0..15 {
            let hit = 1 + random.below(NODES as u64 - 1) as usize;
            tree[hit].0.cancel();
            expected[hit] = true;
            for n in 1..NODES {
                expected[n] |= expected[tree[n].1];
            }
            let seen: Vec<_> = tree.iter().map(|(token, _)| sees(token)).collect();
            assert_eq!(seen, expected, "seed {seed}");
        }
        let inner = tree.swap_remove(NODES / 2).0;
        tree[0].0.cancel();
        assert!(sees(&inner) && tree.iter().all(|(token, _)| sees(token)));
    }
}

/// Go's TestLayersTimeout: the same with a moment for some of the layers.
#[test]
fn a_timer_cancels_a_layer_and_those_below_it() {
    for procs in [1, 2] {
        run(procs, || {
            let root = CancellationToken::new();
            let mut layers = vec![root.clone()];
            for _ in 0..100 {
                layers.push(layers.last().unwrap().child_token());
            }
            let deadline = |token: &CancellationToken, time: Duration| {
                let token = token.clone();
                after_func(time, move || token.cancel())
            };
            let start = Instant::now();
            let stopped = deadline(&layers[10], LONG);
            let timers = [
                deadline(&layers[70], SHORT),
                deadline(&layers[40], 2 * SHORT),
            ];
            layers[99].wait();
            assert!(start.elapsed() >= SHORT);
            select! {
                recv(layers[50].cancelled()) -> _ => {}
                default(LONG) => panic!("the timer never came"),
            }
            assert!(start.elapsed() >= 2 * SHORT);
            wait_until("all below are told", || {
                layers[40..].iter().all(sees_in_between)
            });
            assert!(!layers[..40].iter().any(sees));
            assert!(stopped.stop() && timers.iter().all(|timer| !timer.stop()));
            root.cancel();
            assert!(layers.iter().all(sees));
        });
    }
}

/// Go's TestInterlockedCancels: one who is told of a cancellation cancels others, up and down.
#[test]
fn cancels_that_set_off_each_other_end() {
    for procs in [1, 2] {
        run(procs, || {
            for round in 0..300 {
                let tops = [CancellationToken::new(), CancellationToken::new()];
                let leaves = [tops[0].child_token(), tops[1].child_token()];
                let chain: Vec<_> = (0..2)
                    .map(|n| {
                        let (leaf, other) = (leaves[n].clone(), tops[1 - n].clone());
                        gopark::spawn(move || {
                            leaf.cancelled().recv().unwrap_err();
                            leaf.cancel();
                            other.cancel();
                        })
                    })
                    .collect();
                if round % 2 == 0 {
                    gopark::yield_now();
                }
                tops[round % 2].cancel();
                chain.into_iter().for_each(|one| one.join().unwrap());
                assert!(tops.iter().chain(&leaves).all(sees));
            }
        });
    }
}

#[test]
fn the_channel_is_one_and_a_clone_of_it_outlives_the_token() {
    let token = CancellationToken::new();
    let clone = token.clone();
    let child = token.child_token();
    assert!(token.cancelled().same_channel(clone.cancelled()));
    assert!(!token.cancelled().same_channel(child.cancelled()));
    let kept = token.cancelled().clone();
    let of_child = child.cancelled().clone();
    drop(token);
    assert_eq!(kept.try_recv(), Err(TryRecvError::Empty));
    drop(clone);
    assert_eq!(
        kept.try_recv(),
        Err(TryRecvError::Empty),
        "the child keeps its parent"
    );
    drop(child);
    assert_eq!(kept.try_recv(), Err(TryRecvError::Disconnected));
    assert_eq!(of_child.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn waits_that_end_otherwise_leave_the_channel_alone() {
    let _watchdog = Watchdog::start();
    let token = CancellationToken::new();
    let rt = runtime(2);
    for n in 0..20 {
        let token = token.clone();
        rt.spawn(move || {
            let limit = Duration::from_micros(50 * n);
            let _ = gopark::time::timeout(limit, || token.cancelled().recv());
            select! {
                recv(token.cancelled()) -> _ => unreachable!(),
                recv(never::<()>()) -> _ => unreachable!(),
            }
        });
    }
    rt.run(|| sleep(SHORT));
    drop(rt);
    assert!(!sees(&token));
    token.cancel();
    assert!(sees(&token));
}
