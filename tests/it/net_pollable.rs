//! Descriptors that are no sockets.

#![expect(unsafe_code, reason = "promises that a type keeps its descriptor")]

use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use gopark::net::{IoSafe, Pollable, TcpStream, UnixStream};

use crate::net_edges::{is_closed, is_late, twice};

const SHORT: Duration = Duration::from_millis(30);

#[test]
fn pipes_are_waited_for() {
    twice(|| {
        let (reader, writer) = io::pipe().unwrap();
        let mut reader = Pollable::new(reader).unwrap();
        let mut writer = Pollable::new(writer).unwrap();
        writer.writable().unwrap();
        writer.write_all(b"hello").unwrap();
        reader.readable().unwrap();
        assert_eq!((&reader).read(&mut [0; 2]).unwrap(), 2);
        let rest = reader.read_with(|mut pipe: &PipeReader| pipe.read(&mut [0; 9]));
        assert_eq!(rest.unwrap(), 3);
        reader
            .set_read_deadline(Some(Instant::now() + SHORT))
            .unwrap();
        is_late(reader.readable());
        is_late(reader.read(&mut [0]));
        writer.set_deadline(Some(Instant::now() + SHORT)).unwrap();
        is_late(writer.write_all(&vec![0; 1 << 20]));
        writer.set_deadline(None).unwrap();
        writer.write_with(|mut pipe| pipe.flush()).unwrap();
        writer.close();
        is_closed(writer.write(b"x"));
        is_closed(writer.writable());
        drop(writer);
        reader.set_deadline(None).unwrap();
        assert!(reader.read_to_end(&mut Vec::new()).unwrap() >= 4096);
        // In the mode that it had.
        let mut pipe = reader.into_inner();
        assert_eq!(pipe.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn what_cannot_be_waited_for_is_refused() {
    for path in [std::env::current_exe().unwrap(), std::env::temp_dir()] {
        let file = File::open(path).unwrap();
        let number = file.as_raw_fd();
        let error = Pollable::new(file).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(&format!("descriptor {number} ")));
    }
    // A socket made of one fails when it is used.
    let file = File::open(std::env::current_exe().unwrap()).unwrap();
    let no_socket = TcpStream::from(OwnedFd::from(file));
    let error = (&no_socket).read(&mut [0]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOTSOCK));
    assert!(no_socket.as_fd().as_raw_fd() >= 0);
}

#[test]
fn a_child_is_read_while_others_run() {
    gopark_tests::run(1, || {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = Pollable::new(child.stdout.take().unwrap()).unwrap();
        let reads = gopark::spawn(move || {
            let mut text = String::new();
            out.read_to_string(&mut text).map(|_| text)
        });
        gopark::yield_now();
        let mut input = Pollable::new(child.stdin.take().unwrap()).unwrap();
        input.write_all(b"meow").unwrap();
        drop(input);
        assert_eq!(reads.join().unwrap().unwrap(), "meow");
        assert!(gopark::blocking(|| child.wait()).unwrap().success());
    });
}

/// Goal: whoever waits second for one descriptor learns what happened.
#[test]
fn a_descriptor_that_waits_in_another_object_is_named() {
    gopark_tests::run(2, || {
        let (a, b) = UnixStream::pair().unwrap();
        let late = Some(Instant::now() + SHORT);
        a.set_read_deadline(late).unwrap();
        is_late((&a).read(&mut [0]));
        let second = Pollable::new(&a).unwrap();
        let error = second.readable().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        let text = error.to_string();
        let fd = a.as_raw_fd();
        assert!(
            text.contains(&format!("descriptor {fd} is registered")),
            "{text}"
        );
        drop(second);
        // The first is not harmed, and a duplicate can wait beside it.
        a.set_read_deadline(None).unwrap();
        let duplicate = Pollable::new(a.as_fd().try_clone_to_owned().unwrap()).unwrap();
        let waits = gopark::spawn(move || duplicate.readable());
        let reads = gopark::spawn(move || (&a).read(&mut [0]));
        gopark::time::sleep(SHORT);
        (&b).write_all(b"xy").unwrap();
        waits.join().unwrap().unwrap();
        assert_eq!(reads.join().unwrap().unwrap(), 1);
    });
}

/// A reader that keeps its descriptor, and says so.
struct Counting(PipeReader, usize);

impl AsFd for Counting {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Read for Counting {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buf)?;
        self.1 += count;
        Ok(count)
    }
}

// SAFETY: the pipe stays in its place.
unsafe impl IoSafe for Counting {}

#[test]
fn a_type_of_the_user_is_read_by_its_promise() {
    twice(|| {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut reader = Pollable::new(Counting(reader, 0)).unwrap();
        writer.write_all(b"hello").unwrap();
        drop(writer);
        assert_eq!(reader.read_to_end(&mut Vec::new()).unwrap(), 5);
        assert_eq!(reader.into_inner().1, 5);
    });
}
