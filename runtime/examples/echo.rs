//! An echo server and a client that measures it: a goroutine for each connection.
//!
//! ```text
//! cargo run --release --example echo -- server 127.0.0.1:7000
//! cargo run --release --example echo -- client 127.0.0.1:7000 [CONNECTIONS] [MESSAGES] [BYTES]
//! cargo run --example echo
//! ```
//!
//! The server says where it listens, and serves until it is killed. The client opens CONNECTIONS
//! (100), sends MESSAGES (100) of BYTES (64) on each, waits for each to come back, and says how
//! long that took. Without arguments both run in this process:
//!
//! ```text
//! listening on 127.0.0.1:41213
//! 100 connections, 100 messages of 64 bytes each: 10000 echoes in 0.17 s, 57821 a second
//! ```

#![expect(unsafe_code, reason = "starts a runtime")]
#![expect(clippy::print_stderr, reason = "a program says what went wrong")]

use std::error::Error;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use gopark::net::{TcpListener, TcpStream};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const USAGE: &str = "expected [server ADDR | client ADDR [CONNECTIONS] [MESSAGES] [BYTES]]";
/// How long the server waits when it cannot accept, such as for want of descriptors.
const PAUSE: Duration = Duration::from_millis(10);
/// What the sockets hold on the way there and back. A longer message would wait for its own echo to
/// be read.
const BYTES_MAX: usize = 64 * 1024;

#[gopark::main(unsafe(no_thread_bound_state_across_suspensions))]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match command(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn command(args: &[&str]) -> Outcome<()> {
    match *args {
        [] => {
            let listener = listen("127.0.0.1:0")?;
            let addr = listener.local_addr()?.to_string();
            // Ends with `main`, at its next suspension.
            gopark::go(move || serve(&listener));
            client(&addr, Load::parse(&[])?)
        }
        ["server", addr] => serve(&listen(addr)?),
        ["client", addr, ref load @ ..] if load.len() <= 3 => client(addr, Load::parse(load)?),
        _ => Err(USAGE.into()),
    }
}

fn listen(addr: &str) -> Outcome<TcpListener> {
    let listener =
        TcpListener::bind(addr).map_err(|error| format!("cannot listen on {addr}: {error}"))?;
    println!("listening on {}", listener.local_addr()?);
    Ok(listener)
}

fn serve(listener: &TcpListener) -> ! {
    loop {
        match listener.accept() {
            Ok((stream, _)) => gopark::go(move || {
                // A connection that fails is the client's affair: the others go on.
                let _ = echo(&stream);
            }),
            Err(error) => {
                eprintln!("echo: cannot accept: {error}");
                gopark::time::sleep(PAUSE);
            }
        }
    }
}

/// Sends back what comes, until the client has no more.
fn echo(stream: &TcpStream) -> io::Result<u64> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = (stream, stream);
    io::copy(&mut reader, &mut writer)
}

/// What a client sends.
#[derive(Clone, Copy)]
struct Load {
    connections: usize,
    messages: usize,
    bytes: usize,
}

impl Load {
    fn parse(args: &[&str]) -> Outcome<Load> {
        let number = |at: usize, default, most| match args.get(at) {
            None => Ok(default),
            Some(text) => match text.parse() {
                Ok(number) if (1..=most).contains(&number) => Ok(number),
                _ => Err(format!(
                    "`{text}` is not a number from 1 to {most}; {USAGE}"
                )),
            },
        };
        Ok(Load {
            connections: number(0, 100, 1_000_000)?,
            messages: number(1, 100, 1_000_000_000)?,
            bytes: number(2, 64, BYTES_MAX)?,
        })
    }
}

fn client(addr: &str, load: Load) -> Outcome<()> {
    let start = Instant::now();
    let talks: Vec<_> = (0..load.connections)
        .map(|_| {
            let addr = addr.to_owned();
            gopark::spawn(move || talk(&addr, load))
        })
        .collect();
    for talk in talks {
        talk.join().expect("a talk does not panic")?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let Load {
        connections,
        messages,
        bytes,
    } = load;
    let echoes = connections * messages;
    println!(
        "{connections} connections, {messages} messages of {bytes} bytes each: \
         {echoes} echoes in {seconds:.2} s, {:.0} a second",
        echoes as f64 / seconds
    );
    Ok(())
}

/// One connection: sends each message and waits until it has come back.
fn talk(addr: &str, load: Load) -> Outcome<()> {
    let mut stream =
        TcpStream::connect(addr).map_err(|error| format!("cannot connect to {addr}: {error}"))?;
    stream.set_nodelay(true)?;
    let mut answer = vec![0; load.bytes];
    for number in 0..load.messages {
        let message = vec![number as u8; load.bytes];
        stream.write_all(&message)?;
        stream.read_exact(&mut answer)?;
        if answer != message {
            return Err(format!("message {number} came back changed").into());
        }
    }
    Ok(())
}
