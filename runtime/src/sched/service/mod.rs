//! What serves the scheduler beside it: its threads, chores, ends and reports.

pub(crate) mod chores;
pub(crate) mod deadlock;
pub(crate) mod listing;
pub(crate) mod metrics;
pub(crate) mod resize;
pub(crate) mod shutdown;
pub(crate) mod stuck;
pub(crate) mod threads;
pub(crate) mod trace;
pub(crate) mod trim;
