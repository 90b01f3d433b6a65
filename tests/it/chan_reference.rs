//! Random operations on one thread, against a model of a channel in a few lines: what each gives,
//! what the channel says of itself after it, and that each message is dropped once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gopark::chan::{
    self, Receiver, RecvTimeoutError, Select, SendTimeoutError, Sender, TryRecvError, TrySendError,
};
use gopark::select;
use gopark_tests::run;
use proptest::prelude::*;

/// The way in which one operation is done.
#[derive(Clone, Copy, Debug)]
enum Way {
    Try,
    NoTime,
    Macro,
    Dynamic,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Send(Way),
    Recv(Way),
    /// Both sides of the channel in one select.
    Both,
    Drain,
    CloneSender,
    CloneReceiver,
    DropSender,
    DropReceiver,
    CloseBySender,
    CloseByReceiver,
}

fn op() -> impl Strategy<Value = Op> {
    let way = || {
        prop_oneof![
            4 => Just(Way::Try),
            1 => Just(Way::NoTime),
            2 => Just(Way::Macro),
            2 => Just(Way::Dynamic),
        ]
    };
    prop_oneof![
        40 => way().prop_map(Op::Send),
        30 => way().prop_map(Op::Recv),
        5 => Just(Op::Both),
        2 => Just(Op::Drain),
        4 => Just(Op::CloneSender),
        4 => Just(Op::CloneReceiver),
        4 => Just(Op::DropSender),
        4 => Just(Op::DropReceiver),
        1 => Just(Op::CloseBySender),
        1 => Just(Op::CloseByReceiver),
    ]
}

/// How an operation that does not wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Sent,
    Received(u32),
    NotReady,
    Disconnected,
}

/// What a channel is.
struct Model {
    cap: Option<usize>,
    messages: VecDeque<u32>,
    is_closed: bool,
    senders: usize,
    receivers: usize,
}

impl Model {
    fn has_room(&self) -> bool {
        self.cap.is_none_or(|cap| self.messages.len() < cap)
    }

    fn send(&mut self, message: u32) -> Ended {
        if self.is_closed {
            return Ended::Disconnected;
        }
        if !self.has_room() {
            return Ended::NotReady;
        }
        self.messages.push_back(message);
        Ended::Sent
    }

    fn recv(&mut self) -> Ended {
        match self.messages.pop_front() {
            Some(message) => Ended::Received(message),
            None if self.is_closed => Ended::Disconnected,
            None => Ended::NotReady,
        }
    }

    fn drop_sender(&mut self) {
        self.senders -= 1;
        self.is_closed |= self.senders == 0;
    }

    fn drop_receiver(&mut self) {
        self.receivers -= 1;
        if self.receivers == 0 {
            self.is_closed = true;
            self.messages.clear();
        }
    }

    fn close(&mut self) -> bool {
        !std::mem::replace(&mut self.is_closed, true)
    }

    /// Length, whether it is empty, whether it is full, capacity.
    fn looks(&self) -> (usize, bool, bool, Option<usize>) {
        let len = self.messages.len();
        (len, len == 0, Some(len) == self.cap, self.cap)
    }
}

/// A message that counts its drop.
struct Message(u32, Arc<AtomicUsize>);

impl Drop for Message {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

fn send(s: &Sender<Message>, message: Message, way: Way) -> Ended {
    let number = message.0;
    let back = match way {
        Way::Try => match s.try_send(message) {
            Ok(()) => return Ended::Sent,
            Err(TrySendError::Full(back)) => (Ended::NotReady, back),
            Err(TrySendError::Disconnected(back)) => (Ended::Disconnected, back),
        },
        Way::NoTime => match s.send_timeout(message, Duration::ZERO) {
            Ok(()) => return Ended::Sent,
            Err(SendTimeoutError::Timeout(back)) => (Ended::NotReady, back),
            Err(SendTimeoutError::Disconnected(back)) => (Ended::Disconnected, back),
        },
        Way::Macro => select! {
            send(s, message) -> sent => match sent {
                Ok(()) => return Ended::Sent,
                Err(error) => (Ended::Disconnected, error.into_inner()),
            },
            default => (Ended::NotReady, message),
        },
        Way::Dynamic => {
            let mut select = Select::new();
            select.send(s);
            match select
                .try_select()
                .map(|operation| operation.send(s, message))
            {
                Ok(Ok(())) => return Ended::Sent,
                Ok(Err(error)) => (Ended::Disconnected, error.into_inner()),
                Err(_) => return Ended::NotReady,
            }
        }
    };
    assert_eq!(back.1.0, number, "the message comes back");
    back.0
}

fn recv(r: &Receiver<Message>, way: Way) -> Ended {
    let got = match way {
        Way::Try => r.try_recv(),
        Way::NoTime => r.recv_timeout(Duration::ZERO).map_err(|error| match error {
            RecvTimeoutError::Timeout => TryRecvError::Empty,
            RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
        }),
        Way::Macro => select! {
            recv(r) -> got => got.map_err(|_| TryRecvError::Disconnected),
            default => Err(TryRecvError::Empty),
        },
        Way::Dynamic => {
            let mut select = Select::new();
            select.recv(r);
            match select.try_select() {
                Ok(operation) => operation.recv(r).map_err(|_| TryRecvError::Disconnected),
                Err(_) => Err(TryRecvError::Empty),
            }
        }
    };
    match got {
        Ok(message) => Ended::Received(message.0),
        Err(TryRecvError::Empty) => Ended::NotReady,
        Err(TryRecvError::Disconnected) => Ended::Disconnected,
    }
}

/// A channel and its model, with all handles that there are.
struct Play {
    model: Model,
    senders: Vec<Sender<Message>>,
    receivers: Vec<Receiver<Message>>,
    drops: Arc<AtomicUsize>,
    made: usize,
}

impl Play {
    fn new(cap: Option<usize>) -> Play {
        let (s, r) = cap.map_or_else(chan::unbounded, chan::bounded);
        let model = Model {
            cap,
            messages: VecDeque::new(),
            is_closed: false,
            senders: 1,
            receivers: 1,
        };
        Play {
            model,
            senders: vec![s],
            receivers: vec![r],
            drops: Arc::new(AtomicUsize::new(0)),
            made: 0,
        }
    }

    fn message(&mut self) -> Message {
        self.made += 1;
        Message(self.made as u32, Arc::clone(&self.drops))
    }

    /// Does one operation, by the handle that is the oldest of its side.
    fn step(&mut self, op: Op) {
        match op {
            Op::Send(way) if !self.senders.is_empty() => {
                let message = self.message();
                let expected = self.model.send(message.0);
                assert_eq!(send(&self.senders[0], message, way), expected, "{op:?}");
            }
            Op::Recv(way) if !self.receivers.is_empty() => {
                assert_eq!(recv(&self.receivers[0], way), self.model.recv(), "{op:?}");
            }
            Op::Both if !self.senders.is_empty() && !self.receivers.is_empty() => self.both(),
            Op::Drain if !self.receivers.is_empty() => {
                let got = self.receivers[0].try_iter().map(|message| message.0);
                assert!(got.eq(self.model.messages.drain(..)), "{op:?}");
            }
            Op::CloneSender if !self.senders.is_empty() => {
                self.senders.push(self.senders[0].clone());
                self.model.senders += 1;
            }
            Op::CloneReceiver if !self.receivers.is_empty() => {
                self.receivers.push(self.receivers[0].clone());
                self.model.receivers += 1;
            }
            Op::DropSender if !self.senders.is_empty() => {
                self.senders.remove(0);
                self.model.drop_sender();
            }
            Op::DropReceiver if !self.receivers.is_empty() => {
                self.receivers.remove(0);
                self.model.drop_receiver();
            }
            Op::CloseBySender if !self.senders.is_empty() => {
                assert_eq!(self.senders[0].close(), self.model.close());
            }
            Op::CloseByReceiver if !self.receivers.is_empty() => {
                assert_eq!(self.receivers[0].close(), self.model.close());
            }
            _ => {}
        }
        self.compare(op);
    }

    /// One that is ready is done; neither is where both would wait: it does not meet itself.
    fn both(&mut self) {
        let message = self.message();
        let number = message.0;
        let (s, r) = (&self.senders[0], &self.receivers[0]);
        let ended = select! {
            send(s, message) -> sent => (true, sent.map_or(Ended::Disconnected, |()| Ended::Sent)),
            recv(r) -> got => {
                (false, got.map_or(Ended::Disconnected, |message| Ended::Received(message.0)))
            }
            default => (true, Ended::NotReady),
        };
        let is_ready = self.model.is_closed || self.model.has_room() || self.model.looks().0 > 0;
        match ended {
            (_, Ended::NotReady) => assert!(!is_ready, "one of them was ready"),
            (true, ended) => assert_eq!(ended, self.model.send(number)),
            (false, ended) => assert_eq!(ended, self.model.recv()),
        }
    }

    fn compare(&self, op: Op) {
        let expected = self.model.looks();
        for s in &self.senders {
            let looks = (s.len(), s.is_empty(), s.is_full(), s.capacity());
            assert_eq!(looks, expected, "a sender after {op:?}");
            assert!(s.same_channel(&self.senders[0]));
        }
        for r in &self.receivers {
            let looks = (r.len(), r.is_empty(), r.is_full(), r.capacity());
            assert_eq!(looks, expected, "a receiver after {op:?}");
            assert!(r.same_channel(&self.receivers[0]));
        }
        // What nobody can receive any more is dropped with the last receiver.
        let dropped = self.drops.load(Ordering::Relaxed);
        assert_eq!(dropped, self.made - self.model.messages.len(), "{op:?}");
    }
}

fn play(cap: Option<usize>, ops: &[Op]) {
    let mut play = Play::new(cap);
    ops.iter().for_each(|&op| play.step(op));
    let (drops, made) = (Arc::clone(&play.drops), play.made);
    drop(play);
    assert_eq!(
        drops.load(Ordering::Relaxed),
        made,
        "all are dropped at the end"
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(400)
    })]

    #[test]
    fn a_channel_does_what_its_model_does(
        cap in prop_oneof![Just(None), (0..5_usize).prop_map(Some), Just(Some(40))],
        ops in prop::collection::vec(op(), 1..200),
    ) {
        play(cap, &ops);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(30)
    })]

    #[test]
    fn it_does_so_on_goroutines(
        plays in prop::collection::vec(
            (prop::option::of(0..4_usize), prop::collection::vec(op(), 1..100)),
            8,
        ),
    ) {
        run(2, || {
            let all: Vec<_> = plays
                .into_iter()
                .map(|(cap, ops)| gopark::spawn(move || play(cap, &ops)))
                .collect();
            all.into_iter().for_each(|one| one.join().unwrap());
        });
    }
}
