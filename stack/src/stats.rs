//! What the stacks of the process cost now.

use std::io;

use crate::arena::Arena;
use crate::cache::StackCache;
use crate::guard::GuardKind;
use crate::layout::{Class, Slot, WINDOW_BYTES_DEFAULT};

/// Counts of the arena. Taken without stopping anybody: the figures may be of slightly different
/// moments.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Bytes of address space reserved.
    pub reserved_bytes: usize,
    /// Stacks that somebody owns, or is promised.
    pub live: usize,
    /// Free stacks, in caches and in the depot, and slots that were promised and not needed.
    pub cached: usize,
    /// Times that a fault made a window larger.
    pub growths: u64,
    /// How guards are made here.
    pub guard: GuardKind,
}

/// Counts of the arena, which is made if there is none yet.
///
/// # Errors
/// What making the arena says.
pub fn stats() -> io::Result<Stats> {
    let arena = Arena::get_or_make()?;
    let (carved, stored, growths) = arena.counts();
    let cached = stored + StackCache::cached_everywhere();
    Ok(Stats {
        reserved_bytes: arena.reserved_bytes,
        live: carved.saturating_sub(cached),
        cached,
        growths,
        guard: arena.kind,
    })
}

/// Bytes of all stacks, free ones included, that are accessible without growing.
pub fn accessible_bytes() -> usize {
    let Some(arena) = Arena::get() else { return 0 };
    let of = |class: Class| {
        let first = arena.geometry.first(class);
        (first..first + arena.carved_count(class)).map(move |index| Slot { index, class })
    };
    let slots = Class::ALL.into_iter().flat_map(of);
    slots.filter_map(|slot| arena.window(slot)).sum()
}

/// Bytes of stacks that are resident, as the kernel counts them. Walks the page tables of the
/// arena: milliseconds and more.
///
/// # Errors
/// When `/proc/self/smaps` cannot be read.
pub fn resident_bytes() -> io::Result<usize> {
    let arena = Arena::get_or_make()?;
    let mut inside = false;
    let mut kib = 0;
    for line in std::fs::read_to_string("/proc/self/smaps")?.lines() {
        if let Some((low, _)) = line.split_once('-').filter(|_| !line.contains("kB")) {
            let start = usize::from_str_radix(low, 16).unwrap_or(0);
            inside = start >= arena.map_base() && start - arena.map_base() < arena.reserved_bytes;
        } else if inside && line.starts_with("Rss:") {
            let figure = line
                .split_whitespace()
                .nth(1)
                .and_then(|n| n.parse::<usize>().ok());
            kib += figure.unwrap_or(0);
        }
    }
    Ok(kib << 10)
}

/// Gives the pages of free stacks in the depot back to the kernel, up to `chains_max` chains of 32
/// stacks in each class: the bytes of address space that were asked back.
pub fn trim(chains_max: usize) -> usize {
    Arena::get().map_or(0, |arena| arena.trim(chains_max, WINDOW_BYTES_DEFAULT))
}
