//! `select!` and `select_biased!`.
//!
//! The arms are read one after the other (`@read`), each into the form
//! `(recv|send (arguments) (pattern) {body})`; then the channel expressions are evaluated in order,
//! in nested matches, so that temporaries live long enough (`@open`); at the bottom the operations
//! are selected from, and a chain of ifs finds the body (`@end`).
//!
//! The message of a send is evaluated when its arm was selected, as crossbeam-channel does: a value
//! that is not sent is not moved.

/// Waits for the first of several operations, completes it, and evaluates its arm.
///
/// ```text
/// select! {
///     recv(receiver) -> message => body,          // message: Result<T, RecvError>
///     send(sender, value) -> result => body,      // result: Result<(), SendError<T>>
///     default => body,                            // when none is ready now
///     default(timeout) => body,                   // when none is ready for so long
/// }
/// ```
///
/// There may be 32 arms, of which one is `default`; without it the select waits. Of several
/// operations that are ready a random one is selected. The value of the macro is that of the body.
/// `value` is evaluated after its arm has been selected. An operation is ready, too, when it would
/// fail. A select that sends and receives at one channel does not meet itself.
///
/// ```
/// let (s, r) = gopark::chan::unbounded();
/// s.send(7).unwrap();
/// let got = gopark::select! {
///     recv(r) -> message => message.unwrap(),
///     recv(gopark::chan::after(std::time::Duration::from_secs(9))) -> _ => 0,
/// };
/// assert_eq!(got, 7);
/// ```
#[macro_export]
macro_rules! select {
    ($($arms:tt)*) => {
        $crate::__gopark_select!(@read Random [] [] $($arms)*)
    };
}

/// As [`select!`](crate::select!), but of several operations that are ready the first that is
/// written is selected.
#[macro_export]
macro_rules! select_biased {
    ($($arms:tt)*) => {
        $crate::__gopark_select!(@read Given [] [] $($arms)*)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __gopark_select {
    // Reads `default`.
    (@read $order:ident $arms:tt [] default => $($rest:tt)*) => {
        $crate::__gopark_select!(@read $order $arms [] default() => $($rest)*)
    };
    (@read $order:ident $arms:tt []
        default($($time:expr)? $(,)?) => {$($body:tt)*}, $($rest:tt)*
    ) => {
        $crate::__gopark_select!(@read $order $arms [($($time)?) {$($body)*}] $($rest)*)
    };
    (@read $order:ident $arms:tt [] default($($time:expr)? $(,)?) => $body:expr, $($rest:tt)*) => {
        $crate::__gopark_select!(@read $order $arms [($($time)?) {$body}] $($rest)*)
    };
    (@read $order:ident $arms:tt []
        default($($time:expr)? $(,)?) => {$($body:tt)*} $($rest:tt)*
    ) => {
        $crate::__gopark_select!(@read $order $arms [($($time)?) {$($body)*}] $($rest)*)
    };
    (@read $order:ident $arms:tt [] default($($time:expr)? $(,)?) => $body:expr) => {
        $crate::__gopark_select!(@read $order $arms [($($time)?) {$body}])
    };
    (@read $order:ident $arms:tt [$($default:tt)+] default $($rest:tt)*) => {
        compile_error!("there can be only one `default` arm in a `select!`")
    };
    // Reads an operation.
    (@read $order:ident [$($arms:tt)*] $default:tt
        $op:ident($($args:tt)*) -> $result:pat => {$($body:tt)*}, $($rest:tt)*
    ) => {
        $crate::__gopark_select!(
            @read $order [$($arms)* ($op ($($args)*) ($result) {$($body)*})] $default $($rest)*
        )
    };
    (@read $order:ident [$($arms:tt)*] $default:tt
        $op:ident($($args:tt)*) -> $result:pat => $body:expr, $($rest:tt)*
    ) => {
        $crate::__gopark_select!(
            @read $order [$($arms)* ($op ($($args)*) ($result) {$body})] $default $($rest)*
        )
    };
    (@read $order:ident [$($arms:tt)*] $default:tt
        $op:ident($($args:tt)*) -> $result:pat => {$($body:tt)*} $($rest:tt)*
    ) => {
        $crate::__gopark_select!(
            @read $order [$($arms)* ($op ($($args)*) ($result) {$($body)*})] $default $($rest)*
        )
    };
    (@read $order:ident [$($arms:tt)*] $default:tt
        $op:ident($($args:tt)*) -> $result:pat => $body:expr
    ) => {
        $crate::__gopark_select!(
            @read $order [$($arms)* ($op ($($args)*) ($result) {$body})] $default
        )
    };
    // All is read. One receive needs no select.
    (@read $order:ident [(recv ($r:expr $(,)?) ($result:pat) $body:tt)] []) => {
        match $r { ref receiver => {
            let receiver: &$crate::chan::Receiver<_> = receiver;
            let $result = receiver.recv();
            $body
        }}
    };
    (@read $order:ident [(recv ($r:expr $(,)?) ($result:pat) $body:tt)] [() $default:tt]) => {
        match $r { ref receiver => {
            let receiver: &$crate::chan::Receiver<_> = receiver;
            match receiver.try_recv() {
                ::std::result::Result::Err($crate::chan::TryRecvError::Empty) => $default
                received => {
                    let $result = received.map_err(|_| $crate::chan::RecvError);
                    $body
                }
            }
        }}
    };
    (@read $order:ident $arms:tt $default:tt) => {
        $crate::__gopark_select!(
            @open $order $arms $default []
            (0usize a0) (1usize a1) (2usize a2) (3usize a3) (4usize a4) (5usize a5) (6usize a6)
            (7usize a7) (8usize a8) (9usize a9) (10usize a10) (11usize a11) (12usize a12)
            (13usize a13) (14usize a14) (15usize a15) (16usize a16) (17usize a17) (18usize a18)
            (19usize a19) (20usize a20) (21usize a21) (22usize a22) (23usize a23) (24usize a24)
            (25usize a25) (26usize a26) (27usize a27) (28usize a28) (29usize a29) (30usize a30)
            (31usize a31)
        )
    };
    (@read $order:ident $arms:tt $default:tt $($rest:tt)*) => {
        compile_error!(concat!(
            "expected `recv(receiver) -> pattern => body`, ",
            "`send(sender, value) -> pattern => body`, `default => body` or ",
            "`default(timeout) => body`, with a comma after a body that is no block; found `",
            stringify!($($rest)*), "`"
        ))
    };

    // Evaluates the channels.
    (@open $order:ident [(recv ($r:expr $(,)?) ($result:pat) $body:tt) $($arms:tt)*] $default:tt
        [$($done:tt)*] ($at:literal $name:ident) $($names:tt)*
    ) => {
        match $r { ref receiver => {
            let $name = $crate::chan::internal::Receiving::new(receiver);
            $crate::__gopark_select!(
                @open $order [$($arms)*] $default
                [$($done)* (recv $at $name ($result) $body)] $($names)*
            )
        }}
    };
    (@open $order:ident [(send ($s:expr, $m:expr $(,)?) ($result:pat) $body:tt) $($arms:tt)*]
        $default:tt [$($done:tt)*] ($at:literal $name:ident) $($names:tt)*
    ) => {
        match $s { ref sender => {
            let $name: &$crate::chan::Sender<_> = sender;
            $crate::__gopark_select!(
                @open $order [$($arms)*] $default
                [$($done)* (send $at $name ($m) ($result) $body)] $($names)*
            )
        }}
    };
    (@open $order:ident [] $default:tt [$(($op:ident $at:literal $name:ident $($rest:tt)*))*]
        $($names:tt)*
    ) => {
        $crate::__gopark_select!(
            @end $order [$($crate::__gopark_select!(@case $op $name)),*] $default
            $(($op $at $name $($rest)*))*
        )
    };
    (@open $order:ident [$($arms:tt)+] $default:tt $done:tt) => {
        compile_error!("too many arms in a `select!`: there may be 32")
    };
    (@open $order:ident [($op:ident ($($args:tt)*) $($rest:tt)*) $($arms:tt)*] $($other:tt)*) => {
        compile_error!(concat!(
            "expected `recv(receiver)` or `send(sender, value)`, found `",
            stringify!($op), "(", stringify!($($args)*), ")`"
        ))
    };
    (@case recv $name:ident) => {
        $crate::chan::internal::Arm::recv(&$name)
    };
    (@case send $name:ident) => {
        $crate::chan::internal::Arm::send($name)
    };

    // Selects.
    (@end $order:ident $cases:tt [] $($arms:tt)*) => {{
        let selected = $crate::chan::internal::select::<{
            $crate::__gopark_select!(@count $($arms)*)
        }>(&$cases, $crate::chan::internal::Order::$order);
        $crate::__gopark_select!(@body selected $($arms)*)
    }};
    (@end $order:ident $cases:tt [() $default:tt] $($arms:tt)*) => {{
        let selected = $crate::chan::internal::try_select::<{
            $crate::__gopark_select!(@count $($arms)*)
        }>(&$cases, $crate::chan::internal::Order::$order);
        match selected {
            ::std::option::Option::None => $default
            ::std::option::Option::Some(selected) => {
                $crate::__gopark_select!(@body selected $($arms)*)
            }
        }
    }};
    (@end $order:ident $cases:tt [($time:expr) $default:tt] $($arms:tt)*) => {{
        let selected = $crate::chan::internal::select_timeout::<{
            $crate::__gopark_select!(@count $($arms)*)
        }>(&$cases, $crate::chan::internal::Order::$order, $time);
        match selected {
            ::std::option::Option::None => $default
            ::std::option::Option::Some(selected) => {
                $crate::__gopark_select!(@body selected $($arms)*)
            }
        }
    }};
    (@count $($arms:tt)*) => {
        0usize $(+ $crate::__gopark_select!(@one $arms))*
    };
    (@one $arm:tt) => { 1usize };

    // Completes.
    (@body $selected:ident (recv $at:literal $name:ident ($result:pat) $body:tt) $($arms:tt)*) => {
        if $selected.index() == $at {
            let $result = $selected.recv($name);
            $body
        } else {
            $crate::__gopark_select!(@body $selected $($arms)*)
        }
    };
    (@body $selected:ident
        (send $at:literal $name:ident ($m:expr) ($result:pat) $body:tt) $($arms:tt)*
    ) => {
        if $selected.index() == $at {
            let $result = {
                let sending = $selected.send($name);
                sending.complete($m)
            };
            $body
        } else {
            $crate::__gopark_select!(@body $selected $($arms)*)
        }
    };
    (@body $selected:ident) => {
        ::std::unreachable!("an arm was selected")
    };
}
