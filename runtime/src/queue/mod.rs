//! The queue of a P.

pub(crate) mod local;
