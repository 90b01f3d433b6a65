//! sysmon: the thread that watches the others, and what it may do to them.

mod behind;
pub(crate) mod long_slice;
pub(crate) mod monitor;
pub(crate) mod preempt;
pub(crate) mod rounds;
pub(crate) mod suspend;
pub(crate) mod watch;
