//! What a goroutine does around its suspensions: hooks, and places where it must not suspend.
//!
//! Both belong to the goroutine and lie among its goroutine-locals. A bit of the life-cycle word
//! tells that there are some, so that a suspension without them pays nothing: the word is read
//! there anyway. A watched goroutine takes the slow way (`park.rs`), which holds an [`Away`].
//!
//! | moment                             | what runs                                     |
//! |------------------------------------|-----------------------------------------------|
//! | a suspension begins                | `leave` of each hook, the newest first        |
//! | it is over                         | `enter` of each hook, the oldest first        |
//! | the goroutine ends                 | `leave` of the hooks whose guard was forgotten |
//!
//! Hooks run on the goroutine's own stack, unpinned, before the park begins and after it is over.
//! So a hook may use the runtime; but a suspension inside a hook panics, and a panic in a hook
//! aborts: the wait around it may have been served already.
//!
//! # Invariants
//!
//! 1. `leave` and `enter` of a hook alternate, however suspensions nest.
//! 2. A borrowed hook is removed before what it borrows ends, since its guard is never given away.

#![expect(
    unsafe_code,
    reason = "calls hooks that are borrowed from a frame of their own goroutine"
)]

use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::Arc;

use super::bound;
use super::contract;
use super::thread_stack;
use crate::fatal::{self, no_unwind};
use crate::sched::header::{G, Wait};
use crate::sched::locals;

/// What runs around a suspension.
pub(crate) trait Hooks {
    /// The goroutine goes on, perhaps on another thread.
    fn enter(&self);
    /// The goroutine is about to be suspended.
    fn leave(&self);
}

/// Hooks that several goroutines may have.
pub(crate) type SharedHooks = Arc<dyn Hooks + Send + Sync>;

#[derive(Clone)]
enum Hook {
    Shared(SharedHooks),
    /// In a frame of the goroutine.
    Borrowed(NonNull<dyn Hooks>),
}

impl Hook {
    fn call(&self, what: fn(&dyn Hooks)) {
        match self {
            Hook::Shared(hooks) => what(&**hooks),
            // SAFETY: invariant 2.
            Hook::Borrowed(hooks) => what(unsafe { hooks.as_ref() }),
        }
    }
}

/// A hook of one goroutine.
struct Entry {
    key: u64,
    hook: Hook,
    /// `leave` has run, and `enter` not yet.
    is_away: bool,
}

/// What one goroutine has; the value of a goroutine-local.
#[derive(Default)]
struct Watch {
    hooks: RefCell<Vec<Entry>>,
    /// Guards that forbid suspensions.
    forbidden: RefCell<Vec<(u64, &'static Location<'static>)>>,
    keys: Cell<u64>,
    /// Suspensions that have begun and are not over.
    depth: Cell<u32>,
    in_hook: Cell<bool>,
}

/// Its address is the key of the goroutine-local.
static KEY: u8 = 0;

impl Watch {
    /// What the running goroutine `g` has, if anything.
    fn of(g: &G) -> Option<Rc<Watch>> {
        let value: Rc<dyn Any> = locals::get(g, ptr::from_ref(&KEY).addr())?;
        value.downcast().ok()
    }

    /// The running goroutine `g` is watched from now on.
    fn begin(g: &G) -> Rc<Watch> {
        let watch = Watch::of(g).unwrap_or_else(|| {
            let watch = Rc::new(Watch::default());
            locals::set(g, ptr::from_ref(&KEY).addr(), Rc::clone(&watch) as _);
            watch
        });
        g.set_watched(true);
        watch
    }

    fn new_key(&self) -> u64 {
        self.keys.set(self.keys.get() + 1);
        self.keys.get()
    }

    /// Something was removed: without anything left, suspensions of `g` are quick again.
    fn end_if_empty(&self, g: &G) {
        let is_empty = self.hooks.borrow().is_empty() && self.forbidden.borrow().is_empty();
        if is_empty && !contract::is_on(g) {
            g.set_watched(false);
        }
    }

    fn add(&self, hook: Hook) -> u64 {
        let key = self.new_key();
        self.hooks.borrow_mut().push(Entry {
            key,
            hook,
            is_away: false,
        });
        key
    }

    fn remove(&self, g: &G, key: u64) {
        // A hook that is dropped may use the runtime: not under the borrow.
        let removed = {
            let mut hooks = self.hooks.borrow_mut();
            let at = hooks.iter().rposition(|entry| entry.key == key);
            at.map(|at| hooks.remove(at))
        };
        drop(removed);
        self.end_if_empty(g);
    }

    /// The hook at `at`, if it is still to leave, or to enter: it counts as done.
    fn turn(&self, at: usize, away: bool) -> Option<Hook> {
        let mut hooks = self.hooks.borrow_mut();
        let entry = hooks.get_mut(at).filter(|entry| entry.is_away != away)?;
        entry.is_away = away;
        Some(entry.hook.clone())
    }

    fn call(&self, hook: &Hook, what: fn(&dyn Hooks)) {
        self.in_hook.set(true);
        no_unwind("a hook of gopark::on_switch panicked", || hook.call(what));
        self.in_hook.set(false);
    }

    fn leave(&self) {
        let count = self.hooks.borrow().len();
        for at in (0..count).rev() {
            if let Some(hook) = self.turn(at, true) {
                self.call(&hook, |hooks| hooks.leave());
            }
        }
    }

    fn enter(&self) {
        let mut at = 0;
        while at < self.hooks.borrow().len() {
            if let Some(hook) = self.turn(at, false) {
                self.call(&hook, |hooks| hooks.enter());
            }
            at += 1;
        }
    }

    /// Why the goroutine must not be suspended now.
    fn objection(&self) -> Option<String> {
        if self.in_hook.get() {
            return Some(String::from("it is in a hook of gopark::on_switch"));
        }
        let forbidden = self.forbidden.borrow();
        let (_, at) = forbidden.last()?;
        Some(format!("forbid_suspend at {at} forbids it"))
    }
}

/// The suspension of a watched goroutine; dropped when it is over. Meanwhile the life-cycle word
/// does not tell that the goroutine is watched: what suspends inside takes the quick way.
#[must_use]
pub(crate) struct Away<'a>(&'a G);

impl Away<'_> {
    /// The running goroutine `g`, which is watched, is about to be suspended.
    ///
    /// # Panics
    /// When the goroutine must not be suspended now.
    pub(crate) fn begin(g: &G, why: Wait) -> Away<'_> {
        assert_may_suspend(g, why);
        contract::check(g, why);
        if let Some(watch) = Watch::of(g) {
            watch.depth.set(watch.depth.get() + 1);
            if watch.depth.get() == 1 {
                watch.leave();
            }
        }
        g.state.set_watched(false);
        Away(g)
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        self.0.state.set_watched(self.0.is_watched());
        if let Some(watch) = Watch::of(self.0) {
            // A watch that began during the suspension, in a closure of it, is at 0.
            let depth = watch.depth.get().saturating_sub(1);
            watch.depth.set(depth);
            if depth == 0 {
                watch.enter();
            }
        }
    }
}

/// The running goroutine `g`, which is watched, is about to be suspended, or to begin what ends
/// with a wait that must not fail.
///
/// # Panics
/// When the goroutine must not be suspended now.
pub(crate) fn assert_may_suspend(g: &G, why: Wait) {
    if let Some(objection) = Watch::of(g).and_then(|watch| watch.objection()) {
        break_off(g, why, &objection);
    }
}

/// Ends a call of the running goroutine `g` that suspends where it must not.
///
/// # Panics
/// Always, or aborts where an unwinding would be unsound.
#[cold]
pub(crate) fn break_off(g: &G, why: Wait, objection: &str) -> ! {
    let call = match why {
        Wait::None => "yield",
        why => Wait::TEXTS[why as usize],
    };
    let text = format!(
        "goroutine {} suspends ({call}) at {}, but {objection}; see gopark::contract",
        g.state.id(),
        place(g)
    );
    if g.state.is_deaf() || std::thread::panicking() {
        // The caller lent what it has to others, and cannot unwind before they are done.
        fatal::die(format_args!("{text}"));
    }
    panic!("gopark: {text}");
}

/// Where the running goroutine `g` called into gopark, as far as its frames tell.
fn place(g: &G) -> String {
    let trace = Backtrace::force_capture();
    // Names of frames need a deep stack, which this one may not be.
    let trace = match G::current() {
        Some(_) => bound::no_preempt(g, || thread_stack::call(g, || trace.to_string())),
        // The caller may be on the thread's stack already.
        None => trace.to_string(),
    };
    caller(&trace).unwrap_or_else(|| String::from("an unknown place"))
}

/// The first frame of a trace that belongs to the program, with its place in the source.
fn caller(trace: &str) -> Option<String> {
    const OURS: [&str; 7] = [
        "gopark::",
        "lock_api::",
        "std::",
        "core::",
        "alloc::",
        "__",
        "unknown>",
    ];
    let sources = file!().trim_end_matches("sched/hooks.rs");
    let files = [sources, "/rustc/", "/lock_api-"];
    let mut lines = trace.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        let Some((number, name)) = line.split_once(": ") else {
            continue;
        };
        let name = name.trim();
        let root = name.trim_start_matches('<');
        let is_frame = number.parse::<u32>().is_ok();
        let at = lines.peek().and_then(|next| next.strip_prefix("at "));
        // Names of inlined frames may lack their crate: the file tells.
        let is_of_ours = at.is_some_and(|at| files.iter().any(|ours| at.contains(ours)));
        if !is_frame || is_of_ours || OURS.iter().any(|ours| root.starts_with(ours)) {
            continue;
        }
        return Some(at.map_or_else(|| name.to_owned(), |at| format!("{at} ({name})")));
    }
    None
}

/// Gives the running goroutine `g` hooks: the key for [`remove`].
pub(crate) fn add(g: &G, hooks: SharedHooks) -> u64 {
    Watch::begin(g).add(Hook::Shared(hooks))
}

/// Takes hooks of the running goroutine `g`, if they are still there.
pub(crate) fn remove(g: &G, key: u64) {
    if let Some(watch) = Watch::of(g) {
        watch.remove(g, key);
    }
}

/// Runs `f` on the running goroutine `g` with hooks that are borrowed.
pub(crate) fn with_borrowed<T>(g: &G, hooks: &dyn Hooks, f: impl FnOnce() -> T) -> T {
    struct Remove<'a>(&'a G, u64);
    impl Drop for Remove<'_> {
        fn drop(&mut self) {
            remove(self.0, self.1);
        }
    }
    let hooks: NonNull<dyn Hooks + '_> = NonNull::from(hooks);
    // SAFETY: only the lifetime changes; invariant 2: the hook is removed before this returns.
    let hooks =
        unsafe { std::mem::transmute::<NonNull<dyn Hooks + '_>, NonNull<dyn Hooks>>(hooks) };
    let _remove = Remove(g, Watch::begin(g).add(Hook::Borrowed(hooks)));
    f()
}

/// The shared hooks of the running goroutine `g`, the oldest first.
pub(crate) fn shared(g: &G) -> Vec<SharedHooks> {
    let Some(watch) = Watch::of(g) else {
        return Vec::new();
    };
    let hooks = watch.hooks.borrow();
    let shared = hooks.iter().filter_map(|entry| match &entry.hook {
        Hook::Shared(hooks) => Some(Arc::clone(hooks)),
        Hook::Borrowed(_) => None,
    });
    shared.collect()
}

/// Runs `f` on the running goroutine `g` inside hooks of another: they enter before and leave
/// afterwards.
pub(crate) fn inside<T>(g: &G, hooks: Vec<SharedHooks>, f: impl FnOnce() -> T) -> T {
    struct Inside<'a>(&'a G, Rc<Watch>, Vec<u64>);
    impl Drop for Inside<'_> {
        fn drop(&mut self) {
            let Inside(g, watch, keys) = self;
            for key in keys.iter().rev() {
                let at = watch.hooks.borrow().iter().rposition(|e| e.key == *key);
                if let Some(hook) = at.and_then(|at| watch.turn(at, true)) {
                    watch.call(&hook, |hooks| hooks.leave());
                }
                watch.remove(g, *key);
            }
        }
    }
    if hooks.is_empty() {
        return f();
    }
    let watch = Watch::begin(g);
    let mut inside = Inside(g, Rc::clone(&watch), Vec::new());
    for hooks in hooks {
        let hook = Hook::Shared(hooks);
        inside.2.push(watch.add(hook.clone()));
        watch.call(&hook, |hooks| hooks.enter());
    }
    f()
}

/// Forbids the suspensions of the running goroutine `g`: the key for [`allow`].
pub(crate) fn forbid(g: &G, at: &'static Location<'static>) -> u64 {
    let watch = Watch::begin(g);
    let key = watch.new_key();
    watch.forbidden.borrow_mut().push((key, at));
    key
}

/// Undoes one [`forbid`] of the running goroutine `g`.
pub(crate) fn allow(g: &G, key: u64) {
    if let Some(watch) = Watch::of(g) {
        watch.forbidden.borrow_mut().retain(|(of, _)| *of != key);
        watch.end_if_empty(g);
    }
}

/// The closure of the running goroutine `g` is over: hooks whose guards were forgotten, or are
/// goroutine-locals, leave. The goroutine is not watched any more.
pub(crate) fn end(g: &G) {
    if let Some(watch) = Watch::of(g) {
        watch.leave();
        let hooks = watch.hooks.take();
        watch.forbidden.take();
        drop(hooks);
        watch.end_if_empty(g);
    }
}

#[cfg(test)]
#[path = "tests/hooks.rs"]
mod tests;
