//! Tasks of smol, and its sockets.

use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_executor::Task;
use async_io::Async;
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Client, Race};
use crate::peers::smol::spawn;
use crate::peers::sockets::Pairs;

/// Latencies of each client.
pub(super) async fn race(pairs: Pairs, race: Arc<Race>) -> io::Result<Vec<Vec<Duration>>> {
    let servers = spawn_servers(pairs.servers, race.load.bytes)?;
    let clients = pairs.clients.into_iter().map(|stream| {
        let stream = Async::new(stream)?;
        Ok(spawn(run_client(stream, race.client())))
    });
    let clients: io::Result<Vec<_>> = clients.collect();
    race.begin();
    let mut found = Vec::new();
    for client in clients? {
        found.push(client.await?);
    }
    join_all(servers).await?;
    Ok(found)
}

/// Servers alone, until all clients are gone.
pub(super) async fn serve(streams: Vec<TcpStream>, bytes: usize) -> io::Result<()> {
    join_all(spawn_servers(streams, bytes)?).await
}

type Servers = Vec<Task<io::Result<()>>>;

fn spawn_servers(streams: Vec<TcpStream>, bytes: usize) -> io::Result<Servers> {
    let servers = streams.into_iter().map(|stream| {
        let stream = Async::new(stream)?;
        Ok(spawn(run_server(stream, bytes)))
    });
    servers.collect()
}

async fn join_all(servers: Servers) -> io::Result<()> {
    for server in servers {
        server.await?;
    }
    Ok(())
}

async fn run_client(mut stream: Async<TcpStream>, mut client: Client) -> io::Result<Vec<Duration>> {
    let mut sent = Some(Instant::now());
    while let Some(at) = sent {
        stream.write_all(&client.message).await?;
        stream.read_exact(&mut client.answer).await?;
        sent = client.answered(at);
    }
    Ok(client.latencies)
}

async fn run_server(mut stream: Async<TcpStream>, bytes: usize) -> io::Result<()> {
    let mut buffer = vec![0; bytes];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) => return Ok(()),
            Ok(count) => stream.write_all(&buffer[..count]).await?,
            // The way in which these clients leave.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
