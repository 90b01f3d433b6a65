//! The scheduler: G, M and P. Start with [`README.md`](README.md) beside this file.

#[cfg(not(gopark_loom))]
pub(crate) mod bound;
#[cfg(not(gopark_loom))]
pub(crate) mod entry;
#[cfg(not(gopark_loom))]
pub(crate) mod find;
#[cfg(not(gopark_loom))]
pub(crate) mod header;
pub(crate) mod idle;
#[cfg(not(gopark_loom))]
pub(crate) mod machine;
#[cfg(not(gopark_loom))]
pub(crate) mod packet;
#[cfg(not(gopark_loom))]
pub(crate) mod park;
#[cfg(not(gopark_loom))]
pub(crate) mod processor;
#[cfg(not(gopark_loom))]
pub(crate) mod run;
#[cfg(not(gopark_loom))]
pub(crate) mod shared;
#[cfg(not(gopark_loom))]
pub(crate) mod shutdown;
