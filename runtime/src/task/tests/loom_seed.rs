//! Models of seeds: what is asked of a goroutine at its birth is not lost, and never reaches
//! another.

use loom::sync::Arc;
use loom::thread;

use super::{Ask, Asked, Asks, BORN, ID_SHIFT, PHASE, SeedState};
use crate::shim::Ordering;
use crate::task::state::{State, Wake};

const ID: u64 = 7;
const NEXT_ID: u64 = 8;
/// "Addresses" of the headers of the model.
const HEADERS: [usize; 2] = [64, 128];

/// A seed and the headers that its two goroutines get, one after the other. Not the same: a store
/// of `State::end` against a late waker's CAS is more than loom orders rightly.
struct Fake {
    seed: SeedState,
    headers: [State; 2],
}

/// The steps that a seeded bug replaces.
#[derive(Clone, Copy)]
struct Variant {
    bear: fn(&SeedState, u64, usize) -> Asks,
    ask: fn(&SeedState, u64, Ask) -> Asked,
}

const REAL: Variant = Variant {
    bear: SeedState::bear,
    ask: SeedState::ask,
};

fn fake() -> Arc<Fake> {
    let fake = Fake {
        seed: SeedState::new(),
        headers: [State::new(0), State::new(0)],
    };
    fake.seed.plant(ID);
    Arc::new(fake)
}

impl Fake {
    /// The M: the goroutine gets a header, and whatever was asked.
    fn bear(&self, id: u64, variant: Variant) {
        let nth = (id - ID) as usize;
        self.headers[nth].start(id);
        for ask in (variant.bear)(&self.seed, id, HEADERS[nth]).iter() {
            assert_eq!(ask, Ask::Token);
            assert_eq!(self.headers[nth].unpark(id), Wake::Done);
        }
    }

    /// A handle.
    fn unpark(&self, id: u64, variant: Variant) {
        if let Asked::Born(header) = (variant.ask)(&self.seed, id, Ask::Token) {
            let nth = HEADERS.iter().position(|at| *at == header);
            let nth = nth.expect("born without a header");
            assert_ne!(self.headers[nth].unpark(id), Wake::Enqueue);
        }
    }
}

fn ask_against_birth(variant: Variant) {
    loom::model(move || {
        let fake = fake();
        let other = Arc::clone(&fake);
        let m = thread::spawn(move || other.bear(ID, variant));
        fake.unpark(ID, variant);
        m.join().unwrap();
        assert!(fake.headers[0].take_token(), "an unpark was lost");
    });
}

#[test]
fn loom_ask_against_birth() {
    ask_against_birth(REAL);
}

#[test]
#[should_panic = "born without a header"]
fn loom_seeded_bug_birth_before_the_header_is_found() {
    ask_against_birth(Variant {
        bear: SeedState::bear_seeded,
        ..REAL
    });
}

#[test]
#[should_panic = "an unpark was lost"]
fn loom_seeded_bug_ask_in_two_steps_is_found() {
    ask_against_birth(Variant {
        ask: SeedState::ask_seeded,
        ..REAL
    });
}

fn late_ask_against_reuse(variant: Variant) {
    loom::model(move || {
        let fake = fake();
        let other = Arc::clone(&fake);
        let m = thread::spawn(move || {
            other.bear(ID, variant);
            other.headers[0].end();
            other.seed.end();
            other.seed.plant(NEXT_ID);
            other.bear(NEXT_ID, variant);
        });
        fake.unpark(ID, variant);
        m.join().unwrap();
        assert!(!fake.headers[1].take_token(), "an unpark reached another");
    });
}

#[test]
fn loom_late_ask_against_reuse() {
    late_ask_against_reuse(REAL);
}

#[test]
#[should_panic = "an unpark reached another"]
fn loom_seeded_bug_ask_of_whoever_is_there_is_found() {
    late_ask_against_reuse(Variant {
        ask: SeedState::ask_whoever_seeded,
        ..REAL
    });
}

impl SeedState {
    /// `bear` that says `Born` before there is a header: the bug that the model must find.
    fn bear_seeded(&self, id: u64, header: usize) -> Asks {
        // AcqRel and Relaxed as in the real one.
        let before = self.word.swap(id << ID_SHIFT | BORN, Ordering::AcqRel);
        self.header.store(header, Ordering::Relaxed);
        Asks(before)
    }

    /// `ask` as a load and a store: the bug that the model must find.
    fn ask_seeded(&self, id: u64, what: Ask) -> Asked {
        // Acquire as in the real one.
        let word = self.word.load(Ordering::Acquire);
        if word >> ID_SHIFT != id {
            return Asked::Gone;
        }
        if word & PHASE == BORN {
            return Asked::Born(self.header.load(Ordering::Relaxed));
        }
        // Release as in the real one.
        self.word.store(word | what as u64, Ordering::Release);
        Asked::Noted
    }

    /// `ask` that does not look at the id: the bug that the model must find.
    fn ask_whoever_seeded(&self, _id: u64, what: Ask) -> Asked {
        // Acquire as in the real one.
        let word = self.word.load(Ordering::Acquire);
        self.ask(word >> ID_SHIFT, what)
    }
}
