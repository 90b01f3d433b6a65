//! Models of how an M waits for a P: a P that is given is taken, and by one.

#![expect(unsafe_code, reason = "touches cells that the model checker watches")]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use super::{Give, GiveUp, Given, Grant};
use crate::sched::claims::{Claim, Claims};
use crate::sched::hold::{Hold, Look, Pin, Token};
use crate::shim::{Light, heavy};

/// The M that waits.
const M: usize = 0;
/// Another one.
const OTHER: usize = 1;
/// The one P.
const P: usize = 0;

/// A P and two Ms.
struct Fake {
    hold: Hold,
    /// What only the holder of the P touches.
    local: UnsafeCell<u32>,
    pins: [Pin; 2],
    grant: Grant,
    claims: Claims,
}

/// `holder` has the P and is pinned.
fn fake(holder: usize) -> Arc<Fake> {
    let fake = Arc::new(Fake {
        hold: Hold::new(),
        local: UnsafeCell::new(0),
        pins: [Pin::new(), Pin::new()],
        grant: Grant::new(),
        claims: Claims::new(2),
    });
    fake.pins[holder].set();
    fake.take_up(holder);
    fake
}

impl Fake {
    /// Uses the P.
    fn touch(&self) {
        // SAFETY: the caller believes to hold the P; the checker watches.
        self.local.with_mut(|cell| unsafe { *cell += 1 });
    }

    fn take_up(&self, m: usize) {
        self.hold.take_up(Token::of(m));
        self.touch();
    }

    fn has_p(&self, m: usize) -> bool {
        matches!(self.hold.look(Token::of(m)), Look::Held | Look::Preempted)
    }

    /// A runtime call of M number `m`: whether it has the P.
    fn call(&self, m: usize) -> bool {
        self.pins[m].set();
        let held = self.has_p(m);
        if held {
            self.touch();
        }
        self.pins[m].clear();
        held
    }

    /// Whether the M, which sleeps, was given the P.
    fn is_given(&self) -> bool {
        match self.grant.take() {
            Some(Given::P(p)) => p == P,
            Some(other) => panic!("{other:?}: nobody ends or calls this M"),
            None => false,
        }
    }

    /// The M, which sleeps and is pinned, takes up the P if it was given it.
    fn take(&self) -> bool {
        let given = self.is_given();
        if given {
            self.take_up(M);
        }
        given
    }
}

/// The M parks with its goroutine; whoever dequeues the goroutine gives his P to the M, just as
/// sysmon takes it from him. `early`: the goroutine can be found before the M waits.
fn bound_hand_over(early: bool) {
    loom::model(move || {
        let fake = fake(OTHER);
        let is_queued = Arc::new(AtomicU32::new(0));
        let (giver, queue) = (Arc::clone(&fake), Arc::clone(&is_queued));
        let giver = thread::spawn(move || {
            giver.pins[OTHER].clear();
            giver.pins[OTHER].set();
            // Acquire: pairs with the Release of the commit.
            let dequeued = giver.has_p(OTHER) && queue.load(Ordering::Acquire) == 1;
            if dequeued {
                giver.touch();
                giver.hold.lay_down();
                giver.grant.give(P);
            }
            giver.pins[OTHER].clear();
            dequeued
        });
        let taker = Arc::clone(&fake);
        let sysmon = thread::spawn(move || {
            let taken = taker.hold.retake(OTHER, &taker.pins[OTHER]);
            if taken {
                taker.touch();
            }
            taken
        });
        fake.pins[M].set();
        if early {
            is_queued.store(1, Ordering::Relaxed);
            fake.grant.wait();
        } else {
            fake.grant.wait();
            // Release: the commit of a park, pairs with the Acquire of the giver.
            is_queued.store(1, Ordering::Release);
        }
        let early = fake.take();
        let given = giver.join().unwrap();
        assert_eq!(early || fake.take(), given);
        fake.pins[M].clear();
        let taken = sysmon.join().unwrap();
        let holders = [fake.call(M), fake.call(OTHER), taken];
        assert_eq!(holders.iter().filter(|holds| **holds).count(), 1);
        assert_eq!(holders[M], given);
    });
}

#[test]
fn loom_bound_hand_over() {
    bound_hand_over(false);
}

#[test]
#[should_panic]
fn loom_seeded_bug_wait_after_the_commit_is_found() {
    bound_hand_over(true);
}

type GiveToClaim = fn(&Grant, usize) -> Give;

/// An M that claimed a P gives up, at its deadline, while it is given one.
fn give_against_give_up(give: GiveToClaim) {
    loom::model(move || {
        let fake = fake(OTHER);
        fake.pins[M].set();
        fake.grant.claim();
        let giver = Arc::clone(&fake);
        let giver = thread::spawn(move || {
            giver.touch();
            giver.hold.lay_down();
            let stale = give(&giver.grant, P) == Give::Stale;
            if stale {
                giver.take_up(OTHER);
            }
            giver.pins[OTHER].clear();
            stale
        });
        let has_p = fake.take()
            || match fake.grant.give_up() {
                GiveUp::Detached => false,
                GiveUp::Given => fake.take(),
            };
        fake.pins[M].clear();
        let kept = giver.join().unwrap();
        assert_ne!(has_p, kept, "two hold the P, or nobody");
        assert_eq!(fake.call(OTHER), kept);
        assert_eq!(fake.call(M), has_p);
    });
}

#[test]
fn loom_give_against_give_up() {
    give_against_give_up(Grant::give_to_claim);
}

#[test]
#[should_panic]
fn loom_seeded_bug_give_without_cas_is_found() {
    give_against_give_up(Grant::give_to_claim_seeded);
}

/// Step 3 of `suspend.rs`: whether sysmon got the P.
fn take(fake: &Fake) -> bool {
    if !fake.hold.begin_retake(M) {
        return false;
    }
    if !fake.grant.seize() {
        fake.hold.put_back(M);
        return false;
    }
    fake.hold.finish_retake(M)
}

/// The same in another order: the M may give up and use its P between the two.
fn take_seizing_first(fake: &Fake) -> bool {
    fake.grant.seize() && fake.hold.begin_retake(M) && fake.hold.finish_retake(M)
}

/// The same without the last look at the word of the P.
fn take_without_finishing(fake: &Fake) -> bool {
    if !fake.hold.begin_retake(M) {
        return false;
    }
    if !fake.grant.seize() {
        fake.hold.put_back(M);
        return false;
    }
    fake.hold.lay_down();
    true
}

/// The handler of the M suspends it and gives up at its deadline, while sysmon takes the P and
/// gives it to the first claim: the M's. Then the M makes a runtime call.
fn suspension_against_its_deadline(take: fn(&Fake) -> bool) {
    loom::model(move || {
        let fake = fake(M);
        fake.pins[M].clear();
        assert!(fake.grant.request());
        let other = Arc::clone(&fake);
        let sysmon = thread::spawn(move || {
            if !other.grant.is_suspended() || !take(&other) {
                return false;
            }
            other.touch();
            other.claims.push(M, Claim::Returned);
            assert_eq!(other.claims.pop(Claim::Returned), Some(M));
            other.grant.give_to_claim(P) == Give::Stale
        });
        assert!(fake.call(M));
        assert!(fake.grant.suspend());
        if fake.is_given() || fake.grant.give_up() == GiveUp::Given && fake.is_given() {
            fake.pins[M].set();
            fake.take_up(M);
            fake.pins[M].clear();
        }
        let held = fake.call(M);
        assert_eq!(fake.call(M), held, "the P comes and goes by itself");
        let kept = sysmon.join().unwrap();
        assert_ne!(held, kept, "two hold the P, or nobody");
    });
}

#[test]
fn loom_suspension_against_its_deadline() {
    suspension_against_its_deadline(take);
}

#[test]
#[should_panic]
fn loom_seeded_bug_seize_before_the_retake_is_found() {
    suspension_against_its_deadline(take_seizing_first);
}

#[test]
#[should_panic]
fn loom_seeded_bug_retake_without_an_end_is_found() {
    suspension_against_its_deadline(take_without_finishing);
}

/// Whoever has a P and comes to the claims: whether he keeps the P.
fn serve_claims(fake: &Fake) -> bool {
    while let Some(m) = fake.claims.pop(Claim::Returned) {
        assert_eq!(m, M);
        fake.touch();
        fake.hold.lay_down();
        if fake.grant.give_to_claim(P) == Give::Wake {
            return false;
        }
        fake.take_up(OTHER);
    }
    true
}

/// The M claims a P while an entry of an earlier claim, which it gave up, is still in the queue and
/// somebody comes to it.
fn claim_against_its_stale_entry(claim: fn(&Fake)) {
    loom::model(move || {
        let fake = fake(OTHER);
        fake.pins[M].set();
        fake.claims.push(M, Claim::Returned);
        let giver = Arc::clone(&fake);
        let giver = thread::spawn(move || serve_claims(&giver));
        claim(&fake);
        // If he was too early he comes again.
        let kept = giver.join().unwrap() && serve_claims(&fake);
        assert!(!kept, "the claim is lost");
        assert!(fake.take());
        fake.pins[M].clear();
        assert!(fake.call(M));
    });
}

#[test]
fn loom_claim_against_its_stale_entry() {
    claim_against_its_stale_entry(|fake| {
        fake.grant.claim();
        fake.claims.push(M, Claim::Returned);
    });
}

#[test]
#[should_panic]
fn loom_seeded_bug_queued_before_the_claim_is_found() {
    claim_against_its_stale_entry(|fake| {
        fake.claims.push(M, Claim::Returned);
        fake.grant.claim();
    });
}

/// sysmon asks the M to suspend itself while the M raises its shield (`no_preempt`): no signal
/// comes after the M has looked for a request.
fn shield_against_request(light: fn()) {
    loom::model(move || {
        let fake = fake(M);
        let shield = Arc::new(AtomicU32::new(0));
        let signals = Arc::new(AtomicU32::new(0));
        let (other, up, sent) = (Arc::clone(&fake), Arc::clone(&shield), Arc::clone(&signals));
        let sysmon = thread::spawn(move || {
            assert!(other.grant.request());
            heavy();
            if up.load(Ordering::Relaxed) != 0 {
                other.grant.cancel();
            } else {
                sent.fetch_add(1, Ordering::Relaxed);
            }
        });
        shield.store(1, Ordering::Relaxed);
        light();
        while fake.grant.is_requested() {
            // The handler of the signal.
            if signals.swap(0, Ordering::Relaxed) == 1 {
                assert!(fake.grant.cancel());
            }
            thread::yield_now();
        }
        sysmon.join().unwrap();
        assert_eq!(
            signals.load(Ordering::Relaxed),
            0,
            "a signal under the shield"
        );
    });
}

#[test]
fn loom_shield_against_request() {
    shield_against_request(|| Light::chosen().fence());
}

#[test]
#[should_panic]
fn loom_seeded_bug_shield_without_a_fence_is_found() {
    shield_against_request(|| ());
}
