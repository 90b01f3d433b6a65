//! An asymmetric fence: nearly free on the side that runs often, dear on the side that does not.
//!
//! Two parties each store to one word and then load the other's. For at least one of them to see
//! the other, both need a full fence between. With `membarrier(PRIVATE_EXPEDITED)` the rare party
//! makes the kernel run that fence on every thread of the process that is running just now, and the
//! frequent party only has to keep the compiler from moving its two accesses. Where the call is
//! missing (old kernels, some sandboxes) both sides fence.
//!
//! A `light` costs a compiler fence and a well predicted branch; a `heavy` about 9 µs while another
//! thread runs (measured on a 2-core x86_64 virtual machine, Linux 6.18).

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU32, Ordering, compiler_fence, fence};

use crossbeam_utils::CachePadded;
use rustix::thread::{MembarrierCommand, MembarrierQuery, membarrier, membarrier_query};

const UNKNOWN: u32 = 0;
const KERNEL: u32 = 1;
const FENCES: u32 = 2;

/// How fences are made: one way for the whole process, chosen before the first M starts. On a line
/// of its own: it is read at every release of a lock.
static WAY: CachePadded<AtomicU32> = CachePadded::new(AtomicU32::new(UNKNOWN));

/// Chooses the way, once: `membarrier` unless the kernel lacks it or `fences` asks for the other.
///
/// # Errors
/// `InvalidInput` when an earlier runtime of the process chose `membarrier` and this one insists
/// on fences: its threads could no longer be trusted to fence.
pub(crate) fn choose(fences: bool) -> io::Result<()> {
    let wanted = if fences || !register() {
        FENCES
    } else {
        KERNEL
    };
    // Relaxed: every M is started after this, by a thread that has come through here; for other
    // threads see `Light::chosen`.
    match WAY.compare_exchange(UNKNOWN, wanted, Ordering::Relaxed, Ordering::Relaxed) {
        Err(KERNEL) if fences => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "GOPARK_DEBUG=fences comes too late: an earlier runtime uses membarrier",
        )),
        _ => Ok(()),
    }
}

fn register() -> bool {
    membarrier_query().contains(MembarrierQuery::PRIVATE_EXPEDITED)
        && membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
        && membarrier(MembarrierCommand::PrivateExpedited).is_ok()
}

/// The side that runs often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Light {
    by_fence: bool,
}

impl Light {
    /// In the way that is chosen now, or by a fence as long as none is: for what plain threads use
    /// before there is a runtime, too.
    #[inline(always)]
    pub(crate) fn chosen() -> Light {
        // Acquire: its later loads come after this one. If it finds `membarrier` chosen, and the
        // other party has found, after its fence, that it is not, then what that party stored is
        // seen. (Both processors make a store visible to all others at once; the language alone
        // does not say so.)
        let by_fence = WAY.load(Ordering::Acquire) != KERNEL;
        Light { by_fence }
    }

    /// Orders the caller's earlier stores before its later loads, as seen by a thread that calls
    /// [`heavy`].
    #[inline(always)]
    pub(crate) fn fence(self) {
        // SeqCst: pairs with `heavy`.
        compiler_fence(Ordering::SeqCst);
        if self.by_fence {
            light_by_fence();
        }
    }
}

#[cold]
fn light_by_fence() {
    // SeqCst: pairs with `heavy`.
    fence(Ordering::SeqCst);
}

/// The rare side.
pub(crate) fn heavy() {
    // SeqCst: pairs with `light`.
    fence(Ordering::SeqCst);
    // Relaxed: after the fence; see `Light::chosen`.
    if WAY.load(Ordering::Relaxed) == KERNEL
        && let Err(error) = membarrier(MembarrierCommand::PrivateExpedited)
    {
        refused(error);
    }
}

/// It worked when it was chosen, and others rely on it. Not a panic: locks are half taken here.
#[cold]
fn refused(error: rustix::io::Errno) -> ! {
    let text = format!("gopark: fatal: membarrier works no longer: {error}\n");
    let _ = io::stderr().write_all(text.as_bytes());
    std::process::abort();
}
