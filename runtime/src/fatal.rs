//! The end of a broken runtime, and warnings.
//!
//! Three kinds of failure: an error value for what the world does, a panic for misuse by the
//! program, and this for a state that must not exist: print what is known, abort.

use std::fmt;

/// Aborts the process when it is dropped: held while code runs whose panic nobody can take.
#[derive(Debug)]
pub(crate) struct AbortOnUnwind(pub(crate) &'static str);

impl Drop for AbortOnUnwind {
    #[expect(clippy::print_stderr, reason = "the process ends here")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("gopark: fatal: {}", self.0);
            std::process::abort();
        }
    }
}

/// Runs `f`; a panic in it aborts with `what`.
pub(crate) fn no_unwind<T>(what: &'static str, f: impl FnOnce() -> T) -> T {
    let _guard = AbortOnUnwind(what);
    f()
}

/// The kernel refuses what the first turn of a goroutine needs: as when a stack cannot grow.
#[cold]
pub(crate) fn no_stack(refusal: &std::io::Error) -> ! {
    print(format_args!(
        "gopark: fatal: no stack for the first turn of a goroutine: {refusal}\n"
    ));
    std::process::abort();
}

/// The kernel refuses a signal stack, without which no stack can grow.
#[cold]
pub(crate) fn no_signal_stack(refusal: &std::io::Error) -> ! {
    print(format_args!(
        "gopark: fatal: no signal stack for a thread that runs goroutines: {refusal}\n"
    ));
    std::process::abort();
}

/// Tells the person who runs the program something that the program cannot be told.
pub(crate) fn warn(text: fmt::Arguments<'_>) {
    print(format_args!("gopark: {text}\n"));
}

/// Prints a text to standard error, as far as that is possible.
pub(crate) fn print(text: fmt::Arguments<'_>) {
    let _ = std::io::Write::write_all(&mut std::io::stderr(), text.to_string().as_bytes());
}
