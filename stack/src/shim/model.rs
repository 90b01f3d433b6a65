//! Atomics under the model checker: loom's.

pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
