//! What users of gopark rely on, on real stacks and threads.

mod blocking;
mod cancel;
mod chan;
mod chan_ends;
mod chan_model;
mod edges;
mod ends;
mod examples;
mod fairness;
mod hogs;
mod join_set;
mod limits;
mod locals;
mod locking;
mod monitor;
// polling's own wait makes five system calls.
#[cfg(not(gopark_portable_poller))]
mod net_cost;
mod net_crowds;
mod net_deadlines;
mod net_edges;
mod net_faults;
mod net_limits;
mod net_pollable;
mod net_shared;
mod net_std;
mod net_unix;
mod panics;
mod parking;
mod procs;
mod scope;
mod scope_cancel;
mod scope_future;
mod select;
mod select_ready;
mod signals;
mod spawning;
mod stacks;
mod sync_locks;
mod sync_mutex;
mod sync_others;
mod timeouts;
mod timers;
mod timers_more;
mod tokens;
