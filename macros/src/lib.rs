//! `#[gopark::main]` and `#[gopark::test]`: a function is the first goroutine of a runtime.
//!
//! The crate is re-exported by `gopark`; its paths are those of `gopark`. It depends on nothing:
//! the two attributes read a handful of tokens, and a build of `gopark` should not pay for a
//! parser of the whole language.

mod arguments;
mod error;
mod expand;
mod function;

use proc_macro::TokenStream;

/// Runs the function as the first goroutine of a new runtime: for `main`.
///
/// ```
/// #[gopark::main(unsafe(no_thread_bound_state_across_suspensions))]
/// fn main() -> Result<(), std::num::ParseIntError> {
///     let worker = gopark::spawn(|| "42".parse::<u32>());
///     assert_eq!(worker.join().unwrap()?, 42);
///     Ok(())
/// }
/// ```
///
/// When the function returns, the other goroutines are unwound, as by
/// [`gopark::run`](../gopark/fn.run.html), and its value is that of the attributed function. Its
/// body is not inside an `unsafe` block.
///
/// # The contract
///
/// `unsafe(no_thread_bound_state_across_suspensions)` is a promise about the whole program, which
/// the compiler cannot check. Goroutines move between OS threads whenever they may suspend, so no
/// code that runs on them keeps across such a call what belongs to the thread: a borrow of a
/// thread-local, what was taken out of one and may not be sent to another thread, a guard such as
/// std's `MutexGuard`. The page [`gopark::contract`](../gopark/contract/index.html) has it in full.
/// The attribute cannot be used without the promise:
///
/// ```compile_fail
/// #[gopark::main]
/// fn main() {}
/// ```
///
/// The lint `unsafe_code` finds the word: where it is denied, the function says
/// `#[expect(unsafe_code, reason = "...")]`; where it is forbidden, the attribute cannot be used,
/// as every other way to start a runtime.
///
/// # Arguments
///
/// | argument | is |
/// |---|---|
/// | `procs`, `stack_limit`, `stack_window`, `max_threads` | a number |
/// | `thread_name` | a text |
/// | `time_slice`, `thread_keep_alive` | a `std::time::Duration` |
/// | `preemption` | a `gopark::runtime::Preemption` |
/// | `exit_grace` | how long the end waits, a `Duration` |
/// | `on_end` | a `gopark::runtime::OnEnd` |
/// | `deadlock` | a `gopark::runtime::Deadlock` |
/// | `unhandled_panic` | a `gopark::runtime::UnhandledPanic` |
/// | `crate` | the path of gopark, if the program knows it by another name |
///
/// Each but the last is given to the method of that name of
/// [`runtime::Builder`](../gopark/runtime/struct.Builder.html). Any expression will do.
///
/// ```
/// use std::time::Duration;
///
/// #[gopark::main(
///     unsafe(no_thread_bound_state_across_suspensions),
///     procs = 2,
///     stack_limit = 64 << 10,
///     time_slice = Duration::from_millis(5),
/// )]
/// fn main() {
///     assert_eq!(gopark::procs(), 2);
/// }
/// ```
///
/// # Panics
/// The function panics with the payload of a panic of its body, and when the runtime cannot be
/// built: with the text of [`Builder::build`](../gopark/runtime/struct.Builder.html#method.build).
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::attribute(expand::Kind::Main, arguments, item)
}

/// Runs a test as the first goroutine of a runtime of its own.
///
/// ```
/// #[gopark::test(unsafe(no_thread_bound_state_across_suspensions), procs = 1)]
/// fn a_message_arrives() {
///     let (s, r) = gopark::chan::bounded(0);
///     gopark::go(move || s.send(7).unwrap());
///     assert_eq!(r.recv(), Ok(7));
/// }
/// # fn main() {}
/// ```
///
/// It is a `#[test]`, and takes the same attributes (`#[should_panic]`, `#[ignore]`) and return
/// types. The promise and the arguments are those of [`main`](macro@main): the promise is about all
/// that the test runs.
///
/// # Panics
/// The test panics with the payload of a panic of its body, and when the runtime cannot be built.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::attribute(expand::Kind::Test, arguments, item)
}
