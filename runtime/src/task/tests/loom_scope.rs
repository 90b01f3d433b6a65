//! Models of a scope: its parent leaves when the last child has left, is woken for that, and finds
//! one panic.

#![expect(unsafe_code, reason = "reads cells that the model checker watches")]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use super::{Fail, Leave, ScopeState, Wait};

struct Fake {
    state: ScopeState,
    /// What the children borrow from the parent.
    borrowed: [UnsafeCell<u32>; 2],
    /// The panic that is left for the parent.
    payload: UnsafeCell<u32>,
    /// How often the parent was woken.
    woken: AtomicU32,
}

/// The steps that a seeded bug replaces.
#[derive(Clone, Copy)]
struct Variant {
    wait: fn(&ScopeState) -> Wait,
    fail: fn(&ScopeState) -> Fail,
}

const REAL: Variant = Variant {
    wait: ScopeState::wait,
    fail: ScopeState::fail,
};

fn fake() -> Arc<Fake> {
    Arc::new(Fake {
        state: ScopeState::new(),
        borrowed: [UnsafeCell::new(0), UnsafeCell::new(0)],
        payload: UnsafeCell::new(0),
        woken: AtomicU32::new(0),
    })
}

impl Fake {
    fn child(&self, number: usize, panics: bool, variant: Variant) {
        // SAFETY: each child has one of its own; the checker watches that the parent waits.
        self.borrowed[number].with_mut(|cell| unsafe { *cell = 1 });
        if panics && (variant.fail)(&self.state) == Fail::First {
            self.payload
                // SAFETY: the first panic's, until its child leaves; the checker watches.
                .with_mut(|cell| unsafe { *cell += 1 });
        }
        if self.state.leave() == Leave::WakeParent {
            self.woken.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether the parent slept.
    fn wait(&self, variant: Variant) -> bool {
        let sleeps = (variant.wait)(&self.state) == Wait::Sleep;
        if sleeps {
            while self.woken.load(Ordering::Relaxed) == 0 {
                thread::yield_now();
            }
            self.state.withdraw();
        }
        assert!(self.state.is_over(), "{:?}", self.state);
        for cell in &self.borrowed {
            // SAFETY: no child is left; the checker watches.
            cell.with_mut(|cell| unsafe { *cell = 2 });
        }
        sleeps
    }
}

fn run(panics: bool, variant: Variant) {
    loom::model(move || {
        let scope = fake();
        if panics {
            scope.state.fail_fast();
        }
        let children = [0, 1].map(|number| {
            scope.state.enter();
            let scope = Arc::clone(&scope);
            thread::spawn(move || scope.child(number, panics, variant))
        });
        let slept = scope.wait(variant);
        if panics {
            // SAFETY: no child is left; the checker watches.
            let payload = scope.payload.with(|cell| unsafe { *cell });
            assert_eq!(payload, 1);
            assert!(scope.state.is_cancelled());
        }
        let _ = children.map(|child| child.join().unwrap());
        assert_eq!(scope.woken.load(Ordering::Relaxed), u32::from(slept));
    });
}

#[test]
fn loom_last_child_against_parent() {
    run(false, REAL);
}

#[test]
#[should_panic]
fn loom_seeded_bug_parent_that_waits_on_a_stale_look_is_found() {
    run(
        false,
        Variant {
            wait: ScopeState::wait_seeded,
            ..REAL
        },
    );
}

#[test]
fn loom_first_panic_of_two() {
    run(true, REAL);
}

#[test]
#[should_panic]
fn loom_seeded_bug_first_panic_on_a_stale_look_is_found() {
    run(
        true,
        Variant {
            fail: ScopeState::fail_seeded,
            ..REAL
        },
    );
}

/// The parent's sleep ends for another reason while the last child leaves: at most one wake comes,
/// and no child is there when the parent leaves.
#[test]
fn loom_withdrawal_against_last_child() {
    loom::model(|| {
        let scope = fake();
        scope.state.enter();
        let other = Arc::clone(&scope);
        let child = thread::spawn(move || other.child(0, false, REAL));
        let _ = scope.state.wait();
        scope.state.withdraw();
        let slept = scope.wait(REAL);
        child.join().unwrap();
        let woken = scope.woken.load(Ordering::Relaxed);
        assert!(woken <= 1 && (woken == 1 || !slept));
    });
}
