//! Why goroutines wait: for reports.

/// Why a goroutine waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Wait {
    None,
    Park,
    Raw,
    Join,
    Sleep,
    Read,
    Write,
    Mutex,
    ReadLock,
    WriteLock,
    Condvar,
    Once,
    Barrier,
    Semaphore,
    Group,
    Notify,
    Cancellation,
    Channel,
    Timer,
    Never,
    Select,
    Blocking,
}

impl Wait {
    /// As reports say it.
    pub(crate) const TEXTS: [&str; 22] = [
        "runnable",
        "park",
        "raw park",
        "join",
        "sleep",
        "IO wait, read",
        "IO wait, write",
        "mutex",
        "rwlock, read",
        "rwlock, write",
        "condvar",
        "once",
        "barrier",
        "semaphore",
        "wait group",
        "notify",
        "cancellation",
        "channel",
        "channel, timer",
        "channel, never",
        "select",
        "blocking",
    ];
}
