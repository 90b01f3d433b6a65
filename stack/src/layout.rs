//! Slot geometry: which address belongs to which stack.
//!
//! The arena is one reservation, cut into slots of three classes. Class and slot follow from an
//! address by comparing and dividing by a constant, so that a fault handler and "whose stack is
//! this" need no table, lock or thread-local variable. This file is arithmetic only.
//!
//! ```text
//!  base                                                                      base + len
//!  +-----------------------+-------------------+---------------------+---------+
//!  | large: 1 GiB slots    | medium: 16 MiB    | dense: 132 KiB      | records |
//!  +-----------------------+-------------------+---------------------+---------+
//!
//!  one slot, low to high addresses:
//!  +------------+---------------------------+-------+------------------+--------+--------+-------+
//!  | hard guard |  reserved                 | guard | window, RW       | header | colour | shift |
//!  +------------+---------------------------+-------+------------------+--------+--------+-------+
//!  ^ low        ^ floor                             ^ top - window              ^        ^ top
//! ```
//!
//! The header lies at a distance from the top that depends on the slot's number (its *colour*):
//! otherwise the headers of all goroutines would share one set of the first-level cache. Neighbours
//! lie further apart than a switch's frames are deep: processors take a load for dependent on a
//! store whose address agrees in the last 12 bits. Without any colour a hand-over took 46 ns, with
//! 16 colours 64 bytes apart and chosen by a hash 35, so 30.
//!
//! The tops themselves lie at a distance from the ends of their slots, the *shift*, for the same
//! reason: slots are far larger than what a page table covers, so each stack has page tables of its
//! own, and the entries for all tops would share one set of the cache. A step of the shift is as
//! much as one cache line of entries covers. A message round a ring of 100 goroutines took 125 ns a
//! hop without the shift, and takes 58 with it.
//!
//! A *fine shift*, within such a line, spreads the tops over the sets of the TLB, which are chosen
//! by the lowest bits of a page's number: with steps of eight pages alone, 200 goroutines that
//! yield missed in it at every turn (74 ns each; 25 with the fine shift). Dense slots have an odd
//! number of pages for the same reason (46 ns; 27).

use std::io;
use std::ops::Range;

/// Bytes of the guard under a window. C code on aarch64 probes only every 64 KiB.
pub const GUARD_BYTES: usize = 64 << 10;
/// Bytes at the top of every slot that belong to the user of this crate (the goroutine's `G`).
pub const HEADER_BYTES: usize = 256;
/// Default bytes of the first window.
pub const WINDOW_BYTES_DEFAULT: usize = 256 << 10;
/// Smallest stack limit that may be asked for.
pub const LIMIT_BYTES_MIN: usize = 64 << 10;
/// What lies so far below a header is its stack, whatever its class.
pub(crate) const NEAR_BYTES: usize = LIMIT_BYTES_MIN;
/// Largest, and default, stack limit.
pub const LIMIT_BYTES_MAX: usize = 1 << 30;

/// Bytes below a stack pointer that a leaf function may use (x86_64's red zone).
pub(crate) const RED_ZONE_BYTES: usize = 128;

const COLOURS: u32 = 8;
const COLOUR_BYTES: usize = 192;
/// Colours from one slot to the next: neighbours lie 960 or 576 bytes apart.
const COLOUR_STEP: u32 = 5;
/// Bytes that header and colour may take together, at most.
pub(crate) const TOP_BYTES_MAX: usize = HEADER_BYTES + COLOURS as usize * COLOUR_BYTES;
/// What eight entries of a page table, a cache line of them, cover.
const SHIFT_BYTES: usize = 8 * 4096;
/// A page, where pages are certainly small.
const FINE_BYTES: usize = if cfg!(target_arch = "x86_64") {
    4096
} else {
    0
};
const FINE_SHIFTS: u32 = 8;
/// One bookkeeping record per slot.
pub(crate) const RECORD_BYTES: usize = 16;
/// Large and medium slots lie on this boundary. Their tops lie in the upper half of what it covers,
/// so that a first window and its guard share one page table.
pub(crate) const ALIGN: usize = 2 << 20;
/// What one page table covers, where pages have 4 KiB.
const TABLE_BYTES: usize = 2 << 20;

const _: () = assert!(
    TOP_BYTES_MAX < 2048,
    "a one-page window must leave room for frames"
);

/// A size class of stacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// 1 GiB slots: 8.2 KiB of page tables for each stack in use.
    Large = 0,
    /// 16 MiB slots: 4.2 KiB of page tables each.
    Medium = 1,
    /// 64 KiB and a guard of a page more: 264 bytes of page tables each. Never grows.
    Dense = 2,
}

impl Class {
    /// All classes, largest first: the order in which a spawn tries them.
    pub const ALL: [Class; 3] = [Class::Large, Class::Medium, Class::Dense];

    /// The smallest class that holds `limit_bytes`.
    ///
    /// # Errors
    /// `InvalidInput`, naming the value and the bounds, outside 64 KiB ..= 1 GiB.
    pub fn for_limit(limit_bytes: usize) -> io::Result<Class> {
        if !(LIMIT_BYTES_MIN..=LIMIT_BYTES_MAX).contains(&limit_bytes) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "stack limit of {limit_bytes} bytes is outside \
                     {LIMIT_BYTES_MIN}..={LIMIT_BYTES_MAX}"
                ),
            ));
        }
        Ok(match limit_bytes {
            n if n <= Class::Dense.limit_bytes() => Class::Dense,
            n if n <= Class::Medium.limit_bytes() => Class::Medium,
            _ => Class::Large,
        })
    }

    /// The limit of this class, as reports name it.
    pub const fn limit_bytes(self) -> usize {
        match self {
            Class::Large => 1 << 30,
            Class::Medium => 16 << 20,
            Class::Dense => 64 << 10,
        }
    }

    /// Bytes from one slot to the next.
    pub const fn slot_bytes(self) -> usize {
        match self {
            Class::Large => 1 << 30,
            Class::Medium => 16 << 20,
            Class::Dense => (128 << 10) + FINE_BYTES,
        }
    }

    /// How far the top of slot `index` lies below the end of the slot. What it is at most is a
    /// thousandth of a large slot, and a thirtieth of a medium one. Dense slots share page tables,
    /// and have an odd number of pages instead of a fine shift.
    #[inline(always)]
    const fn shift(self, index: u32) -> usize {
        match self {
            Class::Large => shift_among::<32>(index),
            Class::Medium => shift_among::<16>(index),
            Class::Dense => 0,
        }
    }
}

/// One of so many shifts, and a fine one. By constants: this is on the way of every runtime call.
#[inline(always)]
const fn shift_among<const SHIFTS: u32>(index: u32) -> usize {
    let fine = index / SHIFTS % FINE_SHIFTS;
    (index % SHIFTS) as usize * SHIFT_BYTES + fine as usize * FINE_BYTES
}

/// The number of a slot, over all classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    pub(crate) index: u32,
    pub(crate) class: Class,
}

/// A slot in one word: what is written by parts and read as a whole at once is read late.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packed(u64);

impl From<Slot> for Packed {
    #[inline]
    fn from(slot: Slot) -> Packed {
        Packed(u64::from(slot.index) | (slot.class as u64) << 32)
    }
}

impl From<Packed> for Slot {
    #[inline]
    fn from(packed: Packed) -> Slot {
        let class = match packed.0 >> 32 {
            0 => Class::Large,
            1 => Class::Medium,
            _ => Class::Dense,
        };
        Slot {
            index: packed.0 as u32,
            class,
        }
    }
}

/// The bounds of one slot, and where its guards lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Lowest address of the slot: the hard guard begins here.
    pub(crate) low: usize,
    /// Lowest address above the hard guard.
    pub(crate) floor: usize,
    /// One past the highest address that is used.
    pub(crate) top: usize,
}

impl Span {
    /// Bytes above the hard guard: what header and frames may use.
    #[inline]
    pub(crate) fn usable_bytes(&self) -> usize {
        self.top - self.floor
    }

    /// The guard under the first window of a slot. Each page of it takes 12 ns to write, and a
    /// fresh goroutine waits for that: so it is no larger than [`GUARD_BYTES`].
    pub(crate) fn first_guard(&self, window: usize) -> Range<usize> {
        let high = self.top - window;
        if high <= self.floor {
            return self.low..high;
        }
        self.low.max(high - GUARD_BYTES)..high
    }

    /// The guard under a window that has changed: the rest of the page table in which
    /// [`GUARD_BYTES`] under the window end. These entries take no memory, for the table is there.
    /// It includes [`Span::first_guard`].
    pub(crate) fn guard(&self, window: usize) -> Range<usize> {
        let first = self.first_guard(window);
        self.low.max(first.start / TABLE_BYTES * TABLE_BYTES)..first.end
    }
}

/// Where the slots of an arena lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    base: usize,
    counts: [u32; 3],
    /// Number of each class's first slot.
    firsts: [u32; 3],
    /// End of each class's area, as an offset from the base.
    ends: [usize; 3],
}

impl Geometry {
    /// Cuts `len` bytes at `base` into classes; at most `slots_max` slots in each.
    ///
    /// A large arena gives half to 1 GiB slots (32Ki at most), a quarter to 16 MiB slots (1Mi at
    /// most) and the rest to dense ones. An arena that has no room for 16 of a class leaves it out.
    pub(crate) fn plan(base: usize, len: usize, slots_max: u32) -> Geometry {
        let skew = base.next_multiple_of(ALIGN) - base;
        let room = len.saturating_sub(skew + ALIGN);
        let share = |bytes: usize, class: Class, most: u32| {
            let n = (bytes / class.slot_bytes()).min(most.min(slots_max) as usize) as u32;
            if n < 16 && class == Class::Large {
                0
            } else {
                n
            }
        };
        let large = share(room / 2, Class::Large, 1 << 15);
        let left = room - large as usize * Class::Large.slot_bytes();
        let medium = share(left / 2, Class::Medium, 1 << 20);
        let left = left - medium as usize * Class::Medium.slot_bytes();
        let records = (large + medium) as usize * RECORD_BYTES;
        let each = Class::Dense.slot_bytes() + RECORD_BYTES;
        let dense = (left.saturating_sub(records) / each).min(slots_max.min(1 << 27) as usize);
        let counts = [large, medium, dense as u32];
        let mut ends = [0; 3];
        let mut end = 0;
        for class in Class::ALL {
            end += counts[class as usize] as usize * class.slot_bytes();
            ends[class as usize] = end;
        }
        Geometry {
            base: base + skew,
            counts,
            firsts: [0, large, large + medium],
            ends,
        }
    }

    /// Slots of a class.
    pub(crate) fn count(&self, class: Class) -> u32 {
        self.counts[class as usize]
    }

    /// Number of the first slot of a class.
    #[inline]
    pub(crate) fn first(&self, class: Class) -> u32 {
        self.firsts[class as usize]
    }

    /// Address of the first record.
    pub(crate) fn records(&self) -> usize {
        self.base + self.ends[2]
    }

    /// Slots over all classes.
    pub(crate) fn total(&self) -> u32 {
        self.counts.iter().sum()
    }

    /// The slot that an address lies in.
    #[inline]
    pub(crate) fn locate(&self, addr: usize) -> Option<Slot> {
        let offset = addr.wrapping_sub(self.base);
        // Written out, so that each divides by a constant.
        let (class, nth) = if offset < self.ends[0] {
            (Class::Large, offset / Class::Large.slot_bytes())
        } else if offset < self.ends[1] {
            let within = offset - self.ends[0];
            (Class::Medium, within / Class::Medium.slot_bytes())
        } else if offset < self.ends[2] {
            let within = offset - self.ends[1];
            (Class::Dense, within / Class::Dense.slot_bytes())
        } else {
            return None;
        };
        let index = self.first(class) + nth as u32;
        Some(Slot { index, class })
    }

    /// Lowest address of a slot.
    #[inline]
    pub(crate) fn low(&self, slot: Slot) -> usize {
        let nth = (slot.index - self.first(slot.class)) as usize;
        let start = if slot.class == Class::Large {
            0
        } else {
            self.ends[slot.class as usize - 1]
        };
        self.base + start + nth * slot.class.slot_bytes()
    }

    /// One past the highest address of a slot that is used.
    #[inline]
    pub(crate) fn top(&self, slot: Slot) -> usize {
        self.low(slot) + slot.class.slot_bytes() - slot.class.shift(slot.index)
    }

    /// Lowest address above the hard guard, which takes what a slot has beyond its limit.
    pub(crate) fn floor(&self, slot: Slot) -> usize {
        let odd = match slot.class {
            Class::Large | Class::Medium => 0,
            Class::Dense => FINE_BYTES,
        };
        self.low(slot) + GUARD_BYTES + odd
    }

    /// The bounds of a slot.
    pub(crate) fn span(&self, slot: Slot) -> Span {
        Span {
            low: self.low(slot),
            floor: self.floor(slot),
            top: self.top(slot),
        }
    }

    /// Bytes above the hard guard: what header and frames may use.
    pub(crate) fn usable_bytes(&self, slot: Slot) -> usize {
        self.span(slot).usable_bytes()
    }

    /// The first window of a stack, for a wanted size: whole pages, within the slot.
    pub(crate) fn first_window(&self, slot: Slot, wanted_bytes: usize, page_bytes: usize) -> usize {
        let usable = self.usable_bytes(slot);
        match slot.class {
            Class::Dense => usable,
            _ => wanted_bytes
                .next_multiple_of(page_bytes)
                .clamp(page_bytes, usable),
        }
    }

    /// Address of a slot's header: frames start right below it.
    #[inline]
    pub(crate) fn header(&self, slot: Slot) -> usize {
        let colour = slot.index.wrapping_mul(COLOUR_STEP) % COLOURS;
        self.top(slot) - HEADER_BYTES - colour as usize * COLOUR_BYTES
    }
}

/// The page size, read once from the kernel.
pub(crate) fn page_bytes() -> usize {
    rustix::param::page_size()
}

#[cfg(test)]
#[path = "tests/layout.rs"]
mod tests;
