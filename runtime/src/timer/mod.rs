//! The order of timers, apart from what they do.

pub(crate) mod heap;
