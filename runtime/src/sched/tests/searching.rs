//! Where models of Ms that go to sleep begin.

use super::Idle;

/// `procs` Ps, of at most so many, and as many Ms, each with the P of its number; they search.
pub(crate) fn searching(procs: usize, procs_max: usize, threads_max: usize) -> Idle {
    let idle = Idle::new(procs, procs_max, threads_max);
    for n in 0..procs {
        let _ = idle.spare();
        let m = idle.next_thread().unwrap();
        assert_eq!((m, idle.join(m)), (n, Some(n)));
    }
    idle
}
