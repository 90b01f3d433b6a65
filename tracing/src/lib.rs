//! Makes spans of the [`tracing`](https://docs.rs/tracing) crate follow [gopark]'s goroutines.
//!
//! Subscribers keep the current span in a thread-local. A goroutine that is suspended inside a span
//! leaves the span behind on the thread, and the next goroutine there runs inside it; the suspended
//! goroutine goes on inside the span of another. So `#[instrument]`, `Span::enter` and `in_scope`
//! are wrong on goroutines, unless the subscriber is wrapped in [`PerGoroutine`]. Then a goroutine
//! exits its open spans at each suspension, and enters them where it goes on, as the futures of
//! `tracing`'s `Instrument` do at each poll.
//!
//! ```
//! use tracing_subscriber::util::SubscriberInitExt as _;
//! use gopark_tracing::PerGoroutine;
//!
//! #[tracing::instrument]
//! fn handle(n: u32) {
//!     gopark::yield_now();
//!     tracing::info!("still in the span of {n}");
//! }
//!
//! PerGoroutine::new(tracing_subscriber::fmt().finish()).init();
//! # unsafe { gopark::run(|| {
//! let all: Vec<_> = (0..10).map(|n| gopark::spawn(move || handle(n))).collect();
//! all.into_iter().for_each(|one| one.join().unwrap());
//! # }) }
//! ```
//!
//! # Spawned goroutines
//!
//! A new goroutine is in no span, like a new thread. To run it in the span of its spawner:
//!
//! ```
//! # unsafe { gopark::run(|| {
//! let span = tracing::Span::current();
//! gopark::spawn(move || span.in_scope(|| tracing::info!("in the same span"))).join().unwrap();
//! # }) }
//! ```
//!
//! # Scoped subscribers
//!
//! The guard of `tracing::subscriber::set_default` belongs to a thread. On a goroutine it is held
//! by [`gopark::with_entered`], which renews it around suspensions; `with_default` must not contain
//! a suspension.

mod open;
mod subscriber;

pub use subscriber::PerGoroutine;
