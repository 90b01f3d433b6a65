//! WebSocket by tungstenite over gopark's sockets: an echo server and its clients, in one process.
//!
//! ```text
//! $ cargo run --example websocket
//! 20 clients heard 200 texts and 20 blobs of 65536 bytes
//! every one was answered its ping, and said goodbye
//! ```
//!
//! tungstenite takes whatever reads and writes, so nothing is different from std's sockets. It
//! asks `rand` for the masks of frames, which is a thread-local, but is done with it before it
//! writes: nothing is held across a suspension.

#![expect(unsafe_code, reason = "starts a runtime")]

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use gopark::net::{TcpListener, TcpStream};
use tungstenite::{Bytes, Message};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const CLIENTS: usize = 20;
const TEXTS: usize = 10;
const BLOB_BYTES: usize = 64 * 1024;
/// How long the server waits when it cannot accept.
const PAUSE: Duration = Duration::from_millis(10);

#[gopark::main(unsafe(no_thread_bound_state_across_suspensions))]
fn main() -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    // Ends with `main`, at its next suspension.
    gopark::go(move || serve(&listener));

    let talks: Vec<_> = (0..CLIENTS)
        .map(|number| gopark::spawn(move || talk(addr, number)))
        .collect();
    for talk in talks {
        talk.join().expect("a talk does not panic")?;
    }
    let texts = CLIENTS * TEXTS;
    println!("{CLIENTS} clients heard {texts} texts and {CLIENTS} blobs of {BLOB_BYTES} bytes");
    println!("every one was answered its ping, and said goodbye");
    Ok(())
}

fn serve(listener: &TcpListener) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            // Such as for want of descriptors: some will be closed.
            gopark::time::sleep(PAUSE);
            continue;
        };
        gopark::go(move || {
            // A connection that fails, or ends, is the client's affair: the others go on.
            let _ = echo(stream);
        });
    }
}

/// Sends back what comes. An end, also a proper one, is an error of tungstenite's.
fn echo(stream: TcpStream) -> Outcome<()> {
    stream.set_nodelay(true)?;
    let mut socket = tungstenite::accept(stream)?;
    loop {
        let message = socket.read()?;
        // tungstenite answers pings and goodbyes itself, at the next read.
        if message.is_text() || message.is_binary() {
            socket.send(message)?;
        }
    }
}

/// One connection.
fn talk(addr: SocketAddr, number: usize) -> Outcome<()> {
    let stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    let (mut socket, _) = tungstenite::client(format!("ws://{addr}/"), stream)?;
    let mut ask = |message: Message, expected: Message| -> Outcome<()> {
        socket.send(message)?;
        match socket.read()? {
            answer if answer == expected => Ok(()),
            answer => Err(format!("client {number} got {} bytes more", answer.len()).into()),
        }
    };
    for text in 0..TEXTS {
        let text = Message::text(format!("text {text} of client {number}"));
        ask(text.clone(), text)?;
    }
    let blob = Message::binary(vec![number as u8; BLOB_BYTES]);
    ask(blob.clone(), blob)?;
    let data = Bytes::from_static(b"are you there?");
    ask(Message::Ping(data.clone()), Message::Pong(data))?;
    ask(Message::Close(None), Message::Close(None))?;
    // The server closes the connection first.
    match socket.read() {
        Err(tungstenite::Error::ConnectionClosed) => Ok(()),
        other => Err(format!("client {number} was not left: {other:?}").into()),
    }
}
