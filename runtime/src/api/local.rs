//! Values that belong to one goroutine: what thread-locals are to threads.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::ptr;
use std::rc::Rc;

use crate::sched::header::G;
use crate::sched::locals;

/// Declares goroutine-locals, in the form of `std::thread_local!`.
///
/// Each goroutine has its own value, made at its first use; the values are dropped, newest first,
/// when the goroutine ends. A destructor may park; if it panics the process aborts.
///
/// ```
/// use std::cell::Cell;
///
/// gopark::goroutine_local! {
///     static DEPTH: Cell<u32> = Cell::new(0);
/// }
///
/// # // SAFETY: no thread-local is held across a suspension.
/// # unsafe { gopark::run(|| {
/// DEPTH.set(3);
/// let other = gopark::spawn(|| DEPTH.get());
/// assert_eq!((DEPTH.get(), other.join().unwrap()), (3, 0));
/// # }) }
/// ```
#[macro_export]
macro_rules! goroutine_local {
    () => {};
    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty = $init:expr; $($rest:tt)*) => {
        $(#[$attr])*
        $vis static $name: $crate::goroutine::LocalKey<$t> =
            $crate::goroutine::LocalKey::new(|| $init);
        $crate::goroutine_local!($($rest)*);
    };
    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty = $init:expr) => {
        $crate::goroutine_local!($(#[$attr])* $vis static $name: $t = $init;);
    };
}

/// A goroutine-local, made by [`goroutine_local!`](crate::goroutine_local).
pub struct LocalKey<T: 'static> {
    init: fn() -> T,
    /// Statics of no size may share an address; keys are told apart by theirs.
    _place: u8,
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").finish_non_exhaustive()
    }
}

/// The error of [`LocalKey::try_with`]: the caller is no goroutine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessError;

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a goroutine-local was used outside a goroutine")
    }
}

impl Error for AccessError {}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    pub const fn new(init: fn() -> T) -> LocalKey<T> {
        LocalKey { init, _place: 0 }
    }

    /// Lends the caller's value, made now if there was none. The borrow may last over a suspension.
    ///
    /// # Panics
    /// Outside a goroutine.
    #[track_caller]
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        match self.try_with(f) {
            Ok(result) => result,
            Err(error) => panic!("{error}"),
        }
    }

    /// The same.
    ///
    /// # Errors
    /// Outside a goroutine.
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        let g = G::of_thread().ok_or(AccessError)?;
        let key = ptr::from_ref(self).addr();
        let value: Rc<dyn Any> = match locals::get(g, key) {
            Some(value) => value,
            None => {
                let fresh: Rc<dyn Any> = Rc::new((self.init)());
                // The initialiser may have used the key itself: then that value is there already.
                locals::get(g, key).unwrap_or_else(|| {
                    locals::set(g, key, Rc::clone(&fresh));
                    fresh
                })
            }
        };
        let value = value.downcast_ref().unwrap_or_else(|| {
            unreachable!("one key has one type");
        });
        Ok(f(value))
    }
}

impl<T: 'static> LocalKey<Cell<T>> {
    /// Sets the caller's value.
    ///
    /// # Panics
    /// Outside a goroutine.
    #[track_caller]
    pub fn set(&'static self, value: T) {
        self.with(|cell| cell.set(value));
    }

    /// A copy of the caller's value.
    ///
    /// # Panics
    /// Outside a goroutine.
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    /// Takes the caller's value and leaves the default.
    ///
    /// # Panics
    /// Outside a goroutine.
    #[track_caller]
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(Cell::take)
    }

    /// Replaces the caller's value.
    ///
    /// # Panics
    /// Outside a goroutine.
    #[track_caller]
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> LocalKey<RefCell<T>> {
    /// Lends the caller's value.
    ///
    /// # Panics
    /// Outside a goroutine, and while it is lent mutably.
    #[track_caller]
    pub fn with_borrow<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        self.with(|cell| f(&cell.borrow()))
    }

    /// Lends the caller's value mutably.
    ///
    /// # Panics
    /// Outside a goroutine, and while it is lent.
    #[track_caller]
    pub fn with_borrow_mut<R>(&'static self, f: impl FnOnce(&mut T) -> R) -> R {
        self.with(|cell| f(&mut cell.borrow_mut()))
    }

    /// Sets the caller's value.
    ///
    /// # Panics
    /// Outside a goroutine, and while it is lent.
    #[track_caller]
    pub fn set(&'static self, value: T) {
        self.with(|cell| *cell.borrow_mut() = value);
    }

    /// Takes the caller's value and leaves the default.
    ///
    /// # Panics
    /// Outside a goroutine, and while it is lent.
    #[track_caller]
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(RefCell::take)
    }

    /// Replaces the caller's value.
    ///
    /// # Panics
    /// Outside a goroutine, and while it is lent.
    #[track_caller]
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}
