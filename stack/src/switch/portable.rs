//! The switch for architectures without assembly of ours, over corosensei.
//!
//! corosensei is asymmetric: a coroutine suspends to whoever resumed it. So a thread's own context
//! becomes a *hub*: it resumes the wanted coroutine, and a coroutine that wants another one
//! suspends with a request, which the hub carries out. A request for the hub's own context ends the
//! hub's loop. Two switches per switch; the contract of `mod.rs` is the same.
//!
//! A context whose entry has made its last switch is forgotten, never dropped: dropping a suspended
//! coroutine would unwind it.

#![expect(
    unsafe_code,
    reason = "drives corosensei's coroutines as symmetric contexts"
)]

use std::mem::ManuallyDrop;

use corosensei::{Coroutine, CoroutineResult, Yielder};

use super::Entry;
use super::call::Borrowed;

/// What a suspending coroutine wants its hub to do.
#[derive(Clone, Copy, Debug)]
struct Request {
    to: *mut Context,
    payload: *mut u8,
}

type Payload = *mut u8;
type Inner = Coroutine<Payload, Request, (), Borrowed>;

/// An execution that is not running.
pub struct Context {
    /// `None`: a thread on its own stack, that is, a hub.
    coroutine: Option<ManuallyDrop<Inner>>,
    /// Set by the coroutine when it first runs.
    yielder: *const Yielder<Payload, Request>,
    base: usize,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("is_hub", &self.coroutine.is_none())
            .finish()
    }
}

/// Does nothing here.
#[inline(always)]
pub fn prefetch(_address: *const u8) {}

/// Does nothing here.
///
/// # Safety
/// As everywhere.
#[inline(always)]
pub unsafe fn prefetch_frames(_context: *const Context) {}

impl Context {
    /// A context to save into.
    pub const fn empty() -> Context {
        Context {
            coroutine: None,
            yielder: std::ptr::null(),
            base: 0,
        }
    }

    /// Makes the first continuation call `entry(payload, arg)` on the stack `limit..top`.
    ///
    /// # Safety
    /// - `limit..top` is a stack that nobody else uses, with room for the frames of `entry`;
    /// - it stays until the last continuation of this context;
    /// - the context does not move from now on.
    pub unsafe fn prepare(&mut self, top: *mut u8, limit: *mut u8, entry: Entry, arg: *mut u8) {
        let base = top as usize & !15;
        let this: *mut Context = self;
        let stack = Borrowed {
            base,
            limit: limit as usize,
        };
        let body = move |yielder: &Yielder<Payload, Request>, payload: Payload| {
            // SAFETY: the context does not move, and this runs while it is being resumed.
            unsafe { (*this).yielder = yielder };
            // SAFETY: the caller of `prepare` gave an entry for this argument.
            unsafe { entry(payload, arg) }
        };
        // SAFETY: what the closure captures are raw addresses that outlive the coroutine.
        let inner = unsafe { Inner::with_stack_unchecked(stack, body) };
        self.coroutine = Some(ManuallyDrop::new(inner));
        self.yielder = std::ptr::null();
        self.base = base;
    }

    /// The base of the stack: corosensei does not tell its saved stack pointer, so nothing below
    /// may be taken for dead.
    pub fn stack_pointer(&self) -> usize {
        0
    }
}

/// Saves the caller into `from`, continues `to` with `payload`, and returns the payload of whoever
/// continues `from`.
///
/// # Safety
/// - `from` and `to` are valid; `to` was prepared, or saved by a switch, and not continued since;
/// - the context saved on a thread's own stack is continued on that thread only;
/// - nobody continues `from` before this switch has saved it, which is before `to` goes on;
/// - if `from` may be continued on another thread, the calling function is `#[inline(never)]` and
///   it and its callers keep no address of a thread-local across the call.
#[inline(never)]
pub unsafe fn switch(from: *mut Context, to: *mut Context, payload: *mut u8) -> *mut u8 {
    // SAFETY: `from` is valid; only its owner, who runs here, reads the field.
    let yielder = unsafe { (*from).yielder };
    if yielder.is_null() {
        // SAFETY: passed on; `from` is the context of this thread's own stack.
        return unsafe { hub(from, Request { to, payload }) };
    }
    // SAFETY: the yielder lives on the stack of the coroutine that is running this.
    unsafe { (*yielder).suspend(Request { to, payload }) }
}

/// Carries out requests until one names the hub itself.
///
/// # Safety
/// As for [`switch`], with `own` the context of this thread's own stack.
unsafe fn hub(own: *mut Context, mut request: Request) -> *mut u8 {
    while request.to != own {
        // SAFETY: `to` is valid, and suspended: nobody else refers to its coroutine now. The
        // borrow covers that field alone; the coroutine itself reads only `yielder`.
        let inner = unsafe { (*request.to).coroutine.as_mut() }.expect("hubs are thread-bound");
        request = match inner.resume(request.payload) {
            CoroutineResult::Yield(next) => next,
            CoroutineResult::Return(()) => unreachable!("an entry never returns"),
        };
    }
    request.payload
}
