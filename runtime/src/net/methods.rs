//! What all types of this module have, written once.

/// Methods of the std type that ask the system at once.
macro_rules! delegate {
    ($($(#[$attr:meta])* fn $name:ident($($arg:ident: $ty:ty),*) -> $out:ty;)*) => {
        $(
            $(#[$attr])*
            ///
            /// # Errors
            /// What the system says; [`Closed`](crate::net::Closed) after `close`.
            pub fn $name(&self $(, $arg: $ty)*) -> std::io::Result<$out> {
                self.0.live()?.$name($($arg),*)
            }
        )*
    };
}

/// Timeouts as std's sockets have them.
macro_rules! timeouts {
    () => {
        /// Sets the time after which a read fails with `WouldBlock`; `None` is never.
        ///
        /// # Errors
        /// `InvalidInput` if it is zero; [`Closed`](crate::net::Closed) after `close`.
        pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
            self.0.set_timeout(Direction::Read, timeout)
        }

        /// Sets the time after which a write fails with `WouldBlock`; `None` is never.
        ///
        /// # Errors
        /// `InvalidInput` if it is zero; [`Closed`](crate::net::Closed) after `close`.
        pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
            self.0.set_timeout(Direction::Write, timeout)
        }

        /// The timeout of reads.
        ///
        /// # Errors
        /// [`Closed`](crate::net::Closed) after `close`.
        pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
            self.0.timeout(Direction::Read)
        }

        /// The timeout of writes.
        ///
        /// # Errors
        /// [`Closed`](crate::net::Closed) after `close`.
        pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
            self.0.timeout(Direction::Write)
        }
    };
}

/// The end of one direction or both.
macro_rules! shutdown {
    () => {
        /// Ends reading, writing or both. Who waits goes on: reads give what is there, and then
        /// `Ok(0)`; writes fail with `BrokenPipe`.
        ///
        /// # Errors
        /// What the system says; [`Closed`](crate::net::Closed) after `close`.
        pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
            self.0.shutdown(how)
        }
    };
}

/// Deadlines and the end.
macro_rules! deadlines {
    () => {
        /// Sets the time from which on reads and writes fail with `WouldBlock`, even if they need
        /// not wait; `None` is never. It holds until it is set again, and for what waits now too:
        /// who takes `WouldBlock` for a wish to try again must move the deadline first.
        ///
        /// # Errors
        /// [`Closed`](crate::net::Closed) after `close`.
        #[doc(alias = "SetDeadline")]
        pub fn set_deadline(&self, deadline: Option<std::time::Instant>) -> std::io::Result<()> {
            use crate::net::handle::Direction::{Read, Write};
            self.0.set_deadline(&[Read, Write], deadline)
        }

        /// Sets the deadline of reads, and of accepting.
        ///
        /// # Errors
        /// [`Closed`](crate::net::Closed) after `close`.
        #[doc(alias = "SetReadDeadline")]
        pub fn set_read_deadline(
            &self,
            deadline: Option<std::time::Instant>,
        ) -> std::io::Result<()> {
            use crate::net::handle::Direction::Read;
            self.0.set_deadline(&[Read], deadline)
        }

        /// Sets the deadline of writes.
        ///
        /// # Errors
        /// [`Closed`](crate::net::Closed) after `close`.
        #[doc(alias = "SetWriteDeadline")]
        pub fn set_write_deadline(
            &self,
            deadline: Option<std::time::Instant>,
        ) -> std::io::Result<()> {
            use crate::net::handle::Direction::Write;
            self.0.set_deadline(&[Write], deadline)
        }

        /// The deadline of reads. One that had passed long before may come back as a later time
        /// that has passed.
        ///
        /// # Errors
        /// [`Closed`](crate::net::Closed) after `close`.
        pub fn read_deadline(&self) -> std::io::Result<Option<std::time::Instant>> {
            self.0.deadline(crate::net::handle::Direction::Read)
        }

        /// The deadline of writes, as for reads.
        ///
        /// # Errors
        /// [`Closed`](crate::net::Closed) after `close`.
        pub fn write_deadline(&self) -> std::io::Result<Option<std::time::Instant>> {
            self.0.deadline(crate::net::handle::Direction::Write)
        }

        /// Ends all operations on this and its clones, also those that wait now: they fail with
        /// [`Closed`](crate::net::Closed). A connection is shut down. The descriptor is released
        /// when the last handle is dropped, because it may be lent (`as_fd`).
        pub fn close(&self) {
            self.0.close();
        }
    };
}

/// What every socket has in std, and the ways from std's type and back.
macro_rules! socket {
    ($ours:ident, $std:ty) => {
        impl $ours {
            /// A second handle to the same socket: everything is common to both, also timeouts,
            /// deadlines, the blocking mode, `close`, and the descriptor.
            ///
            /// # Errors
            /// [`Closed`](crate::net::Closed) after `close`.
            pub fn try_clone(&self) -> std::io::Result<$ours> {
                self.0.live()?;
                Ok($ours(self.0.clone()))
            }

            /// With `true`, operations fail with `WouldBlock` instead of waiting.
            ///
            /// # Errors
            /// [`Closed`](crate::net::Closed) after `close`.
            pub fn set_nonblocking(&self, nonblocking: bool) -> std::io::Result<()> {
                self.0.set_nonblocking(nonblocking)
            }

            $crate::net::methods::delegate! {
                /// Takes the pending error of the socket (`SO_ERROR`).
                fn take_error() -> Option<std::io::Error>;
            }
            $crate::net::methods::deadlines!();

            /// Of std's type. Its non-blocking mode and its timeouts are kept.
            ///
            /// # Errors
            /// What the system says.
            pub fn from_std(socket: $std) -> std::io::Result<$ours> {
                Ok($ours($crate::net::handle::Handle::adopt(socket)?))
            }

            /// Std's type, in blocking mode unless `set_nonblocking` said otherwise, with the
            /// timeouts. While clones of this one live it is a duplicate of their descriptor, and
            /// in non-blocking mode, which duplicates have in common.
            ///
            /// # Errors
            /// What the system says.
            pub fn into_std(self) -> std::io::Result<$std> {
                self.0.into_owned()
            }
        }

        impl std::fmt::Debug for $ours {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.io().fmt(f)
            }
        }

        impl std::os::fd::AsFd for $ours {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.0.lend().as_fd()
            }
        }

        impl std::os::fd::AsRawFd for $ours {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                std::os::fd::AsRawFd::as_raw_fd(self.0.lend())
            }
        }

        /// As `from_std`.
        ///
        /// # Panics
        /// When the system says that the descriptor is none.
        impl From<$std> for $ours {
            fn from(socket: $std) -> $ours {
                $ours::from_std(socket).expect("the descriptor of a socket is open")
            }
        }

        /// As `from_std`.
        ///
        /// # Panics
        /// When the system says that the descriptor is none.
        impl From<std::os::fd::OwnedFd> for $ours {
            fn from(fd: std::os::fd::OwnedFd) -> $ours {
                $ours::from(<$std>::from(fd))
            }
        }

        /// As `into_std`.
        ///
        /// # Panics
        /// When clones live and the process may open no more descriptors.
        impl From<$ours> for std::os::fd::OwnedFd {
            fn from(socket: $ours) -> std::os::fd::OwnedFd {
                let std = socket.into_std().expect("a descriptor can be duplicated");
                std.into()
            }
        }

        /// As `into_std`.
        ///
        /// # Panics
        /// When clones live and the process may open no more descriptors.
        impl std::os::fd::IntoRawFd for $ours {
            fn into_raw_fd(self) -> std::os::fd::RawFd {
                std::os::fd::OwnedFd::from(self).into_raw_fd()
            }
        }
    };
}

/// `Read` and `Write` for a connection and for a reference to it.
macro_rules! stream_io {
    ($ours:ident) => {
        impl std::io::Read for &$ours {
            fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
                $crate::net::stream::read(&self.0, buf)
            }

            fn read_vectored(
                &mut self,
                bufs: &mut [std::io::IoSliceMut<'_>],
            ) -> std::io::Result<usize> {
                $crate::net::stream::read_vectored(&self.0, bufs)
            }
        }

        impl std::io::Write for &$ours {
            fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
                $crate::net::stream::write(&self.0, buf)
            }

            fn write_vectored(&mut self, bufs: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
                $crate::net::stream::write_vectored(&self.0, bufs)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }

        impl std::io::Read for $ours {
            fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
                (&*self).read(buf)
            }

            fn read_vectored(
                &mut self,
                bufs: &mut [std::io::IoSliceMut<'_>],
            ) -> std::io::Result<usize> {
                (&*self).read_vectored(bufs)
            }
        }

        impl std::io::Write for $ours {
            fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
                (&*self).write(buf)
            }

            fn write_vectored(&mut self, bufs: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
                (&*self).write_vectored(bufs)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
    };
}

pub(crate) use {deadlines, delegate, shutdown, socket, stream_io, timeouts};
