//! Atomics and locks under the model checker: loom's.

pub(crate) use loom::sync::Mutex;
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
