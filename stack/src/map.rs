//! The one reservation that all stacks come from.
//!
//! It is taken once, as large as the kernel gives it, and stays until the process ends: an address
//! of the arena therefore never belongs to anybody else. Sizes are tried from 64 TiB downwards;
//! a process with a limit on its address space gives the arena half of that limit at most.

#![expect(unsafe_code, reason = "maps the arena's address space")]

use std::ffi::c_void;
use std::io;

use memmap2::{Advice, MmapOptions, MmapRaw};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};

use crate::guard::{self, GuardKind};
use crate::layout::page_bytes;

const RESERVE_BYTES_MAX: usize = 1 << 46;
/// Smaller than this, an arena serves nobody.
const RESERVE_BYTES_MIN: usize = 8 << 20;

/// A reservation and the way its guards are made.
#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) base: usize,
    pub(crate) len: usize,
    pub(crate) kind: GuardKind,
    _owner: Owner,
}

#[derive(Debug)]
enum Owner {
    Mapped(#[expect(dead_code, reason = "keeps the mapping")] MmapRaw),
    Reserved,
}

/// Reserves the arena.
///
/// # Errors
/// `Unsupported` when the process locks what it maps (`mlockall` with `MCL_FUTURE`);
/// `InvalidInput` when `GOPARK_GUARD` or `GOPARK_ARENA` has a value that is none; `OutOfMemory`,
/// naming the smallest size tried, when the kernel gives no address space.
pub(crate) fn reserve() -> io::Result<Map> {
    refuse_locked_memory()?;
    let forced = forced_kind()?;
    let mut len = largest_try()?;
    loop {
        if let Some(map) = try_reserve(len, forced)? {
            return Ok(map);
        }
        len /= 2;
        if len < RESERVE_BYTES_MIN {
            return Err(io::Error::new(
                io::ErrorKind::OutOfMemory,
                format!("cannot reserve {RESERVE_BYTES_MIN} bytes of address space for stacks"),
            ));
        }
    }
}

/// With `MCL_FUTURE` the kernel makes all of a new mapping resident: terabytes here. It says so by
/// refusing to give pages of a small one back.
fn refuse_locked_memory() -> io::Result<()> {
    let refusal = |found: &str| {
        io::Error::new(
            io::ErrorKind::Unsupported,
            format!(
                "{found}: stacks come from a reservation of terabytes, all of which would be \
                 locked into memory. Start the runtime without mlockall(MCL_FUTURE), and lock \
                 single ranges with mlock"
            ),
        )
    };
    let probe = match MmapOptions::new().len(page_bytes()).map_anon() {
        Ok(probe) => probe,
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {
            return Err(refusal(
                "the limit of locked memory (RLIMIT_MEMLOCK) is reached",
            ));
        }
        Err(error) => return Err(error),
    };
    let start = probe.as_ptr().cast_mut().cast::<c_void>();
    // SAFETY: our own new page, without contents; it is unmapped next.
    let given =
        unsafe { rustix::mm::madvise(start, probe.len(), rustix::mm::Advice::LinuxDontNeed) };
    match given {
        Err(rustix::io::Errno::INVAL) => Err(refusal(
            "new memory of this process is locked (mlockall with MCL_FUTURE)",
        )),
        _ => Ok(()),
    }
}

fn forced_kind() -> io::Result<Option<GuardKind>> {
    match std::env::var("GOPARK_GUARD").as_deref() {
        Err(_) | Ok("") => Ok(None),
        Ok("mprotect") => Ok(Some(GuardKind::Protect)),
        Ok("markers") => Ok(Some(GuardKind::Markers)),
        Ok(other) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("GOPARK_GUARD={other} is neither `markers` nor `mprotect`"),
        )),
    }
}

/// `GOPARK_ARENA` (bytes) or 64 TiB; with a limit on address space, half of that at most.
fn largest_try() -> io::Result<usize> {
    let asked = match std::env::var("GOPARK_ARENA") {
        Err(_) => RESERVE_BYTES_MAX,
        Ok(text) => match text.parse::<usize>() {
            Ok(n) if (RESERVE_BYTES_MIN..=RESERVE_BYTES_MAX).contains(&n) => n,
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!(
                        "GOPARK_ARENA={text} is not a number of bytes in \
                         {RESERVE_BYTES_MIN}..={RESERVE_BYTES_MAX}"
                    ),
                ));
            }
        },
    };
    let limit = rustix::process::getrlimit(rustix::process::Resource::As).current;
    let half = limit.map_or(usize::MAX, |bytes| (bytes / 2) as usize);
    Ok(asked.min(half).max(RESERVE_BYTES_MIN) / page_bytes() * page_bytes())
}

/// `Ok(None)` means: try a smaller size.
fn try_reserve(len: usize, forced: Option<GuardKind>) -> io::Result<Option<Map>> {
    match MmapOptions::new().len(len).no_reserve_swap().map_anon() {
        Ok(map) => {
            // The kernel may be without either advice; both are improvements, not conditions.
            let _ = map.advise(Advice::NoHugePage);
            let _ = map.advise(Advice::DontDump);
            let raw = MmapRaw::from(map);
            let base = raw.as_mut_ptr() as usize;
            // SAFETY: the mapping is new and nobody uses it.
            let kind = unsafe { choose(base, len, forced) }?;
            Ok(Some(Map {
                base,
                len,
                kind,
                _owner: Owner::Mapped(raw),
            }))
        }
        Err(_) => Ok(reserve_closed(len, forced)?),
    }
}

/// Picks the back-end by doing; leaves the mapping as that back-end wants it.
///
/// # Safety
/// Nobody uses the mapping yet.
unsafe fn choose(base: usize, len: usize, forced: Option<GuardKind>) -> io::Result<GuardKind> {
    if forced != Some(GuardKind::Protect) {
        // SAFETY: passed on.
        if unsafe { guard::markers_work(base, page_bytes()) } {
            return Ok(GuardKind::Markers);
        }
        if forced == Some(GuardKind::Markers) {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "GOPARK_GUARD=markers, but this kernel refuses MADV_GUARD_INSTALL",
            ));
        }
    }
    // SAFETY: passed on.
    unsafe { rustix::mm::mprotect(base as *mut c_void, len, MprotectFlags::empty()) }?;
    Ok(GuardKind::Protect)
}

/// Without overcommit only an inaccessible reservation is free of charge.
fn reserve_closed(len: usize, forced: Option<GuardKind>) -> io::Result<Option<Map>> {
    if forced == Some(GuardKind::Markers) {
        return Ok(None);
    }
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: an anonymous mapping at an address of the kernel's choice disturbs nobody.
    let mapped =
        unsafe { rustix::mm::mmap_anonymous(std::ptr::null_mut(), len, ProtFlags::empty(), flags) };
    let Ok(base) = mapped else { return Ok(None) };
    let base = base as usize;
    Ok(Some(Map {
        base,
        len,
        kind: GuardKind::Protect,
        _owner: Owner::Reserved,
    }))
}

/// Makes a range of a `Protect` arena readable and writable.
///
/// # Safety
/// The range lies in the arena.
pub(crate) unsafe fn commit(addr: usize, len: usize) -> io::Result<()> {
    let flags = MprotectFlags::READ | MprotectFlags::WRITE;
    // SAFETY: passed on; giving access invalidates nothing.
    unsafe { rustix::mm::mprotect(addr as *mut c_void, len, flags) }.map_err(io::Error::from)
}
