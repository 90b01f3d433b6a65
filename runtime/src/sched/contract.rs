//! Contract mode: `GOPARK_DEBUG=contract` watches every goroutine, and looks at each suspension
//! whether the goroutine leaves something behind on its thread.
//!
//! A goroutine that has locked its thread takes the thread with it and is not checked. For one that
//! unwinds a panic would say nothing: the process ends with the text.

use super::hooks;
use super::machine::{Machine, pin, unpin};
use crate::sched::header::{G, Wait};
pub(crate) use crate::sys::thread_state::ThreadState;

/// `m` has dequeued `g` and will run it: the goroutine is watched from now on.
pub(crate) fn watch(m: &Machine, g: &G) {
    let at_rest = m.state_at_rest.take();
    m.state_at_rest
        .set(at_rest.or_else(|| Some(Box::new(ThreadState::now()))));
    if !g.is_watched() {
        g.set_watched(true);
    }
}

/// Whether the runtime of the running goroutine `g` is in contract mode.
pub(crate) fn is_on(g: &G) -> bool {
    let m = pin(g);
    let is_on = m.shared().config.contract;
    unpin(m);
    is_on
}

/// The running goroutine `g` is about to be suspended.
///
/// # Panics
/// When something is left behind on the thread.
pub(crate) fn check(g: &G, why: Wait) {
    if g.bound.get() != 0 || !is_on(g) {
        return;
    }
    let now = ThreadState::now();
    let m = pin(g);
    let at_rest = m.state_at_rest.take();
    let difference = at_rest.as_ref().and_then(|before| now.difference(before));
    m.state_at_rest.set(at_rest);
    unpin(m);
    if let Some(difference) = difference {
        hooks::break_off(g, why, &format!("it has {difference}"));
    }
}
