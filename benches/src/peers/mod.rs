//! Who does the work.
//!
//! A peer knows how an operation is done and how to time it; it does not know how often, in which
//! turn, or under which name it is reported. Set-up (threads, runtimes, first hand-overs) lies
//! outside of every interval.

pub(crate) mod accounts;
pub(crate) mod baton;
pub(crate) mod blocked;
pub(crate) mod channels;
pub(crate) mod connections;
pub(crate) mod echo;
pub(crate) mod goroutines;
pub(crate) mod hogs;
pub(crate) mod kinds;
pub(crate) mod latencies;
pub(crate) mod locks;
pub(crate) mod may;
pub(crate) mod parked;
pub(crate) mod raw;
pub(crate) mod ready;
pub(crate) mod recursion;
pub(crate) mod smol;
pub(crate) mod sockets;
pub(crate) mod sysmon;
pub(crate) mod tasks;
pub(crate) mod threads;
pub(crate) mod timers;
