//! Descriptors that are no sockets.

use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use gopark::net::{Pollable, TcpStream};

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
