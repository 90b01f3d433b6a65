//! The bare switch: into a coroutine and back.
#![expect(
    unsafe_code,
    reason = "drives gopark's context switch without a scheduler"
)]
//!
//! Three libraries do the same thing: resume a coroutine that suspends itself at once. gopark and
//! corosensei do it on the same kind of stack, so that only the switch differs; generator brings
//! its own stack.
//!
//! ```text
//!  caller ──resume──▶ coroutine        one round trip = there and back
//!         ◀─suspend──
//! ```

use std::cell::UnsafeCell;
use std::io;
use std::ptr;

use corosensei::stack::Stack as _;
use corosensei::{Coroutine, CoroutineResult};
use generator::{Gn, LocalGenerator};
use gopark_stack::GrowableStack;
use gopark_stack::switch::{Context, switch};

const STACK_BYTES: usize = 1 << 20;

/// The two ends of a gopark switch.
struct Ends {
    caller: UnsafeCell<Context>,
    coroutine: UnsafeCell<Context>,
}

/// gopark's `switch`, as the scheduler uses it.
pub(crate) struct GoparkRaw {
    // Boxed: the coroutine holds its address.
    ends: Box<Ends>,
    // Freed after `ends`, and only when the coroutine is at rest; it owns nothing to drop.
    _stack: GrowableStack,
}

impl GoparkRaw {
    pub(crate) fn new() -> io::Result<Self> {
        let stack = GrowableStack::new(STACK_BYTES)?;
        let ends = Box::new(Ends {
            caller: UnsafeCell::new(Context::empty()),
            coroutine: UnsafeCell::new(Context::empty()),
        });
        let top = ptr::with_exposed_provenance_mut(stack.base().get());
        let limit = ptr::with_exposed_provenance_mut(stack.limit().get());
        let arg = ptr::from_ref(&*ends).cast_mut().cast();
        // SAFETY: nobody else refers to the new context.
        let coroutine = unsafe { &mut *ends.coroutine.get() };
        // SAFETY: `limit..top` is a live stack that nobody else uses, and it lives as long as
        // `ends`. `answer` never returns and expects a pointer to `Ends` that stays valid.
        unsafe { coroutine.prepare(top, limit, answer, arg) };
        Ok(Self {
            ends,
            _stack: stack,
        })
    }

    #[inline(always)]
    pub(crate) fn round_trip(&mut self) {
        let (caller, coroutine) = (self.ends.caller.get(), self.ends.coroutine.get());
        // SAFETY: the coroutine is prepared or suspended in `answer`, both contexts are alive,
        // and `&mut self` keeps everybody else away until it has switched back.
        unsafe { switch(caller, coroutine, ptr::null_mut()) };
    }
}

/// The coroutine: switches back whenever it is entered.
unsafe extern "C" fn answer(_payload: *mut u8, arg: *mut u8) -> ! {
    // SAFETY: `arg` is what `GoparkRaw::new` passed, and that outlives this coroutine.
    let ends = unsafe { &*arg.cast::<Ends>() };
    loop {
        // SAFETY: whoever entered has saved himself in `caller` and waits there.
        unsafe { switch(ends.coroutine.get(), ends.caller.get(), ptr::null_mut()) };
    }
}

/// What the coroutine is told at each resume.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Resume {
    Again,
    End,
}

/// corosensei on gopark's stack.
pub(crate) struct Corosensei(Coroutine<Resume, (), (), GrowableStack>);

impl Corosensei {
    pub(crate) fn new() -> io::Result<Self> {
        let stack = GrowableStack::new(STACK_BYTES)?;
        Ok(Self(Coroutine::with_stack(stack, |yielder, mut resume| {
            while resume == Resume::Again {
                resume = yielder.suspend(());
            }
        })))
    }

    #[inline(always)]
    pub(crate) fn round_trip(&mut self) {
        let CoroutineResult::Yield(()) = self.0.resume(Resume::Again) else {
            unreachable!("the coroutine was not told to end");
        };
    }
}

impl Drop for Corosensei {
    fn drop(&mut self) {
        if !self.0.done() {
            let ended = self.0.resume(Resume::End);
            debug_assert!(matches!(ended, CoroutineResult::Return(())), "told to end");
        }
    }
}

/// generator on its own stack.
pub(crate) struct Generator(LocalGenerator<'static, (), ()>);

impl Generator {
    pub(crate) fn new() -> Self {
        Self(Gn::new_scoped_local(|mut scope| {
            loop {
                scope.yield_with(());
            }
        }))
    }

    #[inline(always)]
    pub(crate) fn round_trip(&mut self) {
        let resumed = self.0.resume();
        debug_assert!(resumed.is_some(), "the generator never ends");
    }
}
