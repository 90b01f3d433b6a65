//! Hooks around the suspensions of a goroutine: for what belongs to a thread and must follow it.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::sched::header::{G, GRef};
use crate::sched::hooks::{self, Hooks, SharedHooks};

/// Calls `leave` before each suspension of the calling goroutine and `enter` when the suspension is
/// over, until the guard is dropped.
///
/// A suspension is what may continue the goroutine on another thread, or let other goroutines run
/// on this one: a park, a wait for a channel, lock, socket, timer or goroutine, a yield, and a
/// return from [`blocking`](crate::blocking) whose thread has lost its P. Both hooks run on the
/// goroutine: `leave` on the thread that it leaves, `enter` on the thread where it goes on. A wait
/// that turns out to be over at once may call both as well. Preemption by suspension of the thread
/// is no suspension of the goroutine, and calls none.
///
/// Several guards nest: `leave` of the newest is called first, `enter` of the oldest. Neither is
/// called by `on_switch` itself or by the drop of the guard, since the goroutine runs then. If the
/// goroutine ends and its guard was forgotten, `leave` is called. When a goroutine is cancelled in
/// a suspension, `enter` is called before or while it unwinds.
///
/// Goroutines that are spawned have no hooks; [`inherit_hooks`] and
/// [`Builder::inherit_hooks`](crate::goroutine::Builder::inherit_hooks) give them those of the
/// spawner. State of a hook that differs between goroutines belongs into a
/// [`goroutine_local!`](crate::goroutine_local). For a guard that borrows see [`with_entered`].
///
/// On a plain thread the guard does nothing: other code does not run on the thread in between.
/// Goroutines without hooks pay nothing for those of others.
///
/// # Panics
/// Not here. A hook that suspends its goroutine panics, and a panic of a hook aborts the process:
/// the wait around it may have been served already.
///
/// ```
/// use std::cell::Cell;
///
/// // A library keeps the current request in a thread-local.
/// thread_local!(static REQUEST: Cell<u32> = const { Cell::new(0) });
///
/// fn serve(id: u32) {
///     REQUEST.set(id);
///     let _follows = gopark::on_switch(move || REQUEST.set(id), || REQUEST.set(0));
///     gopark::yield_now();
///     assert_eq!(REQUEST.get(), id);
///     REQUEST.set(0);
/// }
///
/// # // SAFETY: no thread-local is borrowed across a suspension.
/// # unsafe { gopark::run(|| {
/// let all: Vec<_> = (1..100).map(|id| gopark::spawn(move || serve(id))).collect();
/// all.into_iter().for_each(|one| one.join().unwrap());
/// # }) }
/// ```
pub fn on_switch(
    enter: impl Fn() + Send + Sync + 'static,
    leave: impl Fn() + Send + Sync + 'static,
) -> SwitchGuard {
    let goroutine = G::current().map(|g| {
        let hooks: SharedHooks = Arc::new(Pair { enter, leave });
        (g.to_ref(), g.state.id(), hooks::add(g, hooks))
    });
    SwitchGuard {
        goroutine,
        _goroutine: PhantomData,
    }
}

struct Pair<E, L> {
    enter: E,
    leave: L,
}

impl<E: Fn(), L: Fn()> Hooks for Pair<E, L> {
    fn enter(&self) {
        (self.enter)();
    }

    fn leave(&self) {
        (self.leave)();
    }
}

/// Keeps the hooks of [`on_switch`]. Guards may be dropped in any order.
#[must_use = "the hooks are removed when this is dropped"]
pub struct SwitchGuard {
    goroutine: Option<(GRef, u64, u64)>,
    /// Belongs to its goroutine: not Send.
    _goroutine: PhantomData<*mut ()>,
}

impl fmt::Debug for SwitchGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SwitchGuard").finish_non_exhaustive()
    }
}

impl Drop for SwitchGuard {
    fn drop(&mut self) {
        // The guard may be carried out of its goroutine as a result: then the hooks are gone.
        let Some((owner, id, key)) = self.goroutine else {
            return;
        };
        if let Some(g) = G::current().filter(|g| g.to_ref() == owner && g.state.id() == id) {
            hooks::remove(g, key);
        }
    }
}

/// Runs `body` with what `enter` returns: a guard that is bound to a thread. It is dropped before
/// each suspension of the calling goroutine and made anew afterwards, and dropped at the end.
///
/// So it is for guards as those of tokio's `Handle::enter`, tracing's `set_default` and
/// OpenTelemetry's `Context::attach`, which may borrow. As long as `body` runs, `enter` must be
/// able to make the guard. The rules are those of [`on_switch`], and the guards of nested calls are
/// dropped and made in stack order. Spawned goroutines do not inherit it. On a plain thread the
/// guard is made once.
///
/// # Panics
/// With the panic of `body`, or of the first call of `enter`. A panic of a later one, or of the
/// guard's drop before a suspension, aborts the process.
///
/// ```
/// # // SAFETY: no thread-local is borrowed across a suspension.
/// # unsafe { gopark::run(|| {
/// # let handle = ();
/// # struct Entered<'a>(&'a ());
/// # let enter = || Entered(&handle);
/// // let enter = || handle.enter();
/// let answer = gopark::with_entered(enter, || {
///     gopark::yield_now();
///     42
/// });
/// assert_eq!(answer, 42);
/// # }) }
/// ```
pub fn with_entered<T, R>(enter: impl Fn() -> T, body: impl FnOnce() -> R) -> R {
    let entered = Entered {
        guard: RefCell::new(Some(enter())),
        enter,
    };
    match G::current() {
        Some(g) => hooks::with_borrowed(g, &entered, body),
        None => body(),
    }
}

struct Entered<T, E> {
    guard: RefCell<Option<T>>,
    enter: E,
}

impl<T, E: Fn() -> T> Hooks for Entered<T, E> {
    fn enter(&self) {
        let guard = (self.enter)();
        self.guard.replace(Some(guard));
    }

    fn leave(&self) {
        let guard = self.guard.take();
        drop(guard);
    }
}

/// Makes `f` run with the hooks that the calling goroutine has now: `enter` of each is called
/// before it, `leave` after it, and both around its suspensions.
///
/// It is for closures that are spawned, in whatever way. Only hooks of [`on_switch`] are inherited.
/// On a plain thread, and where the closure runs on one, there are none.
///
/// ```
/// # use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
/// static INSIDE: AtomicI32 = AtomicI32::new(1);
///
/// # // SAFETY: no thread-local is borrowed across a suspension.
/// # unsafe { gopark::run(|| {
/// let enter = || { INSIDE.fetch_add(1, Relaxed); };
/// let leave = || { INSIDE.fetch_sub(1, Relaxed); };
/// let _guard = gopark::on_switch(enter, leave);
/// let child = gopark::spawn(gopark::inherit_hooks(|| INSIDE.load(Relaxed)));
/// // This goroutine has left while it waits, and the other has entered.
/// assert_eq!(child.join().unwrap(), 1);
/// # }) }
/// ```
pub fn inherit_hooks<F, T>(f: F) -> impl FnOnce() -> T + use<F, T>
where
    F: FnOnce() -> T,
{
    let hooks = G::current().map(hooks::shared).unwrap_or_default();
    move || match G::current() {
        Some(g) => hooks::inside(g, hooks, f),
        None => f(),
    }
}
