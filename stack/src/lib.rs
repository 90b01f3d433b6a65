//! Growable stacks and the context switch under gopark: memory and registers, no scheduling.
//!
//! A stack starts at one resident page and grows in place, up to 1 GiB, as it is touched. All
//! stacks come from one reservation of address space; on Linux 6.13 and later none of them costs a
//! memory mapping. A [`Context`](switch::Context) is an execution that is not running, and
//! [`switch`](switch::switch) goes from one to another.
//!
//! What a stack costs, beside the pages that it touched, is page tables:
//!
//! | class  | limit  | slots         | page tables for each stack in use |
//! |--------|--------|---------------|-----------------------------------|
//! | large  | 1 GiB  | up to 32,768  | 8.2 KiB                           |
//! | medium | 16 MiB | up to 1 Mi    | 4.2 KiB                           |
//! | dense  | 64 KiB | the rest      | 264 B                             |
//!
//! Signals: SIGSEGV and SIGBUS are handled, and passed on to whoever handled them before, if they
//! are about no stack. SIGABRT is handled if nobody does: stacks come into the core dump then.
//! Threads need an alternate signal stack ([`AltStack`]; std's threads have a small one).
//!
//! Memory that is locked (`mlockall`) and this reservation exclude each other: with `MCL_FUTURE`
//! the first stack is refused, and `MCL_CURRENT` after it asks the kernel for all of the
//! reservation. `mlock` of single ranges is no trouble.
//!
//! Environment: `GOPARK_GUARD=mprotect` (or `markers`) chooses how guards are made;
//! `GOPARK_ARENA=BYTES` bounds the reservation.
//!
//! Linux only, x86_64 and aarch64.

#[cfg(not(target_os = "linux"))]
compile_error!("gopark-stack supports Linux only so far");

#[cfg(gopark_loom)]
#[cfg_attr(not(test), expect(dead_code, reason = "only the models use it here"))]
mod carving;
#[cfg(gopark_loom)]
#[cfg_attr(not(test), expect(dead_code, reason = "only the models use it here"))]
mod depot;
mod shim;

#[cfg(not(gopark_loom))]
mod arena;
#[cfg(not(gopark_loom))]
mod cache;
#[cfg(not(gopark_loom))]
mod carving;
#[cfg(not(gopark_loom))]
mod depot;
#[cfg(not(gopark_loom))]
mod fault;
#[cfg(not(gopark_loom))]
mod guard;
#[cfg(not(gopark_loom))]
mod layout;
#[cfg(not(gopark_loom))]
mod map;
#[cfg(not(gopark_loom))]
mod pages;
#[cfg(not(gopark_loom))]
mod promise;
#[cfg(not(gopark_loom))]
mod stack;
#[cfg(not(gopark_loom))]
mod stats;
#[cfg(not(gopark_loom))]
pub mod switch;

#[cfg(not(gopark_loom))]
pub use crate::{
    cache::StackCache,
    fault::altstack::AltStack,
    fault::chain::{Chained, Handler, Previous},
    fault::dump::include_stacks_in_dump,
    fault::report::{Describe, Line, Part, Running, set_describe, set_running},
    fault::{Intruder, intruder},
    guard::GuardKind,
    layout::WINDOW_BYTES_DEFAULT,
    layout::{Class, GUARD_BYTES, HEADER_BYTES, LIMIT_BYTES_MAX, LIMIT_BYTES_MIN, Slot},
    promise::Promise,
    stack::trim_below,
    stack::{
        GrowableStack, Stack, exceeded_at, header_at, headers, high_water_at, is_near, remaining_at,
    },
    stats::{Stats, accessible_bytes, resident_bytes, stats, trim},
};

#[cfg(all(test, not(gopark_loom)))]
#[path = "tests/stacks.rs"]
mod stacks_tests;
