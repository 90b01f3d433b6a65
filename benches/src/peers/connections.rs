//! Many connections on which nothing happens, each with somebody who waits in a read.
//!
//! The kernel's part of a connection, some kilobytes for both ends, is the same for all and not
//! seen here. Nor is a thread's part in the kernel, which only threads need.

use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;

use super::parked::Memory;
use super::sockets::Pairs;
use super::tasks::{self, Workers};
use super::{goroutines, threads};
use crate::measure::Result;

/// Between the moment when the last one is about to read and that when all are blocked.
const SETTLING: Duration = Duration::from_millis(20);

/// What a reader has room for, on its stack or in its future.
const BUFFER_BYTES: usize = 64;

/// Stacks of 64 KiB, and of 1 GiB.
pub(crate) const DENSE_BYTES: usize = 64 << 10;

/// Who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Reader {
    /// A goroutine with a stack limit of 64 KiB.
    GoparkDense,
    /// A goroutine with the default limit.
    Gopark,
    /// A task of tokio's.
    Tokio,
    /// A thread.
    Threads,
}

/// What one process found.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) connections: f64,
    /// Of each connection.
    pub(crate) bytes: f64,
    /// From the hand-over of the first socket until the last reader reads, each.
    pub(crate) adopt_ns: f64,
}

/// Holds `count` connections.
pub(crate) fn measure(reader: Reader, count: usize) -> Result<Found> {
    match reader {
        Reader::GoparkDense => goroutines(Some(DENSE_BYTES), count),
        Reader::Gopark => goroutines(None, count),
        Reader::Tokio => tasks(count),
        Reader::Threads => threads(count),
    }
}

/// How many are about to read.
type Reading = Arc<AtomicUsize>;

/// A measurement between two looks at the memory.
struct Scene {
    clients: Vec<TcpStream>,
    reading: Reading,
    before: Memory,
    start: Instant,
}

impl Scene {
    /// The scene, and the ends that somebody shall read from.
    fn set(count: usize) -> io::Result<(Self, Vec<TcpStream>)> {
        let Pairs { servers, clients } = Pairs::connect(count)?;
        let scene = Self {
            clients,
            reading: Reading::default(),
            before: Memory::now(),
            start: Instant::now(),
        };
        Ok((scene, servers))
    }

    /// Whether somebody is still on the way to its read.
    fn is_incomplete(&self) -> bool {
        self.reading.load(Ordering::Relaxed) < self.clients.len()
    }

    /// All read, since `adopted`. Afterwards the connections are closed.
    fn found(self, adopted: Duration) -> Found {
        let after = Memory::now();
        let count = self.clients.len() as f64;
        Found {
            connections: count,
            bytes: (after.bytes - self.before.bytes) / count,
            adopt_ns: adopted.as_nanos() as f64 / count,
        }
    }
}

/// Reads once; nothing comes but the end.
fn read(mut stream: impl Read, reading: &AtomicUsize) {
    let mut buffer = [0; BUFFER_BYTES];
    reading.fetch_add(1, Ordering::Relaxed);
    ended(stream.read(&mut buffer));
}

fn ended(outcome: io::Result<usize>) {
    match outcome {
        Ok(0) => {}
        Ok(count) => panic!("{count} bytes that nobody sent"),
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}"),
    }
}

fn goroutines(stack_limit: Option<usize>, count: usize) -> Result<Found> {
    let runtime = goroutines::runtime(1, stack_limit)?;
    let found = runtime.run(|| -> io::Result<Found> {
        let mut readers = Vec::with_capacity(count);
        let (scene, streams) = Scene::set(count)?;
        for stream in streams {
            let stream = gopark::net::TcpStream::from_std(stream)?;
            let reading = Arc::clone(&scene.reading);
            readers.push(gopark::spawn(move || read(stream, &reading)));
        }
        while scene.is_incomplete() {
            gopark::yield_now();
        }
        let adopted = scene.start.elapsed();
        gopark::time::sleep(SETTLING);
        let found = scene.found(adopted);
        for reader in readers {
            reader.join().expect("nothing comes but the end");
        }
        Ok(found)
    });
    Ok(found?)
}

fn tasks(count: usize) -> Result<Found> {
    tasks::runtime(Workers::Caller)?.block_on(async {
        let mut readers = Vec::with_capacity(count);
        let (scene, streams) = Scene::set(count)?;
        for stream in streams {
            let mut stream = tasks::adopt(stream)?;
            let reading = Arc::clone(&scene.reading);
            readers.push(tokio::spawn(async move {
                let mut buffer = [0; BUFFER_BYTES];
                reading.fetch_add(1, Ordering::Relaxed);
                ended(stream.read(&mut buffer).await);
            }));
        }
        while scene.is_incomplete() {
            tokio::task::yield_now().await;
        }
        let adopted = scene.start.elapsed();
        tokio::time::sleep(SETTLING).await;
        let found = scene.found(adopted);
        for reader in readers {
            reader.await?;
        }
        Ok(found)
    })
}

fn threads(count: usize) -> Result<Found> {
    let mut readers = Vec::with_capacity(count);
    let (scene, streams) = Scene::set(count)?;
    for stream in streams {
        let reading = Arc::clone(&scene.reading);
        readers.push(thread::Builder::new().spawn(move || read(stream, &reading))?);
    }
    while scene.is_incomplete() {
        thread::yield_now();
    }
    let adopted = scene.start.elapsed();
    threads::sleep(SETTLING);
    let found = scene.found(adopted);
    for reader in readers {
        reader.join().expect("nothing comes but the end");
    }
    Ok(found)
}
