//! The switch against its contract, on both back-ends.

#![expect(unsafe_code, reason = "switches contexts")]
#![expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "a switch names fields of one pair"
)]

use corosensei::stack::Stack as _;

use super::{Context, switch};
use crate::GrowableStack;

struct Pair {
    main: Context,
    other: Context,
    log: Vec<usize>,
}

unsafe extern "C" fn echo(payload: *mut u8, arg: *mut u8) -> ! {
    let pair = arg.cast::<Pair>();
    let mut payload = payload;
    loop {
        // SAFETY: the pair outlives the context, and only one side runs at a time.
        unsafe { (*pair).log.push(payload as usize) };
        let back = (payload as usize + 1) as *mut u8;
        // SAFETY: `main` was saved by the switch that brought us here.
        payload = unsafe { switch(&raw mut (*pair).other, &raw mut (*pair).main, back) };
    }
}

fn pair_on(stack: &GrowableStack) -> Box<Pair> {
    let mut pair = Box::new(Pair {
        main: Context::empty(),
        other: Context::empty(),
        log: Vec::new(),
    });
    let arg = (&raw mut *pair).cast();
    let (top, low) = (
        stack.base().get() as *mut u8,
        stack.limit().get() as *mut u8,
    );
    // SAFETY: the stack is ours and outlives the context.
    unsafe { pair.other.prepare(top, low, echo, arg) };
    pair
}

#[test]
fn payloads_travel_both_ways() {
    let stack = GrowableStack::new(1 << 20).unwrap();
    let mut pair = pair_on(&stack);
    let raw = &raw mut *pair;
    for n in [10, 20, 30] {
        // SAFETY: `other` is prepared or saved.
        let back = unsafe { switch(&raw mut (*raw).main, &raw mut (*raw).other, n as *mut u8) };
        assert_eq!(back as usize, n + 1);
    }
    // SAFETY: the other side is suspended.
    assert_eq!(unsafe { &*raw }.log, [10, 20, 30]);
}

#[test]
fn live_registers_survive_a_million_switches() {
    let stack = GrowableStack::new(1 << 20).unwrap();
    let mut pair = pair_on(&stack);
    pair.log.reserve(1_000_000);
    let raw = &raw mut *pair;
    let seeds: [u64; 12] = std::array::from_fn(|i| 0x9E37 + i as u64);
    let mut words = seeds;
    let mut floats = [1.0f64; 8];
    for n in 0..1_000_000usize {
        for word in &mut words {
            *word = word
                .wrapping_mul(6364136223846793005)
                .wrapping_add(n as u64);
        }
        // SAFETY: `other` is prepared or saved.
        let back = unsafe { switch(&raw mut (*raw).main, &raw mut (*raw).other, n as *mut u8) };
        assert_eq!(back as usize, n + 1);
        for float in &mut floats {
            *float += 1.0;
        }
    }
    let mut expected = seeds;
    for n in 0..1_000_000u64 {
        for word in &mut expected {
            *word = word.wrapping_mul(6364136223846793005).wrapping_add(n);
        }
    }
    assert_eq!(words, expected);
    assert_eq!(floats, [1_000_001.0; 8]);
}
