//! What the suite uses of `std::thread` and of `crossbeam_utils::thread`, on goroutines.
//!
//! They live in one runtime of the process. A test itself stays on its plain thread, so both kinds
//! meet at each channel.

#![expect(unsafe_code, reason = "starts a runtime")]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use gopark::runtime::{Builder, Runtime};

pub use gopark::time::sleep;
pub use gopark::{JoinHandle, yield_now};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    // SAFETY: nothing in the suite holds a thread-local across a suspension.
    unsafe { Builder::new().build() }.expect("a runtime can be built")
});

/// `std::thread::spawn`.
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    RUNTIME.spawn(f)
}

/// `crossbeam_utils::thread::scope`; the goroutines' panics are as those of `gopark::scope`.
///
/// # Errors
/// The payload of a panic.
pub fn scope<'env, F, T>(f: F) -> Result<T, Box<dyn Any + Send>>
where
    F: for<'scope> FnOnce(Scope<'scope, 'env>) -> T,
{
    catch_unwind(AssertUnwindSafe(|| RUNTIME.scope(|scope| f(Scope(scope)))))
}

/// `crossbeam_utils::thread::Scope`.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'scope, 'env>(&'scope gopark::Scope<'scope, 'env>);

impl<'scope> Scope<'scope, '_> {
    /// Spawns a goroutine of the scope.
    pub fn spawn<F, T>(self, f: F) -> gopark::ScopedJoinHandle<'scope, T>
    where
        F: FnOnce(Self) -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.0.spawn(move || f(self))
    }
}
