//! Models of who holds a P: never two at a time, never nobody.

#![expect(unsafe_code, reason = "touches cells that the model checker watches")]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::{Hold, Look, Pin, Token};

/// The M that has the P at first.
const M: usize = 0;

/// A P, and the M that holds it and runs user code.
struct Fake {
    hold: Hold,
    pin: Pin,
    /// What only the holder of the P touches.
    local: UnsafeCell<u32>,
}

fn fake() -> Arc<Fake> {
    let fake = Arc::new(Fake {
        hold: Hold::new(),
        pin: Pin::new(),
        local: UnsafeCell::new(0),
    });
    fake.pin.set();
    fake.hold.take_up(Token::of(M));
    fake.touch();
    fake.pin.clear();
    fake
}

impl Fake {
    /// Uses the P.
    fn touch(&self) {
        // SAFETY: the caller believes to hold the P; the checker watches.
        self.local.with_mut(|cell| unsafe { *cell += 1 });
    }

    /// P3: whether the M, which is pinned, has the P.
    fn has_p(&self) -> bool {
        let token = Token::of(M);
        self.hold.is_held(token)
            || match self.hold.look(token) {
                Look::Held | Look::Preempted => true,
                Look::Lost => false,
                other => panic!("{other:?}"),
            }
    }

    /// A runtime call of the M: whether it had the P.
    fn call(&self) -> bool {
        self.pin.set();
        let held = self.has_p();
        if held {
            self.touch();
        }
        self.pin.clear();
        held
    }
}

/// sysmon tries to take the P, once or twice, and uses it if it gets it.
fn sysmon(fake: &Fake, retake: fn(&Fake) -> bool) -> bool {
    let taken = retake(fake) || retake(fake);
    if taken {
        fake.touch();
        // As the M that it is given to.
        fake.hold.take_up(Token::of(M + 1));
        fake.touch();
    }
    taken
}

fn retake(fake: &Fake) -> bool {
    fake.hold.retake(M, &fake.pin)
}

fn retake_seeded(fake: &Fake) -> bool {
    fake.hold.retake_seeded(M)
}

/// The M makes runtime calls while sysmon takes the P from it.
fn retake_against_pin(retake: fn(&Fake) -> bool) {
    loom::model(move || {
        let fake = fake();
        let other = Arc::clone(&fake);
        let thread = thread::spawn(move || sysmon(&other, retake));
        let held = fake.call();
        let still_held = fake.call();
        assert!(held || !still_held, "came back by itself");
        let taken = thread.join().unwrap();
        assert_ne!(fake.call(), taken, "two hold the P, or nobody");
    });
}

#[test]
fn loom_retake_against_pin() {
    retake_against_pin(retake);
}

#[test]
#[should_panic]
fn loom_seeded_bug_retake_without_a_look_at_the_flag_is_found() {
    retake_against_pin(retake_seeded);
}

/// The same while another M, which changes the number of Ps, wishes the slice to end.
#[test]
fn loom_retake_against_pin_and_a_wish() {
    loom::model(|| {
        let fake = fake();
        let (other, resizer) = (Arc::clone(&fake), Arc::clone(&fake));
        let sysmon = thread::spawn(move || sysmon(&other, retake));
        let resizer = thread::spawn(move || resizer.hold.preempt());
        let held = fake.call();
        resizer.join().unwrap();
        let taken = sysmon.join().unwrap();
        assert!(held || taken, "nobody holds the P");
        assert_ne!(fake.call(), taken, "two hold the P, or nobody");
    });
}

/// The M passes the P on and gets it back: a `Retaking` of before is void then.
fn retake_against_laying_down(pin: fn(&Pin)) {
    loom::model(move || {
        let fake = fake();
        let other = Arc::clone(&fake);
        let thread = thread::spawn(move || sysmon(&other, retake));
        pin(&fake.pin);
        if fake.has_p() {
            fake.hold.lay_down();
            fake.touch();
            fake.hold.take_up(Token::of(M));
            fake.touch();
        }
        fake.pin.clear();
        let held = fake.call();
        let taken = thread.join().unwrap();
        assert!(held || taken, "nobody holds the P");
        assert_ne!(fake.call(), taken, "two hold the P, or nobody");
    });
}

#[test]
fn loom_retake_against_laying_down() {
    retake_against_laying_down(Pin::set);
}

#[test]
#[should_panic]
fn loom_seeded_bug_laying_down_without_the_flag_is_found() {
    retake_against_laying_down(|_| ());
}

/// The M is in a blocking call and comes back, while sysmon takes the P from the call, or from the
/// slice that follows.
fn retake_against_blocking_exit(end_blocking: fn(&Hold, Token) -> bool) {
    loom::model(move || {
        let fake = fake();
        let token = Token::of(M);
        fake.pin.set();
        fake.touch();
        assert!(fake.hold.begin_blocking(token));
        fake.pin.clear();
        let other = Arc::clone(&fake);
        let take = |fake: &Fake| fake.hold.take_blocking(M) || retake(fake);
        let thread = thread::spawn(move || sysmon(&other, take));
        fake.pin.set();
        let back = end_blocking(&fake.hold, token);
        if back {
            fake.touch();
        } else {
            assert_eq!(fake.hold.look(token), Look::Lost);
        }
        fake.pin.clear();
        let taken = thread.join().unwrap();
        assert!(back || taken, "nobody holds the P");
        assert_ne!(fake.call(), taken, "two hold the P, or nobody");
    });
}

#[test]
fn loom_retake_against_blocking_exit() {
    retake_against_blocking_exit(Hold::end_blocking);
}

#[test]
#[should_panic]
fn loom_seeded_bug_blocking_exit_without_cas_is_found() {
    retake_against_blocking_exit(Hold::end_blocking_seeded);
}

/// The M goes into a blocking call just as sysmon, which saw an earlier one, takes its P.
#[test]
fn loom_retake_against_blocking_entry() {
    loom::model(|| {
        let fake = fake();
        let token = Token::of(M);
        let other = Arc::clone(&fake);
        let take = |fake: &Fake| fake.hold.take_blocking(M) || retake(fake);
        let thread = thread::spawn(move || sysmon(&other, take));
        fake.pin.set();
        // As `blocking::begin`: until the word lets the M in, or the P is lost.
        let entered = loop {
            if fake.hold.begin_blocking(token) {
                break true;
            }
            if !fake.has_p() {
                break false;
            }
            fake.touch();
        };
        fake.pin.clear();
        fake.pin.set();
        let back = fake.hold.end_blocking(token);
        if back {
            fake.touch();
        }
        fake.pin.clear();
        assert!(entered || !back);
        let taken = thread.join().unwrap();
        assert!(back || taken, "nobody holds the P");
        assert_ne!(fake.call(), taken, "two hold the P, or nobody");
    });
}

/// The M is in a blocking call and comes back, while two others want its P: sysmon, and an M that
/// has none.
fn takers_of_a_blocking_p(take: fn(&Hold, usize) -> bool) {
    loom::model(move || {
        let fake = fake();
        let token = Token::of(M);
        fake.pin.set();
        assert!(fake.hold.begin_blocking(token));
        fake.pin.clear();
        let taker = |heir: usize| {
            let other = Arc::clone(&fake);
            thread::spawn(move || {
                let taken = take(&other.hold, M);
                if taken {
                    other.touch();
                    other.hold.take_up(Token::of(heir));
                    other.touch();
                }
                taken
            })
        };
        let takers = [taker(M + 1), taker(M + 2)];
        fake.pin.set();
        let back = fake.hold.end_blocking(token);
        if back {
            fake.touch();
        }
        fake.pin.clear();
        let taken = takers.map(|taker| taker.join().unwrap());
        let holders = usize::from(back) + taken.iter().filter(|taken| **taken).count();
        assert_eq!(holders, 1, "{back} {taken:?}");
    });
}

#[test]
fn loom_takers_of_a_blocking_p() {
    takers_of_a_blocking_p(Hold::take_blocking);
}

#[test]
#[should_panic]
fn loom_seeded_bug_taking_without_cas_is_found() {
    takers_of_a_blocking_p(Hold::take_blocking_seeded);
}

/// The M takes its P itself from the long call that begins, to pass it on, while sysmon takes it.
#[test]
fn loom_retake_against_passing_on() {
    loom::model(|| {
        let fake = fake();
        let token = Token::of(M);
        let other = Arc::clone(&fake);
        let take = |fake: &Fake| fake.hold.take_blocking(M) || retake(fake);
        let thread = thread::spawn(move || sysmon(&other, take));
        fake.pin.set();
        let mut passed_on = false;
        if fake.hold.begin_blocking(token) {
            passed_on = fake.hold.take_blocking(M);
        }
        if passed_on {
            fake.touch();
            // By the M that finds it on the idle list.
            fake.hold.take_up(Token::of(M + 2));
            fake.touch();
        }
        fake.pin.clear();
        fake.call();
        let taken = thread.join().unwrap();
        let held = fake.call();
        let holders = [held, taken, passed_on].map(usize::from);
        assert_eq!(holders.iter().sum::<usize>(), 1, "{holders:?}");
    });
}
