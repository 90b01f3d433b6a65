//! What the operations of channels fail with: crossbeam-channel's types, with the same methods.

use std::error::Error;
use std::fmt;

/// The error of [`Sender::send`](super::Sender::send): the channel is closed, or has no receivers.
/// Gives the message back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

/// The error of [`Sender::try_send`](super::Sender::try_send).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// There is no room, or, without a buffer, nobody who receives.
    Full(T),
    /// The channel is closed, or has no receivers.
    Disconnected(T),
}

/// The error of [`Sender::send_timeout`](super::Sender::send_timeout) and
/// [`Sender::send_deadline`](super::Sender::send_deadline).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendTimeoutError<T> {
    /// The time was over first.
    Timeout(T),
    /// The channel is closed, or has no receivers.
    Disconnected(T),
}

/// The error of [`Receiver::recv`](super::Receiver::recv): the channel is empty, and closed or
/// without senders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvError;

/// The error of [`Receiver::try_recv`](super::Receiver::try_recv).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// There is no message, or, without a buffer, nobody who sends.
    Empty,
    /// The channel is empty, and closed or without senders.
    Disconnected,
}

/// The error of [`Receiver::recv_timeout`](super::Receiver::recv_timeout) and
/// [`Receiver::recv_deadline`](super::Receiver::recv_deadline).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvTimeoutError {
    /// The time was over first.
    Timeout,
    /// The channel is empty, and closed or without senders.
    Disconnected,
}

/// The error of [`Select::try_select`](super::Select::try_select): no operation is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrySelectError;

/// The error of [`Select::select_timeout`](super::Select::select_timeout) and
/// [`Select::select_deadline`](super::Select::select_deadline): the time was over first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelectTimeoutError;

/// No operation is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TryReadyError;

/// No operation became ready in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadyTimeoutError;

const NO_RECEIVERS: &str = "sending on a disconnected channel";
const NO_SENDERS: &str = "receiving on an empty and disconnected channel";

/// `Debug` without the message, `Display`, `Error`.
macro_rules! describe {
    ($name:ident<T>, $($shown:pat => $debug:literal, $text:expr;)+) => {
        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($shown => $debug,)+ })
            }
        }

        impl<T> fmt::Display for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($shown => $text,)+ })
            }
        }

        impl<T> Error for $name<T> {}
    };
    ($name:ident, $($shown:pat => $text:expr;)+) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($shown => $text,)+ })
            }
        }

        impl Error for $name {}
    };
}

describe!(SendError<T>, SendError(_) => "SendError(..)", NO_RECEIVERS;);
describe!(
    TrySendError<T>,
    TrySendError::Full(_) => "Full(..)", "sending on a full channel";
    TrySendError::Disconnected(_) => "Disconnected(..)", NO_RECEIVERS;
);
describe!(
    SendTimeoutError<T>,
    SendTimeoutError::Timeout(_) => "Timeout(..)", "timed out waiting on send operation";
    SendTimeoutError::Disconnected(_) => "Disconnected(..)", NO_RECEIVERS;
);
describe!(RecvError, RecvError => NO_SENDERS;);
describe!(
    TryRecvError,
    TryRecvError::Empty => "receiving on an empty channel";
    TryRecvError::Disconnected => NO_SENDERS;
);
describe!(
    RecvTimeoutError,
    RecvTimeoutError::Timeout => "timed out waiting on receive operation";
    RecvTimeoutError::Disconnected => NO_SENDERS;
);
describe!(TrySelectError, TrySelectError => "all operations in select would block";);
describe!(SelectTimeoutError, SelectTimeoutError => "timed out waiting on select";);
describe!(TryReadyError, TryReadyError => "all operations in select would block";);
describe!(ReadyTimeoutError, ReadyTimeoutError => "timed out waiting on select";);

impl<T> SendError<T> {
    /// The message.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> TrySendError<T> {
    /// The message.
    pub fn into_inner(self) -> T {
        match self {
            TrySendError::Full(value) | TrySendError::Disconnected(value) => value,
        }
    }

    /// Whether it is [`TrySendError::Full`].
    pub fn is_full(&self) -> bool {
        matches!(self, TrySendError::Full(_))
    }

    /// Whether it is [`TrySendError::Disconnected`].
    pub fn is_disconnected(&self) -> bool {
        matches!(self, TrySendError::Disconnected(_))
    }
}

impl<T> From<SendError<T>> for TrySendError<T> {
    fn from(error: SendError<T>) -> TrySendError<T> {
        TrySendError::Disconnected(error.0)
    }
}

impl<T> SendTimeoutError<T> {
    /// The message.
    pub fn into_inner(self) -> T {
        match self {
            SendTimeoutError::Timeout(value) | SendTimeoutError::Disconnected(value) => value,
        }
    }

    /// Whether it is [`SendTimeoutError::Timeout`].
    pub fn is_timeout(&self) -> bool {
        matches!(self, SendTimeoutError::Timeout(_))
    }

    /// Whether it is [`SendTimeoutError::Disconnected`].
    pub fn is_disconnected(&self) -> bool {
        matches!(self, SendTimeoutError::Disconnected(_))
    }
}

impl<T> From<SendError<T>> for SendTimeoutError<T> {
    fn from(error: SendError<T>) -> SendTimeoutError<T> {
        SendTimeoutError::Disconnected(error.0)
    }
}

impl TryRecvError {
    /// Whether it is [`TryRecvError::Empty`].
    pub fn is_empty(&self) -> bool {
        *self == TryRecvError::Empty
    }

    /// Whether it is [`TryRecvError::Disconnected`].
    pub fn is_disconnected(&self) -> bool {
        *self == TryRecvError::Disconnected
    }
}

impl From<RecvError> for TryRecvError {
    fn from(RecvError: RecvError) -> TryRecvError {
        TryRecvError::Disconnected
    }
}

impl RecvTimeoutError {
    /// Whether it is [`RecvTimeoutError::Timeout`].
    pub fn is_timeout(&self) -> bool {
        *self == RecvTimeoutError::Timeout
    }

    /// Whether it is [`RecvTimeoutError::Disconnected`].
    pub fn is_disconnected(&self) -> bool {
        *self == RecvTimeoutError::Disconnected
    }
}

impl From<RecvError> for RecvTimeoutError {
    fn from(RecvError: RecvError) -> RecvTimeoutError {
        RecvTimeoutError::Disconnected
    }
}
