//! The public surface: thin, documented, without protocols of its own.

pub mod attributes;
pub(crate) mod builder;
pub(crate) mod debug;
pub(crate) mod future;
pub(crate) mod goroutine;
pub(crate) mod handle;
pub(crate) mod hooks;
pub(crate) mod join;
pub(crate) mod join_set;
pub(crate) mod leaked;
pub(crate) mod local;
pub(crate) mod procs;
pub mod raw;
pub(crate) mod runtime;
pub(crate) mod scope;
pub(crate) mod spawn;
pub(crate) mod thread;
