//! Bytes in and out of a connection.
//!
//! Writes never raise SIGPIPE, whatever the program did to that signal: a peer that is gone is an
//! error like others. One call moves 1 GiB at most.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::AsFd;

use rustix::net::{RecvFlags, SendFlags};
use socket2::SockRef;

use super::handle::{Direction, Handle};

pub(crate) const CALL_BYTES_MAX: usize = 1 << 30;
/// The system takes no more at once.
const SLICES_MAX: usize = libc::UIO_MAXIOV as usize;

pub(crate) fn read<T: AsFd>(handle: &Handle<T>, buf: &mut [u8]) -> io::Result<usize> {
    if buf.is_empty() {
        // Waits for nothing.
        return handle.live().map(|_| 0);
    }
    let len = buf.len().min(CALL_BYTES_MAX);
    handle.op_stream(Direction::Read, len, |io| {
        Ok(rustix::net::recv(io, &mut buf[..len], RecvFlags::empty())?.0)
    })
}

pub(crate) fn peek<T: AsFd>(handle: &Handle<T>, buf: &mut [u8]) -> io::Result<usize> {
    if buf.is_empty() {
        return handle.live().map(|_| 0);
    }
    let len = buf.len().min(CALL_BYTES_MAX);
    // What was peeked at is still there: a short look tells nothing of the next.
    handle.op(Direction::Read, |io| {
        Ok(rustix::net::recv(io, &mut buf[..len], RecvFlags::PEEK)?.0)
    })
}

pub(crate) fn read_vectored<T: AsFd>(
    handle: &Handle<T>,
    bufs: &mut [IoSliceMut<'_>],
) -> io::Result<usize> {
    if bufs.iter().all(|buf| buf.is_empty()) {
        return handle.live().map(|_| 0);
    }
    let count = bufs.len().min(SLICES_MAX);
    handle.op(Direction::Read, |io| {
        Ok(rustix::io::readv(io, &mut bufs[..count])?)
    })
}

pub(crate) fn write<T: AsFd>(handle: &Handle<T>, buf: &[u8]) -> io::Result<usize> {
    let buf = &buf[..buf.len().min(CALL_BYTES_MAX)];
    handle.op_stream(Direction::Write, buf.len(), |io| {
        Ok(rustix::net::send(io, buf, SendFlags::NOSIGNAL)?)
    })
}

pub(crate) fn write_vectored<T: AsFd>(
    handle: &Handle<T>,
    bufs: &[IoSlice<'_>],
) -> io::Result<usize> {
    let bufs = &bufs[..bufs.len().min(SLICES_MAX)];
    handle.op(Direction::Write, |io| {
        SockRef::from(io).send_vectored_with_flags(bufs, libc::MSG_NOSIGNAL)
    })
}
