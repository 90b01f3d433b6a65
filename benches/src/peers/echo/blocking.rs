//! Goroutines and threads: one text for both, since `gopark::net` has the methods of `std::net`.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Client, Race};
use crate::peers::kinds::{Goroutines, Kind, Threads};
use crate::peers::may::{self, Coroutines};
use crate::peers::sockets::Pairs;

/// Who may block in a socket.
pub(super) trait Blocking: Kind {
    type Stream: Read + Write + Send + 'static;

    fn adopt(stream: TcpStream) -> io::Result<Self::Stream>;

    /// A client that comes before the others may wait for the begin.
    fn wait_for_begin(race: &Race);
}

impl Blocking for Goroutines {
    type Stream = gopark::net::TcpStream;

    fn adopt(stream: TcpStream) -> io::Result<Self::Stream> {
        gopark::net::TcpStream::from_std(stream)
    }

    /// No need: who spawns has its turn among the others.
    fn wait_for_begin(_: &Race) {}
}

impl Blocking for Coroutines {
    type Stream = ::may::net::TcpStream;

    fn adopt(stream: TcpStream) -> io::Result<Self::Stream> {
        Ok(may::adopt(stream))
    }

    /// As with goroutines.
    fn wait_for_begin(_: &Race) {}
}

impl Blocking for Threads {
    type Stream = TcpStream;

    fn adopt(stream: TcpStream) -> io::Result<Self::Stream> {
        Ok(stream)
    }

    /// Else the threads that run already would leave a thousandth of a core to the one that spawns.
    fn wait_for_begin(race: &Race) {
        race.window.wait();
    }
}

/// Latencies of each client.
pub(super) fn race<K: Blocking>(pairs: Pairs, race: &Arc<Race>) -> io::Result<Vec<Vec<Duration>>> {
    let servers = spawn_servers::<K>(pairs.servers, race.load.bytes)?;
    let clients = pairs.clients.into_iter().map(|stream| {
        let stream = K::adopt(stream)?;
        let client = race.client();
        K::spawn(move || {
            K::wait_for_begin(&client.race);
            run_client(stream, client)
        })
    });
    let clients: io::Result<Vec<_>> = clients.collect();
    // Also when not all could be had: the others come to an end only after a begin.
    race.begin();
    let found = clients?.into_iter().map(K::join).collect();
    join_all::<K>(servers)?;
    found
}

/// Servers alone, until all clients are gone.
pub(super) fn serve<K: Blocking>(streams: Vec<TcpStream>, bytes: usize) -> io::Result<()> {
    join_all::<K>(spawn_servers::<K>(streams, bytes)?)
}

type Servers<K> = Vec<<K as Kind>::Handle<io::Result<()>>>;

fn spawn_servers<K: Blocking>(streams: Vec<TcpStream>, bytes: usize) -> io::Result<Servers<K>> {
    let servers = streams.into_iter().map(|stream| {
        let stream = K::adopt(stream)?;
        K::spawn(move || run_server(stream, bytes))
    });
    servers.collect()
}

fn join_all<K: Blocking>(servers: Servers<K>) -> io::Result<()> {
    servers.into_iter().try_for_each(K::join)
}

fn run_client(mut stream: impl Read + Write, mut client: Client) -> io::Result<Vec<Duration>> {
    let mut sent = Some(Instant::now());
    while let Some(at) = sent {
        stream.write_all(&client.message)?;
        stream.read_exact(&mut client.answer)?;
        sent = client.answered(at);
    }
    Ok(client.latencies)
}

fn run_server(mut stream: impl Read + Write, bytes: usize) -> io::Result<()> {
    let mut buffer = vec![0; bytes];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => stream.write_all(&buffer[..count])?,
            // The way in which these clients leave.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
