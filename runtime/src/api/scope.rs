//! Goroutines that borrow.

use std::any::Any;
use std::fmt;
use std::future::IntoFuture;
use std::io;
use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::sync::Arc;

use crate::api::future::ScopedJoinFuture;
use crate::api::goroutine::Goroutine;
use crate::api::join::JoinHandle;
use crate::api::spawn::{Home, spawn_in};
use crate::fatal::no_unwind;
use crate::sched::frames::{self, Catch};
use crate::sched::header::G;
use crate::sched::interrupt::{self, Kind};
use crate::sched::launch::Options;
use crate::sched::packet::{Company, Outcome};
use crate::sched::park;
use crate::sched::shared::Shared;
use crate::sys::fork;
use crate::wait::children::Children;

/// Spawns goroutines that may borrow what lives longer than the call: all of them have ended when
/// it returns, also those whose handles were dropped or forgotten, and also when `f` panics.
/// [`std::thread::scope`] for goroutines.
///
/// ```
/// # // SAFETY: no thread-local borrows here.
/// # unsafe { gopark::run(|| {
/// let words = vec!["a", "b"];
/// let mut count = 0;
/// gopark::scope(|s| {
///     s.spawn(|| assert_eq!(words[0], "a"));
///     s.spawn(|| count += words.len());
/// });
/// assert_eq!(count, 2);
/// # }) }
/// ```
///
/// If the caller is cancelled, or its runtime is dropped, or a time limit reached, while it is in
/// `f` or waits for the goroutines, they are cancelled; when all have ended the caller unwinds. One
/// that neither waits nor yields holds that up.
///
/// What belongs to the closure cannot be borrowed: it ends before the goroutines do.
///
/// ```compile_fail,E0373
/// gopark::scope(|s| {
///     let number = 5;
///     s.spawn(|| println!("{number}"));
/// });
/// ```
///
/// # Panics
/// Outside a runtime (see [`Runtime::scope`](crate::runtime::Runtime::scope)), and in the closure
/// of a [`raw::park`](crate::raw::park). With the payload of a panic of `f`. When a goroutine of
/// the scope panicked whose panic nobody got by joining it; its being cancelled, or calling
/// [`exit`](crate::exit), does not count. See also [`Scope::cancel_on_panic`].
#[track_caller]
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let Some(g) = G::of_thread() else {
        panic!("gopark::scope called outside a runtime")
    };
    let shared = g.runtime().upgrade();
    scope_in(shared.expect("a running goroutine's runtime lives"), f)
}

/// The same, for goroutines of `shared`.
pub(crate) fn scope_in<'env, F, T>(shared: Arc<Shared>, f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    if let Some(g) = G::current() {
        park::assert_may_wait(g);
    }
    let scope = Scope {
        children: Children::new(),
        shared,
        scope: PhantomData,
        env: PhantomData,
    };
    let outcome = frames::catch(Catch::Scope, || f(&scope));
    end(&scope.children, outcome)
}

/// The end of a scope, whose closure is over: nothing leaves here before the children have ended.
fn end<T>(children: &Children, outcome: Outcome<T>) -> T {
    let outcome = outcome.map_err(|payload| match interrupt::kind(&*payload) {
        Kind::Panic => children.failed(payload),
        Kind::Exit => payload,
        Kind::Request => {
            children.cancel();
            payload
        }
    });
    let request = frames::catch(Catch::Scope, || children.wait()).err();
    if let Some(payload) = request {
        if fork::is_child() {
            // The goroutines are no more.
            resume_unwind(payload);
        }
        children.cancel();
        no_unwind(
            "a scope was left while its goroutines lived",
            || match G::current() {
                Some(g) => park::undisturbed(g, || children.wait()),
                None => children.wait(),
            },
        );
        return finish(children, outcome.and_then(|_| Err(payload)));
    }
    finish(children, outcome)
}

fn finish<T>(children: &Children, outcome: Outcome<T>) -> T {
    if let Some(payload) = children.take_panic() {
        resume_unwind(payload);
    }
    match outcome {
        Err(payload) => resume_unwind(payload),
        Ok(_) if children.has_panics() => panic!("a scoped goroutine panicked"),
        Ok(value) => value,
    }
}

/// Where goroutines are spawned that may borrow: see [`scope`].
pub struct Scope<'scope, 'env: 'scope> {
    children: Arc<Children>,
    shared: Arc<Shared>,
    /// Invariant: no child may take a shorter one for its own.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

impl<'scope> Scope<'scope, '_> {
    /// Spawns a goroutine that ends before the scope does.
    ///
    /// # Panics
    /// When no stack is free (`goroutine::Builder::spawn_scoped` gives an error instead).
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        match self.spawn_with(Options::here(), f) {
            Ok(handle) => handle,
            Err(error) => panic!("gopark::Scope::spawn: {error}"),
        }
    }

    #[track_caller]
    pub(crate) fn spawn_with<F, T>(
        &'scope self,
        options: Options,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let company = self.children.enter();
        let handle = spawn_in::<F, T>(Home::Runtime(&self.shared), options, f, Some(company))?;
        let (place, id) = handle.goroutine().place();
        self.children.add(place, id);
        Ok(ScopedJoinHandle {
            handle,
            children: &self.children,
        })
    }

    /// From now on the first panic of the scope, of a goroutine or of its closure, cancels all
    /// other goroutines of the scope, also those that are spawned later; when they have ended, the
    /// scope resumes that panic. Joining the goroutine that panicked gives
    /// [`Cancelled`](crate::Cancelled), as joining the others does: the panic is the scope's. The
    /// closure is not cancelled.
    pub fn cancel_on_panic(&self) {
        self.children.fail_fast();
    }

    /// Cancels all goroutines of the scope but the caller (see [`Goroutine::cancel`]), also those
    /// that are spawned later. The closure goes on.
    ///
    /// # Panics
    /// In a program that is built with `panic = "abort"`.
    #[track_caller]
    pub fn cancel(&self) {
        interrupt::assert_unwinds("gopark: cancelling a scope");
        self.children.cancel();
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("children", &self.children)
            .finish_non_exhaustive()
    }
}

/// The right to wait for a goroutine of a scope and to have its result. Dropping it detaches the
/// goroutine, which the scope still waits for.
pub struct ScopedJoinHandle<'scope, T> {
    handle: JoinHandle<T>,
    children: &'scope Children,
}

impl<T> ScopedJoinHandle<'_, T> {
    /// Waits for the end of the goroutine: see [`JoinHandle::join`]. Who gets a panic here has seen
    /// to it: the scope does not panic for that one.
    ///
    /// # Errors
    /// The payload of the panic.
    ///
    /// # Panics
    /// As [`JoinHandle::join`].
    pub fn join(self) -> Result<T, Box<dyn Any + Send>> {
        given(self.handle.join(), self.children)
    }

    /// Whether the goroutine has ended. `join` does not block then.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// The goroutine.
    pub fn goroutine(&self) -> &Goroutine {
        self.handle.goroutine()
    }

    /// Cancels the goroutine: see [`JoinHandle::cancel`].
    ///
    /// # Panics
    /// In a program that is built with `panic = "abort"`.
    #[track_caller]
    pub fn cancel(&self) {
        self.handle.cancel();
    }
}

/// An outcome that is given to who asked for it.
pub(crate) fn given<T>(outcome: Outcome<T>, children: &Children) -> Outcome<T> {
    if let Err(payload) = &outcome
        && interrupt::kind(&**payload) == Kind::Panic
    {
        children.told();
    }
    outcome
}

impl<'scope, T> IntoFuture for ScopedJoinHandle<'scope, T> {
    type Output = Result<T, Box<dyn Any + Send>>;
    type IntoFuture = ScopedJoinFuture<'scope, T>;

    fn into_future(self) -> ScopedJoinFuture<'scope, T> {
        ScopedJoinFuture::new(self.handle.into_future(), self.children)
    }
}

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedJoinHandle")
            .field("goroutine", self.goroutine())
            .finish_non_exhaustive()
    }
}
