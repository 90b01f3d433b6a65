//! Large closures and results: how they pass without being copied from place to place.
//!
//! LLVM turns a local variable that is only copied into, and out of again, into one value in
//! registers, whatever its size: a vector of 32,768 elements, which it then takes apart in a time
//! that grows with the square of the size. A program does not notice, but a spawn of a closure that
//! gives back 32 KiB took ten seconds to compile.
//!
//! So a value above [`BYTES_MAX`] is in no such variable. A closure goes to the heap where it
//! enters the scheduler, and what passes on is the address. Each function here that takes or gives
//! a large value is not inlined: what it is called with has an address then, and stays in memory.

/// A larger closure does not lie on its goroutine's stack from the start, but in a box.
pub(crate) const BYTES_MAX: usize = 1024;
pub(crate) const ALIGN_MAX: usize = 64;

/// Whether values of this type pass by address.
pub(crate) const fn is_large<T>() -> bool {
    size_of::<T>() > BYTES_MAX || align_of::<T>() > ALIGN_MAX
}

/// The closure on the heap.
#[inline(never)]
pub(crate) fn boxed<F>(f: F) -> Box<F> {
    Box::new(f)
}

/// Calls a closure of [`boxed`], whose box is freed before.
#[inline(always)]
pub(crate) fn call_boxed<F, T>(f: Box<F>) -> T
where
    F: FnOnce() -> T,
{
    call(unboxed(f))
}

#[inline(never)]
#[expect(clippy::boxed_local, reason = "takes it out of its box")]
fn unboxed<F>(f: Box<F>) -> F {
    *f
}

/// Calls a closure where it, or its result, is large.
#[inline(always)]
pub(crate) fn call<F, T>(f: F) -> T
where
    F: FnOnce() -> T,
{
    if const { is_large::<F>() || is_large::<T>() } {
        call_apart(f)
    } else {
        f()
    }
}

#[inline(never)]
fn call_apart<F, T>(f: F) -> T
where
    F: FnOnce() -> T,
{
    f()
}
