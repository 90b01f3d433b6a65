//! Which pages of the arena are in memory, as the kernel tells.
//!
//! A frame that is larger than the guard below a window may lie below it, unseen. What is resident
//! there tells of such a frame. Async-signal-safe: `mincore` into an array on the stack.

#![expect(unsafe_code, reason = "asks the kernel about pages")]

use std::ffi::c_int;
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

/// Whether nothing is mapped at an address.
pub(crate) fn is_void(addr: usize) -> bool {
    let page = addr / page_bytes() * page_bytes();
    query(page, page_bytes(), &mut [0]) == Err(libc::ENOMEM)
}

/// As [`lowest_resident`], for a range of [`PAGES_MAX`] pages at most that starts at a page.
fn lowest_of(range: Range<usize>) -> Option<usize> {
    if range.is_empty() {
        return None;
    }
    let mut resident = [0u8; PAGES_MAX];
    let pages = range.len().div_ceil(page_bytes());
    if query(range.start, range.len(), &mut resident[..pages]).is_err() {
        return Some(range.start);
    }
    let first = resident[..pages].iter().position(|byte| byte & 1 == 1)?;
    Some(range.start + first * page_bytes())
}

/// Asks which of some pages are resident: a byte for each. Keeps `errno`.
///
/// # Errors
/// The kernel's error number.
fn query(start: usize, bytes: usize, resident: &mut [u8]) -> Result<(), c_int> {
    assert!(
        resident.len() >= bytes.div_ceil(page_bytes()),
        "a byte for each page"
    );
    // SAFETY: errno's location is valid on every thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: errno belongs to this thread.
    let saved = unsafe { errno.read() };
    let start = start as *mut libc::c_void;
    // SAFETY: the slice has a byte for each page.
    let code = unsafe { libc::mincore(start, bytes, resident.as_mut_ptr()) };
    // SAFETY: errno belongs to this thread.
    let error = unsafe { errno.read() };
    // SAFETY: errno belongs to this thread.
    unsafe { errno.write(saved) };
    if code == 0 { Ok(()) } else { Err(error) }
}
