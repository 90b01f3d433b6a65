//! Channels: to and fro, one way, several, one of two.

use super::field::{Field, THREADS};
use super::{Peers, Workload};
use crate::measure::{Plan, Result};
use crate::peers::channels::pairs::{
    AHEAD, From, MPMC_CAP, Mpmc, PingPong, Ready, SIDES, SelectWait, Stream,
};
use crate::peers::channels::tasks;

pub(super) static PINGPONG: Workload = Workload {
    names: &["pingpong"],
    weight: 6,
    peers: pingpong,
    note: |_| {
        "a round trip between two, by two channels without a buffer (tokio has none: room for \
         one); goroutines on one P and on all, threads with crossbeam-channel pinned to one core \
         and, `-free`, where the kernel puts them, tokio with current_thread and with as many \
         workers as cores"
            .into()
    },
};

fn pingpong(_: &Plan) -> Result<Peers> {
    let scene = |round_trips| PingPong { round_trips };
    let mut field = Field::of("pingpong");
    field.goroutines(scene)?;
    field.threads(THREADS, scene);
    field.tasks(tasks::pingpong)?;
    Ok(field.peers)
}

/// A workload that streams: what it is called, the capacity, tokio's form if it has one.
macro_rules! stream {
    ($workload:ident, $name:literal, $cap:expr, $tasks:expr, $note:expr) => {
        pub(super) static $workload: Workload = Workload {
            names: &[$name],
            weight: 6,
            peers: |_| {
                let scene = |messages| Stream {
                    cap: $cap,
                    messages,
                };
                let mut field = Field::of($name);
                field.goroutines(scene)?;
                field.threads(THREADS, scene);
                let tasks: fn(&mut Field) -> Result<()> = $tasks;
                tasks(&mut field)?;
                Ok(field.peers)
            },
            note: |_| $note.into(),
        };
    };
}

stream!(
    STREAM_0,
    "stream-0",
    Some(0),
    |_| Ok(()),
    "a message from one to another by a channel without a buffer, from the first send until the \
     last is received; peers as above, tokio has no such channel"
);
stream!(
    STREAM_1,
    "stream-1",
    Some(1),
    |field| field.tasks(|messages| tasks::stream(1, messages)),
    "the same with room for one"
);
stream!(
    STREAM_128,
    "stream-128",
    Some(128),
    |field| field.tasks(|messages| tasks::stream(128, messages)),
    "the same with room for 128"
);
stream!(
    STREAM_UNBOUNDED,
    "stream-unbounded",
    None,
    |field| field.tasks(tasks::stream_unbounded),
    format!(
        "the same by a channel without a limit; after each {AHEAD} the sender waits until they \
         are received, so that memory does not grow"
    )
);

pub(super) static MPMC: Workload = Workload {
    names: &["mpmc"],
    weight: 5,
    peers: mpmc,
    note: |_| {
        format!(
            "{SIDES} send and {SIDES} receive at one channel with room for {MPMC_CAP}: from the \
             common start until all is received, by the messages of all; peers as above, tokio \
             has no such channel"
        )
    },
};

fn mpmc(_: &Plan) -> Result<Peers> {
    let scene = |messages| Mpmc { messages };
    let mut field = Field::of("mpmc");
    field.goroutines(scene)?;
    field.threads(THREADS, scene);
    Ok(field.peers)
}

pub(super) static SELECT_READY: Workload = Workload {
    names: &["recv-ready", "select-one", "select-ready"],
    weight: 10,
    peers: select_ready,
    note: |_| {
        "one goroutine, thread or task receives what is there already, by a plain receive; by a \
         select of two channels with something in one only; by a select of two with something in \
         both. Filling the channels does not count"
            .into()
    },
};

fn select_ready(_: &Plan) -> Result<Peers> {
    let ways = [From::Plain, From::OneOfTwo, From::BothOfTwo];
    let mut peers = Peers::new();
    for (name, from) in SELECT_READY.names.iter().zip(ways) {
        let scene = move |messages| Ready { from, messages };
        let mut field = Field::of(name);
        field.one_goroutine(scene)?;
        field.one_thread("thread", scene);
        field.one_task(move |messages| tasks::ready(from, messages))?;
        peers.append(&mut field.peers);
    }
    Ok(peers)
}

pub(super) static SELECT_WAIT: Workload = Workload {
    names: &["select-wait"],
    weight: 6,
    peers: select_wait,
    note: |_| {
        "as pingpong, but the answer comes by one of two channels in turn, and a select waits for \
         it"
        .into()
    },
};

fn select_wait(_: &Plan) -> Result<Peers> {
    let scene = |round_trips| SelectWait { round_trips };
    let mut field = Field::of("select-wait");
    field.goroutines(scene)?;
    field.threads(THREADS, scene);
    field.tasks(tasks::select_wait)?;
    Ok(field.peers)
}
