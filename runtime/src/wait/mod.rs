//! Waiting in lists: what channels and locks have in common.
//!
//! Whoever must wait, a goroutine or a plain thread, leaves a node on its own stack in a list and
//! parks. Whoever can serve it takes the node out of the list and wakes it. The list is protected
//! by the lock of what is waited for; a wake is decided before that lock is released. So one that
//! stops waiting for another reason (a deadline, the end of its runtime, a time limit) takes the
//! lock and knows: either its node is still there, and nobody will wake it, or it was woken, and
//! has been.
//!
//! A node may be one of several of the same wait: those of a select have one ticket, as have a node
//! and a deadline. Who takes the ticket wakes; for the others the node is void.

#[cfg(not(gopark_loom))]
pub(crate) mod arrivals;
#[cfg(not(gopark_loom))]
pub(crate) mod children;
pub(crate) mod ends;
pub(crate) mod list;
#[cfg(not(gopark_loom))]
pub(crate) mod lock;
#[cfg(gopark_loom)]
#[path = "tests/loom_lock.rs"]
pub(crate) mod lock;
#[cfg(any(not(gopark_loom), test))]
pub(crate) mod lock_word;
#[cfg(not(gopark_loom))]
pub(crate) mod parker;
#[cfg(gopark_loom)]
#[path = "tests/loom_parker.rs"]
pub(crate) mod parker;
