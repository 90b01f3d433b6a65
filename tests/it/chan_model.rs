//! Random operations on one thread do what crossbeam-channel does, message for message.

use std::fmt::Debug;
use std::time::Duration;

use gopark_tests::run;
use proptest::prelude::*;

/// What is done to both.
#[derive(Clone, Copy, Debug)]
enum Op {
    Send,
    Recv,
    SendTimeout,
    RecvTimeout,
    Drain,
    SelectSend,
    SelectRecv,
    Select,
    CloneAndDrop,
    DropSender,
    DropReceiver,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => Just(Op::Send),
        8 => Just(Op::Recv),
        1 => Just(Op::SendTimeout),
        1 => Just(Op::RecvTimeout),
        1 => Just(Op::Drain),
        6 => Just(Op::SelectSend),
        4 => Just(Op::SelectRecv),
        4 => Just(Op::Select),
        2 => Just(Op::CloneAndDrop),
        1 => Just(Op::DropSender),
        1 => Just(Op::DropReceiver),
    ]
}

/// A player of either crate: what each operation gave, as text.
macro_rules! player {
    ($name:ident, $chan:path, $select:path) => {
        fn $name(cap: Option<usize>, ops: &[Op]) -> Vec<String> {
            use $chan as chan;
            use $select as select;
            let (s, r) = match cap {
                Some(cap) => chan::bounded(cap),
                None => chan::unbounded(),
            };
            let (mut s, mut r) = (Some(s), Some(r));
            let mut next = 0_u32;
            let play = |op: &Op| {
                next += 1;
                let state = match (&s, &r) {
                    // Without receivers theirs still counts what it has dropped.
                    (Some(s), Some(_)) => (s.len(), s.is_empty(), s.is_full(), s.capacity()),
                    (_, Some(r)) => (r.len(), r.is_empty(), r.is_full(), r.capacity()),
                    (_, None) => (0, true, true, None),
                };
                let done: Box<dyn Debug> = match (*op, &s, &r) {
                    (Op::Send, Some(s), _) => Box::new(s.try_send(next)),
                    (Op::SendTimeout, Some(s), _) => {
                        let sent = s.send_timeout(next, TIME);
                        Box::new(sent.map_err(|error| (error.is_timeout(), error.into_inner())))
                    }
                    (Op::Recv, _, Some(r)) => Box::new(r.try_recv()),
                    (Op::RecvTimeout, _, Some(r)) => Box::new(r.recv_timeout(TIME)),
                    (Op::Drain, _, Some(r)) => Box::new(r.try_iter().collect::<Vec<_>>()),
                    (Op::SelectSend, Some(s), _) => select! {
                        send(s, next) -> sent => Box::new(sent),
                        default => Box::new(()),
                    },
                    (Op::SelectRecv, _, Some(r)) => select! {
                        recv(chan::never::<()>()) -> _ => Box::new("never"),
                        recv(r) -> got => Box::new(got),
                        default => Box::new(()),
                    },
                    (Op::Select, _, Some(r)) => {
                        let mut select = chan::Select::new();
                        let at = select.recv(r);
                        let selected = select.try_select();
                        Box::new(selected.map(|op| (op.index() == at, op.recv(r))))
                    }
                    (Op::CloneAndDrop, _, _) => {
                        drop((s.clone(), r.clone()));
                        Box::new(())
                    }
                    (Op::DropSender, _, _) => {
                        s = None;
                        Box::new(())
                    }
                    (Op::DropReceiver, _, _) => {
                        r = None;
                        Box::new(())
                    }
                    _ => Box::new("gone"),
                };
                // Theirs shows some errors as quoted text.
                format!("{op:?}: {state:?} {done:?}").replace('"', "")
            };
            ops.iter().map(play).collect()
        }
    };
}

const TIME: Duration = Duration::from_micros(1);

player!(ours, gopark::chan, gopark::select);
player!(theirs, crossbeam_channel, crossbeam_channel::select);

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(300)
    })]

    #[test]
    fn operations_do_what_those_of_crossbeam_do(
        cap in prop_oneof![Just(None), (0..5_usize).prop_map(Some)],
        ops in prop::collection::vec(op(), 1..120),
    ) {
        let model = theirs(cap, &ops);
        prop_assert_eq!(&ours(cap, &ops), &model);
    }
}

#[test]
fn the_same_on_a_goroutine() {
    let ops: Vec<_> = (0..2000)
        .map(|n| match n * n % 7 {
            0 | 1 => Op::Send,
            2 => Op::SelectSend,
            4 => Op::Recv,
            _ => Op::SelectRecv,
        })
        .collect();
    for cap in [None, Some(1), Some(10)] {
        assert_eq!(run(1, || ours(cap, &ops)), theirs(cap, &ops));
    }
}
