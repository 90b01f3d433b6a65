//! What the attributes `gopark::main` and `gopark::test` call.

use std::io;

use crate::api::runtime::Runtime;

/// Runs the function under the attribute `what`, and ends the runtime.
///
/// # Panics
/// With the payload of a panic of `main`, and when there is no runtime, with its error.
#[doc(hidden)]
#[track_caller]
pub fn run<T>(what: &str, runtime: io::Result<Runtime>, main: impl FnOnce() -> T) -> T {
    match runtime {
        Ok(runtime) => runtime.run(main),
        Err(error) => panic!("{what}: the runtime cannot be built: {error}"),
    }
}
