//! What the runtime asks of the kernel, each call in one place.

#[cfg(not(gopark_loom))]
pub(crate) mod asymmetric;
pub(crate) mod clock;
#[cfg(not(gopark_loom))]
pub(crate) mod fork;
#[cfg(not(gopark_loom))]
pub(crate) mod futex;
#[cfg(not(gopark_loom))]
pub(crate) mod stderr;
#[cfg(not(gopark_loom))]
pub(crate) mod thread;
#[cfg(not(gopark_loom))]
pub(crate) mod thread_state;
