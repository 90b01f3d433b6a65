//! A deep recursion into memory that was never touched.
#![expect(unsafe_code, reason = "gives corosensei a bare mapping as its stack")]
//!
//! A stack that grows pays for each page once: by a fault of its own (plain demand paging), or as
//! part of a bigger step. One frame takes about one page here, so what is measured is the page.
//!
//! ```text
//!  top   ┌────────────┐
//!        │ frame 1    │  each frame: one byte written, then the next frame
//!        │ frame 2    │
//!        │ ...        │
//!  floor └────────────┘  turns back when it is below
//! ```

use std::hint::black_box;
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use corosensei::stack::{Stack, StackPointer};
use corosensei::{Coroutine, CoroutineResult};
use memmap2::{Advice, MmapOptions, MmapRaw};
use serde::{Deserialize, Serialize};

use super::goroutines;
use crate::measure::Result;

/// A little less than the smallest page: with its saved registers a frame stays within one.
const FRAME_BYTES: usize = 4096 - 128;

/// Room below the floor for the last frames.
const MARGIN_BYTES: usize = 1 << 20;

/// Whose stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StackKind {
    /// A goroutine with the default limit of 1 GiB.
    Gopark,
    /// A bare mapping of that size, filled by the kernel page by page.
    Plain,
}

/// What one process found.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) ns_per_page: f64,
}

/// Recurses `bytes` deep.
pub(crate) fn measure(stack: StackKind, bytes: usize) -> Result<Found> {
    let (pages, elapsed) = match stack {
        StackKind::Gopark => goroutines::runtime(1, None)?
            .run(move || gopark::spawn(move || recurse(bytes)).join())
            .map_err(|_| "the goroutine panicked")?,
        StackKind::Plain => {
            let stack = PlainStack::new(bytes + MARGIN_BYTES)?;
            let mut coroutine =
                Coroutine::with_stack(stack, move |_: &corosensei::Yielder<(), ()>, ()| {
                    recurse(bytes)
                });
            match coroutine.resume(()) {
                CoroutineResult::Return(found) => found,
                CoroutineResult::Yield(()) => unreachable!("it never suspends"),
            }
        }
    };
    Ok(Found {
        ns_per_page: elapsed.as_nanos() as f64 / pages as f64,
    })
}

/// The number of pages that a recursion of `bytes` has touched, and the time, back included.
pub(crate) fn recurse(bytes: usize) -> (usize, Duration) {
    let mark = 0_u8;
    let top = (&raw const *black_box(&mark)).addr();
    let start = Instant::now();
    let deepest = descend(top - bytes);
    let elapsed = start.elapsed();
    ((top - deepest) / rustix::param::page_size(), elapsed)
}

/// Returns the lowest address that it reached.
#[inline(never)]
fn descend(floor: usize) -> usize {
    let mut frame = [MaybeUninit::<u8>::uninit(); FRAME_BYTES];
    frame[0].write(1);
    let here = black_box(&mut frame).as_ptr().addr();
    let deepest = if here > floor { descend(floor) } else { here };
    // The frame is in use until here, so the call above is not the last act.
    black_box(&mut frame);
    deepest
}

/// A mapping as a stack: no reservation of memory, no huge pages.
struct PlainStack(MmapRaw);

impl PlainStack {
    fn new(bytes: usize) -> Result<Self> {
        let map = MmapOptions::new().len(bytes).no_reserve_swap().map_anon()?;
        map.advise(Advice::NoHugePage)?;
        Ok(Self(map.into()))
    }
}

// SAFETY: base and limit are the ends of one mapping, page-aligned, larger than the minimum and
// unmapped only on drop. There is no guard page: only `recurse` runs here, and its depth is
// bounded by an address that lies `MARGIN_BYTES` above the limit.
unsafe impl Stack for PlainStack {
    fn base(&self) -> StackPointer {
        let limit = self.limit().get();
        StackPointer::new(limit + self.0.len()).expect("the end of a mapping")
    }

    fn limit(&self) -> StackPointer {
        StackPointer::new(self.0.as_mut_ptr().expose_provenance()).expect("a mapping is not at 0")
    }
}
