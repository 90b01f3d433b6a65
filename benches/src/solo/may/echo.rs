//! Echo over loopback TCP, in a closed loop.

use std::io::{self, Read as _, Write as _};
use std::net::Ipv4Addr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use may::net::{TcpListener, TcpStream};

use super::gate::Gate;
use super::spawn::{self, join, spawn};
use crate::peers::latencies::Latencies;
use crate::peers::sockets;
use crate::solo::Answer;

const BYTES: usize = 64;

pub(super) fn play(connections: usize, interval: Duration) -> Answer {
    sockets::limit(connections);
    let all: Latencies = spawn::root(move || race(connections, interval))??
        .into_iter()
        .flatten()
        .collect();
    if all.count() == 0 {
        return Err(format!("no answer came within {interval:?}").into());
    }
    Ok(vec![
        ("ns", interval.as_nanos() as f64 / all.count() as f64),
        ("p50", all.quantile_us(0.5)),
        ("p99", all.quantile_us(0.99)),
        ("p999", all.quantile_us(0.999)),
    ])
}

/// The interval that counts; known when the gate opens.
#[derive(Debug)]
struct Window {
    start: Instant,
    end: Instant,
}

/// How long the round trips of each client took.
fn race(connections: usize, interval: Duration) -> io::Result<Vec<Vec<Duration>>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let addr = listener.local_addr()?;
    let gate = Gate::new(connections);
    let window = Arc::new(OnceLock::new());
    let (mut servers, mut clients) = (Vec::new(), Vec::new());
    for _ in 0..connections {
        let client = TcpStream::connect(addr)?;
        let (server, _) = listener.accept()?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        servers.push(spawn(move || serve(server)));
        let (gate, window) = (Arc::clone(&gate), Arc::clone(&window));
        clients.push(spawn(move || {
            gate.pass();
            ask(client, window.get().expect("it is known"))
        }));
    }
    gate.wait_for_all();
    let start = Instant::now() + interval / 4;
    let end = start + interval;
    window.get_or_init(|| Window { start, end });
    gate.open();
    let found = clients.into_iter().map(join).collect();
    servers.into_iter().try_for_each(join)?;
    found
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; BYTES];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count])?,
        }
    }
}

fn ask(mut stream: TcpStream, window: &Window) -> io::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    let mut answer = [0; BYTES];
    let mut sent = Instant::now();
    for number in 0u64.. {
        let message = [number as u8; BYTES];
        stream.write_all(&message)?;
        stream.read_exact(&mut answer)?;
        if answer != message {
            return Err(io::Error::other("a wrong answer"));
        }
        let now = Instant::now();
        if now >= window.end {
            break;
        }
        if now >= window.start {
            latencies.push(now - sent);
        }
        sent = now;
    }
    Ok(latencies)
}
