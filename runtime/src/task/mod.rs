//! The words of a goroutine: pure state, which decides and leaves the doing to `sched`.
//!
//! The header `G` (`sched/header.rs`) lies at the top of the goroutine's own stack, so that the
//! stack pointer tells whose stack it is. Who may touch what:
//!
//! | field of `G`                     | touched by                                                 |
//! |----------------------------------|------------------------------------------------------------|
//! | `state`, `wait_word`             | anybody, through their transitions                         |
//! | `shared`                         | anybody, with an id to check `state` against               |
//! | everything else                  | the owner: see the phases in `state.rs`                    |
//!
//! A handle to a goroutine is the header's address and the goroutine's id. Headers are never
//! unmapped and ids are never used twice, so a handle to a goroutine that has ended finds another
//! id (or zero) and does nothing: no reference counts. One that was spawned while no stack was free
//! nearby has no header before its first turn: its handle is the address of its *seed*, which knows
//! the header later, and the same holds (`seed_state.rs`).

#[cfg(not(gopark_loom))]
pub(crate) mod name;
pub(crate) mod packet_state;
pub(crate) mod reason;
pub(crate) mod scope_state;
pub(crate) mod seed_state;
pub(crate) mod state;
pub(crate) mod wait_word;
#[cfg(not(gopark_loom))]
pub(crate) mod whence;
