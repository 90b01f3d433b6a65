//! Real stacks: growth, reuse, trimming, and the pool against a reference model.

#![expect(
    unsafe_code,
    reason = "gives stacks back while coroutines are done with them"
)]

use std::collections::HashSet;
use std::hint::black_box;

use corosensei::{Coroutine, CoroutineResult};
use proptest::prelude::*;

use crate::{Class, GrowableStack, GuardKind, Promise, Stack, StackCache, stats, trim};

#[inline(never)]
fn descend(pages: usize) -> usize {
    let mut page = [0u8; 4096];
    page[0] = pages as u8;
    black_box(&mut page);
    if pages == 0 {
        0
    } else {
        1 + descend(pages - 1) + usize::from(black_box(page[1]))
    }
}

fn run_on(stack: GrowableStack, pages: usize) -> GrowableStack {
    let mut coroutine =
        Coroutine::<(), (), usize, _>::with_stack(stack, move |_, ()| descend(pages));
    let CoroutineResult::Return(depth) = coroutine.resume(()) else {
        panic!("must return")
    };
    assert_eq!(depth, pages);
    coroutine.into_stack()
}

#[test]
fn a_stack_grows_in_place_as_deep_as_it_is_used() {
    let stack = GrowableStack::new(1 << 30).unwrap();
    let before = stack.stack().growths();
    let stack = run_on(stack, 10_000);
    assert!(stack.stack().window_bytes() >= 40 << 20);
    assert!(stack.stack().growths() > before);
    assert!(stack.stack().high_water_bytes() >= 40 << 20);
}

#[test]
fn a_grown_stack_comes_back_small() {
    let mut cache = StackCache::new(256 << 10).unwrap();
    let stack = cache.take(Class::Medium).unwrap();
    let header = stack.header();
    let mut coroutine =
        Coroutine::<(), (), usize, _>::with_stack(Held(stack), |_, ()| descend(1000));
    assert!(matches!(
        coroutine.resume(()),
        CoroutineResult::Return(1000)
    ));
    let Held(stack) = coroutine.into_stack();
    assert!(stack.window_bytes() >= 4 << 20);
    cache.give(stack);
    let again = cache.take(Class::Medium).unwrap();
    assert_eq!(again.header(), header, "a cache is LIFO");
    assert_eq!(again.window_bytes(), 256 << 10);
    assert!(again.high_water_bytes() <= 256 << 10);
    cache.give(again);
}

struct Held(Stack);

// SAFETY: bounds of an owned stack with a guard.
unsafe impl corosensei::stack::Stack for Held {
    fn base(&self) -> corosensei::stack::StackPointer {
        (self.0.header().as_ptr() as usize).try_into().unwrap()
    }

    fn limit(&self) -> corosensei::stack::StackPointer {
        (self.0.low().as_ptr() as usize).try_into().unwrap()
    }
}

#[test]
fn trimmed_stacks_hold_no_pages_and_work_again() {
    let mut cache = StackCache::new(256 << 10).unwrap();
    let stacks: Vec<Stack> = (0..200)
        .map(|_| cache.take(Class::Dense).unwrap())
        .collect();
    for stack in &stacks {
        // SAFETY: the header of a stack that we own.
        unsafe { stack.header().write(7) };
    }
    stacks.into_iter().for_each(|stack| cache.give(stack));
    cache.flush();
    assert!(trim(usize::MAX) > 0);
    let stack = cache.take(Class::Dense).unwrap();
    // SAFETY: the header of a stack that we own; dropped pages read as zeros.
    assert_eq!(unsafe { stack.header().read() }, 0);
    cache.give(stack);
}

#[test]
fn the_dead_part_below_a_parked_stack_pointer_is_given_back() {
    let stack = run_on(GrowableStack::new(16 << 20).unwrap(), 50);
    assert!(stack.stack().high_water_bytes() >= 200 << 10);
    let sp = stack.stack().header().as_ptr() as usize - 1024;
    // SAFETY: nothing runs on the stack, and nothing below `sp` matters.
    assert!(unsafe { stack.stack().trim_below(sp) } > 0);
    assert!(stack.stack().high_water_bytes() <= 8 << 10);
}

#[test]
fn a_promise_is_redeemed_by_a_free_stack_or_its_own_slot() {
    let mut cache = StackCache::new(256 << 10).unwrap();
    let Some(promise) = cache.promise(Class::Medium) else {
        return assert_eq!(stats().unwrap().guard, GuardKind::Protect);
    };
    let own = cache.redeem(promise).unwrap();
    assert_eq!(own.class(), Class::Medium);
    assert_eq!(own.window_bytes(), 256 << 10);
    // SAFETY: the header of a stack that we own.
    unsafe { own.header().write(7) };
    let promise = cache.promise(Class::Medium).unwrap();
    let header = own.header();
    cache.give(own);
    let free = cache.redeem(promise).unwrap();
    assert_eq!(free.header(), header, "the free one was nearer");
    cache.give(free);
}

#[test]
fn live_and_cached_add_up() {
    let mut cache = StackCache::new(256 << 10).unwrap();
    let held: Vec<Stack> = (0..10)
        .map(|_| cache.take(Class::Medium).unwrap())
        .collect();
    assert!(stats().unwrap().live >= 10);
    held.into_iter().for_each(|stack| cache.give(stack));
    assert!(stats().unwrap().cached >= 10);
}

#[derive(Clone, Debug)]
enum Act {
    Take(usize, Class),
    Give(usize, usize),
    Promise(usize, Class),
    Redeem(usize, usize),
    Break(usize),
    Flush(usize),
    Trim,
}

fn act() -> impl Strategy<Value = Act> {
    let class = prop_oneof![Just(Class::Large), Just(Class::Medium), Just(Class::Dense)];
    prop_oneof![
        8 => (0usize..3, class.clone()).prop_map(|(cache, class)| Act::Take(cache, class)),
        6 => (0usize..3, class).prop_map(|(cache, class)| Act::Promise(cache, class)),
        4 => (0usize..3, any::<usize>()).prop_map(|(cache, pick)| Act::Redeem(cache, pick)),
        1 => any::<usize>().prop_map(Act::Break),
        6 => (0usize..3, any::<usize>()).prop_map(|(cache, pick)| Act::Give(cache, pick)),
        1 => (0usize..3).prop_map(Act::Flush),
        1 => Just(Act::Trim),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Reference model: a set of live headers. No stack has two owners, whatever happens.
    #[test]
    fn no_stack_is_owned_twice(acts in prop::collection::vec(act(), 1..600)) {
        let mut caches = [0; 3].map(|_| StackCache::new(64 << 10).unwrap());
        let mut live: Vec<Stack> = Vec::new();
        let mut promises: Vec<Promise> = Vec::new();
        let mut owned = HashSet::new();
        for act in acts {
            match act {
                Act::Take(cache, class) => {
                    let stack = caches[cache].take(class).unwrap();
                    prop_assert_eq!(stack.class(), class);
                    prop_assert!(owned.insert(stack.header()), "given out twice");
                    live.push(stack);
                }
                Act::Give(cache, pick) if !live.is_empty() => {
                    let stack = live.swap_remove(pick % live.len());
                    owned.remove(&stack.header());
                    caches[cache].give(stack);
                }
                Act::Promise(cache, class) => promises.extend(caches[cache].promise(class)),
                Act::Redeem(cache, pick) if !promises.is_empty() => {
                    let promise = promises.swap_remove(pick % promises.len());
                    let stack = caches[cache].redeem(promise).unwrap();
                    prop_assert!(owned.insert(stack.header()), "given out twice");
                    // SAFETY: the header of a stack that we own.
                    unsafe { stack.header().write(1) };
                    live.push(stack);
                }
                Act::Break(pick) if !promises.is_empty() => {
                    drop(promises.swap_remove(pick % promises.len()));
                }
                Act::Give(..) | Act::Redeem(..) | Act::Break(_) => {}
                Act::Flush(cache) => caches[cache].flush(),
                Act::Trim => _ = trim(4),
            }
        }
    }
}
