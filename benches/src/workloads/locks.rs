//! Locks, alone and with others.

use super::field::Field;
use super::{Peers, Workload};
use crate::measure::{Plan, Result};
use crate::peers::locks::{
    Alone, Contended, Mixed, MutexAlone, PARTIES, Section, WRITES_ONE_IN, Way, tasks,
};

const PARKING_LOT: [&str; 2] = ["parking_lot", "parking_lot-free"];
const STD: [&str; 2] = ["std", "std-free"];

pub(super) static MUTEX: Workload = Workload {
    names: &["mutex"],
    weight: 4,
    peers: mutex,
    note: |_| {
        "lock, add one, unlock, a mutex that nobody else wants; one goroutine, thread, task".into()
    },
};

fn mutex(_: &Plan) -> Result<Peers> {
    let mut field = Field::of("mutex");
    field.one_goroutine(MutexAlone::<gopark::sync::Mutex<u64>>::new)?;
    field.one_thread("parking_lot", MutexAlone::<parking_lot::Mutex<u64>>::new);
    field.one_thread("std", MutexAlone::<std::sync::Mutex<u64>>::new);
    field.one_task(tasks::mutex_alone)?;
    Ok(field.peers)
}

/// A mutex that several want: what it is called, what they do with it.
macro_rules! contended {
    ($workload:ident, $name:literal, $section:expr, $note:expr) => {
        pub(super) static $workload: Workload = Workload {
            names: &[$name],
            weight: 8,
            peers: |_| contended($name, $section),
            note: |_| $note,
        };
    };
}

contended!(
    MUTEX_CONTENDED,
    "mutex-contended",
    Section::Short,
    format!(
        "{PARTIES} goroutines, threads or tasks lock a mutex, work a little, unlock it, work three \
         times as much; from the common start until all are done, by the locks of all; on one core \
         they meet only where a slice ends"
    )
);
contended!(
    MUTEX_BLOCKED,
    "mutex-blocked",
    Section::Yield,
    "the same, but whoever holds the mutex yields, so that all others come and block".into()
);

fn contended(name: &'static str, section: Section) -> Result<Peers> {
    let mut field = Field::of(name);
    field.goroutines(move |count| Contended::<gopark::sync::Mutex<u64>>::new(section, count))?;
    field.threads(PARKING_LOT, move |count| {
        Contended::<parking_lot::Mutex<u64>>::new(section, count)
    });
    field.threads(STD, move |count| {
        Contended::<std::sync::Mutex<u64>>::new(section, count)
    });
    field.tasks(move |count| tasks::contended(section, count))?;
    Ok(field.peers)
}

pub(super) static RWLOCK_READ: Workload = Workload {
    names: &["rwlock-read"],
    weight: 4,
    peers: |_| alone("rwlock-read", Way::Read),
    note: |_| {
        "lock for reading, look, unlock, a lock for readers and writers that nobody else wants; \
         one goroutine, thread, task"
            .into()
    },
};

pub(super) static RWLOCK_WRITE: Workload = Workload {
    names: &["rwlock-write"],
    weight: 4,
    peers: |_| alone("rwlock-write", Way::Write),
    note: |_| "the same for writing".into(),
};

fn alone(name: &'static str, way: Way) -> Result<Peers> {
    let mut field = Field::of(name);
    field.one_goroutine(move |count| Alone::<gopark::sync::RwLock<u64>>::new(way, count))?;
    field.one_thread("parking_lot", move |count| {
        Alone::<parking_lot::RwLock<u64>>::new(way, count)
    });
    field.one_thread("std", move |count| {
        Alone::<std::sync::RwLock<u64>>::new(way, count)
    });
    field.one_task(move |count| tasks::alone(way, count))?;
    Ok(field.peers)
}

pub(super) static RWLOCK_MIXED: Workload = Workload {
    names: &["rwlock-mixed"],
    weight: 8,
    peers: mixed,
    note: |_| {
        format!(
            "as mutex-contended, with a lock for readers and writers: one operation in \
             {WRITES_ONE_IN} writes"
        )
    },
};

fn mixed(_: &Plan) -> Result<Peers> {
    let mut field = Field::of("rwlock-mixed");
    field.goroutines(Mixed::<gopark::sync::RwLock<u64>>::new)?;
    field.threads(PARKING_LOT, Mixed::<parking_lot::RwLock<u64>>::new);
    field.threads(STD, Mixed::<std::sync::RwLock<u64>>::new);
    field.tasks(tasks::mixed)?;
    Ok(field.peers)
}
