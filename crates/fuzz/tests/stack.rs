//! JSON that is nested more deeply than the thread's stack is large.

use std::thread;

const KILOBYTE: usize = 1024;

#[test]
fn deep_nesting_is_refused_before_the_stack_ends() {
    for (stack, fine) in [(512 * KILOBYTE, 50), (1024 * KILOBYTE, 100), (4096 * KILOBYTE, 500)] {
        let check = move || {
            assert!(whipsnake_fuzz::nested(fine), "{fine} levels do not fit into {stack} bytes");
            for levels in [5_000, 10_000, 100_000] {
                let _ = whipsnake_fuzz::nested(levels);
            }
        };
        let thread = thread::Builder::new().stack_size(stack).spawn(check).expect("a thread");
        thread.join().expect("no panic");
    }
}
