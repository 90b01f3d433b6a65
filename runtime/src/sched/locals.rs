//! Values that belong to one goroutine, kept by the address of their key.

use std::any::Any;
use std::rc::Rc;

use crate::sched::header::G;

/// The goroutine-locals of one goroutine, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Locals(Vec<(usize, Rc<dyn Any>)>);

/// Lends the locals of `g`, which runs this.
fn with<T>(g: &G, f: impl FnOnce(&mut Locals) -> T) -> T {
    let mut locals = g.locals.take().unwrap_or_default();
    let result = f(&mut locals);
    g.locals.set(Some(locals));
    result
}

/// The value of `key`, if the running goroutine `g` has one.
pub(crate) fn get(g: &G, key: usize) -> Option<Rc<dyn Any>> {
    let locals = g.locals.take()?;
    let found = locals.0.iter().find(|(of, _)| *of == key);
    let value = found.map(|(_, value)| Rc::clone(value));
    g.locals.set(Some(locals));
    value
}

/// Gives the running goroutine `g` a value for `key`, which it does not have.
pub(crate) fn set(g: &G, key: usize, value: Rc<dyn Any>) {
    with(g, |locals| locals.0.push((key, value)));
}

/// Drops the values of `g`, newest first, at its end. A destructor may use other locals, and make
/// new ones, which are dropped as well.
pub(crate) fn drop_all(g: &G) {
    while let Some((_, value)) = g.locals.take().and_then(|mut locals| {
        let last = locals.0.pop();
        g.locals.set(Some(locals));
        last
    }) {
        drop(value);
    }
    g.locals.take();
}
