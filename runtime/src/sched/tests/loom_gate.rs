//! A model of the gate: a goroutine that is spawned from outside is seen by the end.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::{Enter, Gate};

struct Runtime {
    gate: Gate,
    /// As `Shared` counts those that are spawned from outside.
    spawned: AtomicUsize,
}

impl Runtime {
    /// Whether the goroutine was made.
    fn spawn(&self, enter: fn(&Gate) -> Enter) -> bool {
        if enter(&self.gate) == Enter::Closed {
            return false;
        }
        // Relaxed: the gate orders it.
        self.spawned.fetch_add(1, Ordering::Relaxed);
        self.gate.leave();
        true
    }

    /// Goroutines that the end has to unwind.
    fn end(&self) -> usize {
        self.gate.close();
        while !self.gate.is_empty() {
            thread::yield_now();
        }
        self.spawned.load(Ordering::Relaxed)
    }

    /// A bug: the count comes first.
    fn end_that_counts_first(&self) -> usize {
        self.gate.close();
        let spawned = self.spawned.load(Ordering::Relaxed);
        while !self.gate.is_empty() {
            thread::yield_now();
        }
        spawned
    }
}

/// A bug: between the look and the entry the gate may be closed.
fn look_and_enter(gate: &Gate) -> Enter {
    if gate.0.load(Ordering::Relaxed) & super::CLOSED != 0 {
        return Enter::Closed;
    }
    gate.0.fetch_add(super::ONE, Ordering::Relaxed);
    Enter::Inside
}

fn a_spawn_against_the_end(enter: fn(&Gate) -> Enter, end: fn(&Runtime) -> usize) {
    loom::model(move || {
        let runtime = Arc::new(Runtime {
            gate: Gate::new(),
            spawned: AtomicUsize::new(0),
        });
        let spawners: Vec<_> = (0..2)
            .map(|_| {
                let runtime = Arc::clone(&runtime);
                thread::spawn(move || runtime.spawn(enter))
            })
            .collect();
        let seen = end(&runtime);
        let made = spawners.into_iter().map(|spawner| spawner.join().unwrap());
        let made = made.filter(|made| *made).count();
        assert_eq!(seen, made, "the end misses a goroutine");
        assert!(runtime.gate.is_empty());
        assert_eq!(runtime.gate.enter(), Enter::Closed);
    });
}

#[test]
fn loom_gate_a_spawn_against_the_end() {
    a_spawn_against_the_end(Gate::enter, Runtime::end);
}

#[test]
#[should_panic(expected = "the end misses a goroutine")]
fn loom_gate_a_spawn_against_the_end_seeded_count() {
    a_spawn_against_the_end(Gate::enter, Runtime::end_that_counts_first);
}

#[test]
#[should_panic(expected = "the end misses a goroutine")]
fn loom_gate_a_spawn_against_the_end_seeded_look() {
    a_spawn_against_the_end(look_and_enter, Runtime::end);
}
