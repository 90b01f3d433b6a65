//! A model of a P that is passed on while a thief notes haste on it: who is next there is seen.

use loom::sync::Arc;
use loom::thread;

use super::Haste;
use crate::queue::local::LocalQueue;
use crate::sched::hold::{Hold, Seen, Token};
use crate::sched::idle::searching::searching;
use crate::sched::idle::{Idle, Wake};

/// The M that has the P at first, and the thief.
const M: usize = 0;
const THIEF: usize = 1;
const NEXT: usize = 64;

type Of = fn(&Haste, Seen) -> Option<usize>;

struct Fake {
    hold: Hold,
    queue: LocalQueue,
    haste: Haste,
    idle: Idle,
    of: Of,
}

/// M runs on P 0; the thief holds P 1 and searches.
fn fake(of: Of) -> Arc<Fake> {
    let fake = Fake {
        hold: Hold::new(),
        queue: LocalQueue::new(false),
        haste: Haste::new(),
        idle: searching(2, 2, 4),
        of,
    };
    fake.hold.take_up(Token::of(M));
    // M has found something.
    fake.idle.found();
    Arc::new(fake)
}

impl Fake {
    fn wants_help(&self) -> bool {
        self.queue.peek_next() != 0 && (self.of)(&self.haste, self.hold.seen()).is_none()
    }

    /// The M makes somebody next, and then its P is passed on, as sysmon does when it blocks. What
    /// was woken.
    fn work(&self) -> [Option<Wake>; 2] {
        assert_eq!(self.queue.put_next(NEXT), None);
        let first = match self.haste.is_of(M) {
            true => None,
            false => self.idle.submit(),
        };
        self.hold.lay_down();
        self.idle.release(0);
        let second = match self.wants_help() {
            true => self.idle.submit(),
            false => None,
        };
        [first, second]
    }

    /// The thief, which saw M switch, notes that late, finds nothing and goes to sleep: whether it
    /// saw work before.
    fn search(&self) -> bool {
        if let Seen::Running { m, .. } = self.hold.seen() {
            self.haste.note(m);
        }
        self.idle.announce(THIEF, Some(1), true, false);
        self.wants_help()
    }
}

fn note_against_hand_off(of: Of) {
    loom::model(move || {
        let fake = fake(of);
        let thief = {
            let fake = Arc::clone(&fake);
            thread::spawn(move || fake.search())
        };
        let woken = fake.work();
        let saw = thief.join().unwrap();
        let is_served = saw || woken.iter().any(Option::is_some);
        assert!(is_served, "somebody is next on a free P, and all sleep");
    });
}

#[test]
fn loom_note_against_hand_off() {
    note_against_hand_off(Haste::of);
}

#[test]
#[should_panic(expected = "all sleep")]
fn loom_seeded_bug_haste_of_a_free_p_is_found() {
    note_against_hand_off(Haste::of_seeded);
}
