//! Which pages of the arena are in memory, as the kernel tells.
//!
//! A frame that is larger than the guard below a window may lie below it, unseen. What is resident
//! there tells of such a frame. Async-signal-safe: `mincore` into an array on the stack.

#![expect(unsafe_code, reason = "asks the kernel about pages")]

use std::ops::Range;

use crate::layout::page_bytes;

/// Pages asked about at once. Handlers of plain threads run on std's signal stack, of which a
/// signal's frame leaves little more than 4 KiB.
const PAGES_MAX: usize = 512;

/// The lowest resident page that touches the range. All of the range counts as resident where the
/// kernel does not answer.
pub(crate) fn lowest_resident(range: Range<usize>) -> Option<usize> {
    let step = PAGES_MAX * page_bytes();
    let low = range.start / page_bytes() * page_bytes();
    let mut starts = (low..range.end).step_by(step);
    starts.find_map(|start| lowest_of(start..range.end.min(start + step)))
}

/// Whether any page of the range is resident; looks at its high end first.
pub(crate) fn is_any_resident(range: Range<usize>) -> bool {
    let step = PAGES_MAX * page_bytes();
    let mut end = range.end;
    while end > range.start {
        let start = range.start.max(end.saturating_sub(step));
        if lowest_of(start..end).is_some() {
            return true;
        }
        end = start;
    }
    false
}

/// As [`lowest_resident`], for a range of [`PAGES_MAX`] pages at most that starts at a page.
fn lowest_of(range: Range<usize>) -> Option<usize> {
    if range.is_empty() {
        return None;
    }
    let mut resident = [0u8; PAGES_MAX];
    let pages = range.len().div_ceil(page_bytes());
    // SAFETY: errno's location is valid on every thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: errno belongs to this thread.
    let saved = unsafe { errno.read() };
    let start = range.start as *mut libc::c_void;
    // SAFETY: the array has a byte for each page.
    let code = unsafe { libc::mincore(start, range.len(), resident.as_mut_ptr()) };
    // SAFETY: errno belongs to this thread.
    unsafe { errno.write(saved) };
    if code != 0 {
        return Some(range.start);
    }
    let first = resident[..pages].iter().position(|byte| byte & 1 == 1)?;
    Some(range.start + first * page_bytes())
}
