//! The scheduler: G, M and P. Start with [`README.md`](README.md) beside this file.

#[cfg(not(gopark_loom))]
pub(crate) mod beat;
#[cfg(not(gopark_loom))]
pub(crate) mod birth;
#[cfg(not(gopark_loom))]
pub(crate) mod blocking;
#[cfg(not(gopark_loom))]
pub(crate) mod bound;
#[cfg(not(gopark_loom))]
pub(crate) mod call_sites;
pub(crate) mod claims;
#[cfg(not(gopark_loom))]
pub(crate) mod contract;
#[cfg(not(gopark_loom))]
pub(crate) mod entry;
#[cfg(not(gopark_loom))]
pub(crate) mod find;
#[cfg(not(gopark_loom))]
pub(crate) mod frames;
pub(crate) mod gate;
#[cfg(not(gopark_loom))]
pub(crate) mod global;
pub(crate) mod grant;
#[cfg(not(gopark_loom))]
pub(crate) mod hand_off;
pub(crate) mod haste;
#[cfg(not(gopark_loom))]
pub(crate) mod header;
pub(crate) mod hold;
#[cfg(not(gopark_loom))]
pub(crate) mod hooks;
pub(crate) mod idle;
#[cfg(not(gopark_loom))]
pub(crate) mod interrupt;
#[cfg(not(gopark_loom))]
pub(crate) mod large;
#[cfg(not(gopark_loom))]
pub(crate) mod launch;
pub(crate) mod lists;
#[cfg(not(gopark_loom))]
pub(crate) mod locals;
#[cfg(not(gopark_loom))]
pub(crate) mod lsda;
#[cfg(not(gopark_loom))]
pub(crate) mod machine;
#[cfg(not(gopark_loom))]
pub(crate) mod netpoll;
#[cfg(not(gopark_loom))]
pub(crate) mod packet;
#[cfg(not(gopark_loom))]
pub(crate) mod panic_count;
#[cfg(not(gopark_loom))]
pub(crate) mod panics;
#[cfg(not(gopark_loom))]
pub(crate) mod park;
#[cfg(not(gopark_loom))]
pub(crate) mod place;
#[cfg(not(gopark_loom))]
pub(crate) mod processor;
#[cfg(not(gopark_loom))]
pub(crate) mod rest;
#[cfg(not(gopark_loom))]
pub(crate) mod roster;
#[cfg(not(gopark_loom))]
pub(crate) mod run;
#[cfg(not(gopark_loom))]
pub(crate) mod seed;
pub(crate) mod seedbed;
#[cfg(not(gopark_loom))]
pub(crate) mod shared;
#[cfg(not(gopark_loom))]
pub(crate) mod thread_stack;
#[cfg(not(gopark_loom))]
pub(crate) mod timed;
#[cfg(not(gopark_loom))]
pub(crate) mod timers;
pub(crate) mod turn;

#[cfg(not(gopark_loom))]
pub(crate) mod service;
#[cfg(not(gopark_loom))]
pub(crate) mod sysmon;
