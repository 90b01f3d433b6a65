//! What a pin costs, beside a compare-and-swap.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gopark_stack::Class;

use super::Standing;
use crate::sched::panics::UnhandledPanic;
use crate::sched::service::deadlock::Deadlock;
use crate::sched::shared::{Config, Preemption, Shared};

const TURNS: u32 = 2_000_000;

fn config() -> Config {
    Config {
        procs: 1,
        procs_follow: false,
        class: Class::Dense,
        window: 4096,
        thread_name: String::new(),
        threads_max: 2,
        keep_alive: Duration::ZERO,
        time_slice: Duration::ZERO,
        preemption: Preemption::Cooperative,
        long_slice: None,
        unhandled_panic: UnhandledPanic::Ignore,
        deadlock: Deadlock::Off,
        exit_grace: Duration::from_secs(1),
        on_end: crate::sched::service::shutdown::OnEnd::Leave,
        trace: None,
        migrate: false,
        contract: false,
        seed: 0,
    }
}

/// The fastest of some runs, for each turn.
fn best(mut turn: impl FnMut()) -> f64 {
    let run = |_| {
        let start = Instant::now();
        (0..TURNS).for_each(|_| turn());
        start.elapsed().as_secs_f64() * 1e9 / f64::from(TURNS)
    };
    (0..9).map(run).fold(f64::MAX, f64::min)
}

#[test]
fn a_pin_costs_less_than_a_compare_and_swap() {
    crate::sys::asymmetric::choose(false).unwrap();
    let shared = Shared::new(config()).unwrap();
    let m = shared.machines.make(0);
    m.begin(&shared);
    m.hold(0);
    m.pin.clear();
    let none = best(|| _ = black_box(m));
    let pinned = best(|| {
        let m = black_box(m);
        m.pin.set();
        assert_eq!(m.standing(), Standing::Held);
        m.pin.clear();
    });
    let word = AtomicU64::new(0);
    let cas = best(|| {
        let word = black_box(&word);
        let before = word.load(Ordering::Relaxed);
        // AcqRel: as the runtime's own.
        let _ = word.compare_exchange(before, before + 1, Ordering::AcqRel, Ordering::Relaxed);
    });
    println!(
        "pin and unpin {:.2} ns, a CAS {:.2} ns",
        pinned - none,
        cas - none
    );
    // Unoptimised code says nothing about it.
    if cfg!(not(debug_assertions)) {
        assert!(pinned - none < cas - none, "{pinned} ns, a CAS {cas} ns");
    }
    m.pin.set();
    m.release();
    m.finish();
}
