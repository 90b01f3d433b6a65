//! The one place that knows whether the model checker is at work.
//!
//! Code whose interleavings are modelled takes its atomics and locks from here: std's in a
//! normal build, loom's under `--cfg gopark_loom`.

#[cfg(gopark_loom)]
mod model;
#[cfg(not(gopark_loom))]
mod real;

#[cfg(gopark_loom)]
pub(crate) use model::*;
#[cfg(not(gopark_loom))]
pub(crate) use real::*;
