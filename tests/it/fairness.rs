//! Nobody starves: hand-overs, yields, spawns and wakes from outside share the Ps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use gopark::goroutine::Goroutine;
use gopark::{JoinHandle, blocking};
use gopark_tests::{Watchdog, nap, run, runtime, wait_until};

/// Two goroutines wake each other until `stop`, and count their turns.
fn ping_pong(stop: &Arc<AtomicBool>, turns: &Arc<AtomicU64>) -> JoinHandle<()> {
    fn rally(partner: &Goroutine, stop: &AtomicBool, turns: &AtomicU64) {
        while !stop.load(Ordering::Relaxed) {
            turns.fetch_add(1, Ordering::Relaxed);
            partner.unpark();
            gopark::park();
        }
        partner.unpark();
    }
    let (stop, turns) = (Arc::clone(stop), Arc::clone(turns));
    gopark::spawn(move || {
        let me = gopark::current();
        let (stop_too, turns_too) = (Arc::clone(&stop), Arc::clone(&turns));
        let partner = gopark::spawn(move || rally(&me, &stop_too, &turns_too));
        rally(partner.goroutine(), &stop, &turns);
        partner.join().unwrap();
    })
}

/// Two goroutines of which one always is `runnext` would go on for ever if their turns were slices
/// of their own.
#[test]
fn two_pairs_that_wake_each_other_share_a_p() {
    let turns = run(1, || {
        let stop = Arc::new(AtomicBool::new(false));
        let turns = [Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0))];
        let pairs: Vec<_> = turns.iter().map(|turns| ping_pong(&stop, turns)).collect();
        blocking(|| nap(Duration::from_secs(1)));
        stop.store(true, Ordering::Relaxed);
        pairs.into_iter().for_each(|pair| pair.join().unwrap());
        turns.map(|turns| turns.load(Ordering::Relaxed))
    });
    let (least, most) = (turns[0].min(turns[1]), turns[0].max(turns[1]));
    assert!(least > 0 && most / least < 20, "{turns:?}");
}

#[test]
fn a_pair_that_wakes_each_other_does_not_starve_the_local_queue() {
    run(1, || {
        let stop = Arc::new(AtomicBool::new(false));
        let pair = ping_pong(&stop, &Arc::default());
        let light: Vec<_> = (0..10)
            .map(|_| gopark::spawn(|| (0..5).for_each(|_| gopark::yield_now())))
            .collect();
        light.into_iter().for_each(|light| light.join().unwrap());
        stop.store(true, Ordering::Relaxed);
        pair.join().unwrap();
    });
}

#[test]
fn a_pair_that_wakes_each_other_does_not_starve_the_global_queue() {
    let _watchdog = Watchdog::start();
    let runtime = runtime(1);
    let stop = Arc::new(AtomicBool::new(false));
    let turns = Arc::new(AtomicU64::new(0));
    let (stop_too, turns_too) = (Arc::clone(&stop), Arc::clone(&turns));
    let pair = runtime.spawn(move || ping_pong(&stop_too, &turns_too).join().unwrap());
    wait_until("the pair runs", || turns.load(Ordering::Relaxed) > 1000);
    for n in 0..20 {
        // Spawned by a plain thread: it begins in the global queue.
        assert_eq!(runtime.spawn(move || n).join().unwrap(), n);
    }
    stop.store(true, Ordering::Relaxed);
    pair.join().unwrap();
}

#[test]
fn a_wake_by_a_plain_thread_reaches_a_goroutine_behind_a_pair() {
    let _watchdog = Watchdog::start();
    let runtime = runtime(1);
    let stop = Arc::new(AtomicBool::new(false));
    let wakes = Arc::new(AtomicUsize::new(0));
    let stop_too = Arc::clone(&stop);
    let pair = runtime.spawn(move || ping_pong(&stop_too, &Arc::default()).join().unwrap());
    let seen = Arc::clone(&wakes);
    let sleeper = runtime.spawn(move || {
        for _ in 0..20 {
            gopark::park();
            seen.fetch_add(1, Ordering::Relaxed);
        }
    });
    for n in 0..20 {
        sleeper.goroutine().unpark();
        wait_until("it is awake", || wakes.load(Ordering::Relaxed) > n);
    }
    sleeper.join().unwrap();
    stop.store(true, Ordering::Relaxed);
    pair.join().unwrap();
}

#[test]
fn goroutines_that_wake_each_other_share_a_slice() {
    const TURNS: u64 = 100_000;
    let _watchdog = Watchdog::start();
    let runtime = runtime(1);
    let stop = Arc::new(AtomicBool::new(false));
    let turns = Arc::new(AtomicU64::new(0));
    runtime.run(|| {
        let pair = ping_pong(&stop, &turns);
        while turns.load(Ordering::Relaxed) < TURNS {
            blocking(|| nap(Duration::from_millis(1)));
        }
        stop.store(true, Ordering::Relaxed);
        pair.join().unwrap();
    });
    let slices = runtime.metrics().procs[0].ticks;
    assert!(slices < TURNS / 10, "{slices} slices");
}

/// The stopper runs only if the other lets it.
fn a_yielding_goroutine_can_be_stopped(locked: bool) {
    run(1, || {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let yielding = gopark::spawn(move || {
            let _guard = locked.then(gopark::lock_os_thread);
            while !seen.load(Ordering::Relaxed) {
                gopark::yield_now();
            }
        });
        blocking(|| nap(Duration::from_millis(10)));
        let stopper = gopark::spawn(move || stop.store(true, Ordering::Relaxed));
        yielding.join().unwrap();
        stopper.join().unwrap();
    });
}

#[test]
fn a_goroutine_that_yields_for_ever_lets_others_run() {
    a_yielding_goroutine_can_be_stopped(false);
}

#[test]
fn a_goroutine_that_yields_for_ever_on_a_locked_thread_lets_others_run() {
    a_yielding_goroutine_can_be_stopped(true);
}

/// Half of them and more are on the global queue, the one that yields alone on the local one.
#[test]
fn a_yield_lets_those_on_the_global_queue_run() {
    const GOROUTINES: u64 = 600;
    run(1, || {
        let ran = Arc::new(AtomicU64::new(0));
        for _ in 0..GOROUTINES {
            let ran = Arc::clone(&ran);
            gopark::go(move || _ = ran.fetch_add(1, Ordering::Relaxed));
        }
        let mut yields = 0;
        while ran.load(Ordering::Relaxed) < GOROUTINES {
            gopark::yield_now();
            yields += 1;
        }
        assert!(yields <= 2 * GOROUTINES, "{yields} yields");
    });
}

/// Every one of them is `runnext` of its parent.
#[test]
fn a_chain_of_spawns_does_not_starve_the_local_queue() {
    fn again(stop: Arc<AtomicBool>, ended: Goroutine) {
        if stop.load(Ordering::Relaxed) {
            ended.unpark();
        } else {
            gopark::go(|| again(stop, ended));
        }
    }
    run(1, || {
        let stop = Arc::new(AtomicBool::new(false));
        let (seen, me) = (Arc::clone(&stop), gopark::current());
        let stopper = gopark::spawn(move || stop.store(true, Ordering::Relaxed));
        gopark::go(|| again(seen, me));
        gopark::park();
        stopper.join().unwrap();
    });
}

/// Each waits for the one before it, without a call: they end only if all run at once.
#[test]
fn four_goroutines_that_spin_for_each_other_all_run() {
    const GOROUTINES: usize = 4;
    const ROUNDS: usize = 3;
    run(GOROUTINES, || {
        for _ in 0..10 {
            let turn = Arc::new(AtomicUsize::new(0));
            let spinning = |n| {
                let turn = Arc::clone(&turn);
                gopark::spawn(move || {
                    for round in 0..ROUNDS {
                        let mine = round * GOROUTINES + n;
                        while turn.load(Ordering::Relaxed) != mine {}
                        turn.store(mine + 1, Ordering::Relaxed);
                    }
                })
            };
            let all: Vec<_> = (0..GOROUTINES).map(spinning).collect();
            all.into_iter().for_each(|one| one.join().unwrap());
        }
    });
}

/// A P that stays idle beside a waiting goroutine would keep the others spinning for ever.
#[test]
fn goroutines_spawned_in_a_chain_run_at_once_after_threads_were_parked() {
    const GOROUTINES: usize = 4;
    fn meet(arrived: Arc<AtomicUsize>, nth: usize) {
        let next = (nth < GOROUTINES).then(|| {
            let arrived = Arc::clone(&arrived);
            gopark::spawn(move || meet(arrived, nth + 1))
        });
        arrived.fetch_add(1, Ordering::Relaxed);
        while arrived.load(Ordering::Relaxed) < GOROUTINES {}
        if let Some(next) = next {
            next.join().unwrap();
        }
    }
    let _watchdog = Watchdog::start();
    let runtime = runtime(GOROUTINES);
    for n in 0..50 {
        if n % 2 == 0 {
            wait_until("all Ps are idle", || {
                runtime.metrics().idle_procs == GOROUTINES
            });
        }
        runtime.run(|| meet(Arc::default(), 1));
    }
    let steals: u64 = runtime.metrics().procs.iter().map(|p| p.steals).sum();
    assert!(steals > 0);
}

#[test]
fn a_local_queue_that_overflows_loses_nobody() {
    const GOROUTINES: usize = 1000;
    let _watchdog = Watchdog::start();
    let runtime = runtime(1);
    let runs: Arc<Vec<AtomicUsize>> =
        Arc::new((0..GOROUTINES).map(|_| Default::default()).collect());
    runtime.run(|| {
        let counting = |n: usize| {
            let runs = Arc::clone(&runs);
            gopark::spawn(move || runs[n].fetch_add(1, Ordering::Relaxed))
        };
        let all: Vec<_> = (0..GOROUTINES).map(counting).collect();
        all.into_iter()
            .for_each(|one| assert_eq!(one.join().unwrap(), 0));
    });
    assert!(runs.iter().all(|runs| runs.load(Ordering::Relaxed) == 1));
    assert!(runtime.metrics().procs[0].overflows > 0);
}

#[test]
fn goroutines_readied_by_plain_threads_all_run() {
    let _watchdog = Watchdog::start();
    for procs in [1, 4] {
        let runtime = runtime(procs);
        let sleeping = |n| {
            runtime.spawn(move || {
                gopark::park();
                n
            })
        };
        let sleepers: Vec<_> = (0..400).map(sleeping).collect();
        std::thread::scope(|scope| {
            for part in sleepers.chunks(100) {
                scope.spawn(|| part.iter().for_each(|sleeper| sleeper.goroutine().unpark()));
            }
        });
        let sum: usize = sleepers.into_iter().map(|one| one.join().unwrap()).sum();
        assert_eq!(sum, 400 * 399 / 2);
    }
}
