//! Running a function on the OS thread's own stack.
//!
//! The thread's stack lies idle below the frames of the machine's loop while a goroutine runs.

#![expect(
    unsafe_code,
    reason = "runs a function on the idle part of the thread's stack"
)]

use gopark_stack::switch::{call_on, call_on_new};

use super::service::chores::THREAD_STACK_BYTES;
use crate::sched::header::G;

/// Kept free between the loop's frames and the function's: more than a red zone.
const GAP_BYTES: usize = 256;
/// Used by the thread's start and the loop, at most.
const LOOP_BYTES_MAX: usize = 64 << 10;

/// Runs `f` on the stack of the thread that runs `g`, which does not change meanwhile.
#[inline(never)]
pub(crate) fn call<R>(g: &G, f: impl FnOnce() -> R) -> R {
    let context = g.machine().context.get();
    // SAFETY: the loop's context is at rest while a goroutine runs; only this thread uses it.
    let sp = unsafe { (*context).stack_pointer() };
    if sp == 0 {
        // A switch that does not tell.
        return match call_on_new(THREAD_STACK_BYTES, f) {
            Ok(result) => result,
            Err(error) => panic!("gopark::on_thread_stack: {error}"),
        };
    }
    let base = (sp - GAP_BYTES) & !15;
    let limit = base - (THREAD_STACK_BYTES - LOOP_BYTES_MAX);
    // SAFETY: what lies below the saved stack pointer is idle until the loop goes on, which it does
    // not before this returns: `g` is shielded and bound. The thread's guard lies below.
    unsafe { call_on(base, limit, f) }
}
