//! The spans that a goroutine has entered and not exited yet.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use gopark::SwitchGuard;
use tracing_core::Subscriber;
use tracing_core::span::Id;

/// A subscriber as its entered spans keep it.
pub(crate) type Shared = Arc<dyn Subscriber + Send + Sync>;

/// The part of a subscriber that is told of suspensions.
pub(crate) type Told =
    fn(&(dyn Subscriber + Send + Sync)) -> Option<&(dyn Subscriber + Send + Sync)>;

/// An entered span. It is kept open: a guard may be forgotten, and the span dropped.
struct Entered {
    subscriber: Shared,
    told: Told,
    id: Id,
}

impl Entered {
    fn tell(&self, what: impl FnOnce(&dyn Subscriber, &Id)) {
        if let Some(told) = (self.told)(&*self.subscriber) {
            what(told, &self.id);
        }
    }
}

#[derive(Default)]
struct Open {
    /// The outermost first.
    spans: RefCell<Vec<Entered>>,
    /// While there are spans.
    hooks: Cell<Option<SwitchGuard>>,
    /// The goroutine is suspended, and has exited its spans.
    is_away: Cell<bool>,
    /// Spans are being exited or entered: what a layer enters meanwhile, it exits as well.
    is_moving: Cell<bool>,
}

gopark::goroutine_local! {
    static OPEN: Open = Open::default();
}

/// The calling goroutine, if the caller is one, has entered a span.
pub(crate) fn entered(subscriber: &Shared, told: Told, id: &Id) {
    let _ = OPEN.try_with(|open| {
        if open.is_moving.get() {
            return;
        }
        let id = subscriber.clone_span(id);
        let subscriber = Arc::clone(subscriber);
        let is_first = {
            let mut spans = open.spans.borrow_mut();
            spans.push(Entered {
                subscriber,
                told,
                id,
            });
            spans.len() == 1
        };
        if is_first {
            let guard = gopark::on_switch(|| move_spans(false), || move_spans(true));
            open.hooks.set(Some(guard));
        }
    });
}

/// The caller exits a span: whether the subscriber is to be told. It has been, if the goroutine is
/// at its end, where all spans are exited.
pub(crate) fn exits(subscriber: &Shared, id: &Id) -> bool {
    let tell = OPEN.try_with(|open| {
        if open.is_moving.get() {
            return true;
        }
        let removed = {
            let mut spans = open.spans.borrow_mut();
            let is_it =
                |span: &Entered| Arc::ptr_eq(&span.subscriber, subscriber) && span.id == *id;
            let at = spans.iter().rposition(is_it);
            at.map(|at| (spans.remove(at), spans.is_empty()))
        };
        let Some((span, is_last)) = removed else {
            return true;
        };
        if is_last {
            open.hooks.take();
        }
        let was_away = open.is_away.get();
        if !was_away {
            // Before the span may close.
            subscriber.exit(id);
        }
        subscriber.try_close(span.id);
        false
    });
    tell.unwrap_or(true)
}

/// The goroutine leaves its thread, or goes on.
fn move_spans(away: bool) {
    OPEN.with(|open| {
        open.is_moving.set(true);
        // Not under the borrow: layers may enter spans of their own.
        let spans = open.spans.take();
        if away {
            spans
                .iter()
                .rev()
                .for_each(|span| span.tell(|to, id| to.exit(id)));
        } else {
            spans
                .iter()
                .for_each(|span| span.tell(|to, id| to.enter(id)));
        }
        open.spans.replace(spans);
        open.is_away.set(away);
        open.is_moving.set(false);
    });
}

impl Drop for Open {
    fn drop(&mut self) {
        // The goroutine has ended. Guards of these spans were forgotten, or are dropped later.
        for span in self.spans.take().into_iter().rev() {
            span.subscriber.try_close(span.id);
        }
    }
}
