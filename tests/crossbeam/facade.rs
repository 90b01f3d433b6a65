//! gopark's channels under crossbeam-channel's name, for crossbeam-channel's own tests.
//!
//! `cargo xtask test crossbeam` builds this; see `xtask/src/crossbeam.rs`.

#![deny(unsafe_code)]

pub mod goroutines;

pub use gopark::chan::*;
pub use gopark::{select, select_biased};

/// What the suite makes a `select!` of its own of, in the grammar of std's old one.
#[macro_export]
macro_rules! crossbeam_channel_internal {
    ($($arms:tt)*) => {
        $crate::select! { $($arms)* }
    };
}
