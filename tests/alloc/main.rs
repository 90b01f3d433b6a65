//! What allocates nothing once it runs, counted by the allocator of this process.

#![expect(unsafe_code, reason = "counts for the system's allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use gopark::chan::{Select, bounded, never, unbounded};
use gopark::select;
use gopark_tests::run;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all is passed on to the system's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        unsafe { System.dealloc(place, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test at a time is counted.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs `round` until it is warm, and then often without an allocation by anybody. The runtime's
/// own threads allocate now and then: one of several times must be without.
#[track_caller]
fn allocates_nothing(what: &str, mut round: impl FnMut()) {
    (0..2000).for_each(|_| round());
    let counts: Vec<_> = std::iter::repeat_with(|| {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        (0..2000).for_each(|_| round());
        ALLOCATIONS.load(Ordering::Relaxed) - before
    })
    .take(5)
    .collect();
    assert!(counts.contains(&0), "{what}: {counts:?}");
}

#[test]
fn channel_operations_allocate_nothing() {
    let _alone = ALONE.lock().unwrap();
    for procs in [1, 2] {
        run(procs, || {
            for cap in [0, 1, 100] {
                let (s, r) = bounded(cap);
                let (back, answers) = bounded(cap);
                gopark::go(move || r.into_iter().for_each(|n: u32| back.send(n).unwrap()));
                allocates_nothing("a round trip", || {
                    s.send(1).unwrap();
                    answers.recv().unwrap();
                });
                allocates_nothing("a select", || {
                    select! { send(s, 1) -> sent => sent.unwrap(), recv(never::<()>()) -> _ => {} }
                    select! { recv(answers) -> _ => {}, recv(never::<()>()) -> _ => {} }
                });
                let mut sends = Select::new();
                let mut receives = Select::new();
                let none = never::<()>();
                sends.send(&s);
                sends.recv(&none);
                receives.recv(&answers);
                receives.recv(&none);
                allocates_nothing("a dynamic select", || {
                    sends.select().send(&s, 1).unwrap();
                    receives.select().recv(&answers).unwrap();
                });
            }
            let (s, r) = unbounded();
            allocates_nothing("an unbounded channel that is filled and emptied", || {
                (0..25).for_each(|n| s.send(n).unwrap());
                assert_eq!(r.try_iter().count(), 25);
            });
        });
    }
}

/// Neither with a stack that lies ready nor in a seed.
#[test]
fn goroutines_with_small_closures_allocate_nothing() {
    const BURST: u64 = 64;
    let _alone = ALONE.lock().unwrap();
    for procs in [1, 2] {
        run(procs, || {
            let (sender, sums) = bounded(BURST as usize);
            allocates_nothing("bursts of goroutines", || {
                for n in 0..BURST {
                    let sender = sender.clone();
                    gopark::go(move || sender.send([n, 2 * n, 3 * n]).unwrap());
                }
                let sum = (0..BURST).map(|_| sums.recv().unwrap()[2]).sum::<u64>();
                assert_eq!(sum, 3 * (BURST - 1) * BURST / 2);
            });
        });
    }
}
