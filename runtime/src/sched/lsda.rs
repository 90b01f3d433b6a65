//! What a function does with an unwinding, as its table of the Itanium C++ ABI says.
//!
//! ```text
//!  header: base of landing pads | encoding of types, their offset | encoding of call sites, length
//!  call sites, sorted: start, length, landing pad, action + 1 (0: cleanup)
//!  actions: type (0: cleanup, > 0: catch, < 0: filter), next
//! ```
//!
//! Read as the personality of Rust does: the first action counts, a filter ends the process, and so
//! does a place that is no call site.

#![expect(unsafe_code, reason = "reads a table that the compiler wrote")]

const OMIT: u8 = 0xff;
/// The part of an encoding that says how a number is written.
const FORM: u8 = 0x0f;

/// What a frame does with an unwinding that comes to it.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// It goes on, after destructors.
    Pass,
    Catch,
    /// The process ends.
    Terminate,
}

/// A place in a table.
struct Reader(*const u8);

impl Reader {
    /// # Safety
    /// There is a byte at the place.
    unsafe fn byte(&mut self) -> u8 {
        // SAFETY: passed on.
        let byte = unsafe { self.0.read() };
        self.0 = self.0.wrapping_add(1);
        byte
    }

    /// # Safety
    /// There is a number of `bytes` bytes at the place, 8 at most.
    unsafe fn fixed(&mut self, bytes: u32) -> usize {
        (0..bytes).fold(0, |sum, n| {
            // SAFETY: passed on, byte by byte.
            sum | usize::from(unsafe { self.byte() }) << (8 * n)
        })
    }

    /// # Safety
    /// There is a LEB128 number at the place. Gives its bits, with those of its sign if asked to.
    unsafe fn leb128(&mut self, is_signed: bool) -> usize {
        let (mut value, mut shift) = (0, 0);
        loop {
            // SAFETY: passed on: the number has not ended.
            let byte = unsafe { self.byte() };
            if shift < usize::BITS {
                value |= usize::from(byte & 0x7f) << shift;
            }
            shift += 7;
            if byte & 0x80 == 0 {
                if is_signed && byte & 0x40 != 0 && shift < usize::BITS {
                    value |= usize::MAX << shift;
                }
                return value;
            }
        }
    }

    /// A number in an encoding; `None` if that is unknown here.
    ///
    /// # Safety
    /// There is such a number at the place.
    unsafe fn encoded(&mut self, encoding: u8) -> Option<usize> {
        Some(match encoding & FORM {
            // SAFETY: as above.
            0x00 => unsafe { self.fixed(usize::BITS / 8) },
            // SAFETY: as above.
            0x01 => unsafe { self.leb128(false) },
            // SAFETY: as above.
            0x02 | 0x0a => unsafe { self.fixed(2) },
            // SAFETY: as above.
            0x03 | 0x0b => unsafe { self.fixed(4) },
            // SAFETY: as above.
            0x04 | 0x0c => unsafe { self.fixed(8) },
            // SAFETY: as above.
            0x09 => unsafe { self.leb128(true) },
            _ => return None,
        })
    }
}

/// What a function does with an unwinding that comes from `at` bytes behind its start.
///
/// # Safety
/// `table` is such a table, of that function.
pub(crate) unsafe fn action(table: *const u8, at: usize) -> Action {
    // What cannot be read is taken for a frame as any other.
    // SAFETY: passed on.
    unsafe { look_up(table, at) }.unwrap_or(Action::Pass)
}

/// # Safety
/// As for [`action`].
unsafe fn look_up(table: *const u8, at: usize) -> Option<Action> {
    let mut reader = Reader(table);
    // SAFETY: the header begins with the encoding of the landing pads' base.
    let base = unsafe { reader.byte() };
    if base != OMIT {
        // SAFETY: then the base follows.
        unsafe { reader.encoded(base) }?;
    }
    // SAFETY: then the encoding of types.
    if unsafe { reader.byte() } != OMIT {
        // SAFETY: then their offset.
        unsafe { reader.leb128(false) };
    }
    // SAFETY: then the encoding of call sites,
    let encoding = unsafe { reader.byte() };
    // SAFETY: and their length.
    let length = unsafe { reader.leb128(false) };
    let actions = reader.0.wrapping_add(length);
    while reader.0 < actions {
        // SAFETY: a call site begins here, and has four numbers.
        let start = unsafe { reader.encoded(encoding) }?;
        // SAFETY: as above.
        let length = unsafe { reader.encoded(encoding) }?;
        // SAFETY: as above.
        let pad = unsafe { reader.encoded(encoding) }?;
        // SAFETY: as above.
        let entry = unsafe { reader.leb128(false) };
        if at < start {
            break;
        }
        if at >= start + length {
            continue;
        }
        if pad == 0 || entry == 0 {
            return Some(Action::Pass);
        }
        // SAFETY: the entry is the number of an action's first byte, plus one.
        let what = unsafe { Reader(actions.wrapping_add(entry - 1)).leb128(true) };
        return Some(match what.cast_signed() {
            0 => Action::Pass,
            1.. => Action::Catch,
            _ => Action::Terminate,
        });
    }
    Some(Action::Terminate)
}

#[cfg(test)]
mod tests {
    use super::{Action, action};

    /// Of a function with call sites at 0, 4, 8 and 12, of 2 bytes each: without a pad, cleanup,
    /// catch, filter.
    const TABLE: [u8; 28] = [
        0xff, 0x9b, 25, 0x01, 16, // header: no base, types, uleb128
        0, 2, 0, 0, // nothing
        4, 2, 32, 0, // cleanup
        8, 2, 33, 1, // the first action
        12, 2, 34, 3, // the second
        1, 0, // a type: catch
        0x7f, 0, // -1: filter
        0, 0, 0,
    ];

    #[test]
    fn each_kind_of_call_site_is_read() {
        // SAFETY: such a table.
        let at = |at| unsafe { action(TABLE.as_ptr(), at) };
        assert_eq!(at(0), Action::Pass);
        assert_eq!(at(5), Action::Pass);
        assert_eq!(at(8), Action::Catch);
        assert_eq!(at(13), Action::Terminate);
        // Between two, and behind the last: no unwinding is expected from there.
        assert_eq!(at(2), Action::Terminate);
        assert_eq!(at(6), Action::Terminate);
        assert_eq!(at(99), Action::Terminate);
    }
}
