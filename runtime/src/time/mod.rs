//! Sleeping, time limits, and functions that run later.

mod after_func;
mod interval;
mod sleep;
mod timeout;

pub use self::{
    after_func::{Timer, after_func},
    interval::{Interval, interval},
    sleep::{park_timeout, sleep, sleep_until},
    timeout::{Elapsed, timeout},
};
