//! Who is next behind a goroutine that does not switch, though other Ms were told not to come: H3
//! of `haste.rs`.

use crate::sched::processor::Processor;
use crate::sched::shared::Shared;

/// What a round saw of a P in haste.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Glance {
    next: usize,
    left: u32,
}

/// What this round sees, if somebody is next on a P in haste and an M could come. If that is what
/// the round `before` saw, the note is taken back, and the M comes.
pub(super) fn look(shared: &Shared, p: &Processor, before: Option<Glance>) -> Option<Glance> {
    let m = p.haste.of(p.hold.seen())?;
    let next = p.queue.peek_next();
    if next == 0 || shared.idle.idle_ps() == 0 {
        return None;
    }
    let left = shared.machines.get(m).beat.left();
    let glance = Glance { next, left };
    if before == Some(glance) {
        p.haste.take_back();
        shared.submitted();
    }
    Some(glance)
}
