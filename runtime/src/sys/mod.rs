//! What the runtime asks of the kernel, each call in one place.

pub(crate) mod asymmetric;
pub(crate) mod clock;
pub(crate) mod fork;
pub(crate) mod futex;
pub(crate) mod thread;
