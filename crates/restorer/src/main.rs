//! The program that Lambda starts for a function with a checkpoint.
//!
//! It maps the checkpoint and continues in it, or replaces itself with the ordinary bootstrap if any check fails. It is linked statically
//! at a fixed address, without a C library: nothing of it may be where the dumped process has its memory, and every millisecond counts.
//!
//! ```text
//! start ─► check ─► map ─► resume          any check fails ─► ordinary bootstrap
//! ```

#![no_std]
#![no_main]
#![allow(
    clippy::cast_possible_truncation,
    reason = "checkpoints are for 64-bit processors, where a usize holds every address and length"
)]

mod check;
mod descriptors;
mod files;
mod kernel;
mod map;
mod memory;
mod ordinary;
mod program;
mod resume;

use kernel::{Clock, Fd};
use program::{Arguments, Path};
use whipsnake_checkpoint_format::image::Handover;
use whipsnake_checkpoint_format::{FILE, FOLDER};

/// Why the ordinary start follows.
enum Refusal<'a> {
    /// `WHIPSNAKE_CHECKPOINT=off`.
    TurnedOff,
    /// A check failed: which one, and of what.
    Check(&'static str, &'a [u8]),
    /// The kernel has mapped something where the checkpoint belongs. Another start finds other addresses.
    Collision,
}

/// The program, on its own stack. `initial` is the stack pointer that the kernel has started the process with.
extern "C" fn run(initial: *const u64) -> ! {
    let began = Clock::now();
    // SAFETY: `_start` passes what the kernel passed.
    let arguments = unsafe { Arguments::from_initial_stack(initial) };
    let refusal = restore(&arguments, began);
    ordinary::start(&arguments, &refusal)
}

/// Continues in the checkpoint. Returns if it cannot be used.
fn restore(arguments: &Arguments, began: u64) -> Refusal<'static> {
    if arguments.variable(b"WHIPSNAKE_CHECKPOINT") == Some(b"off") {
        return Refusal::TurnedOff;
    }
    let path = Path::beside(arguments.program(), FOLDER, FILE);
    let opened = path.as_ref().and_then(|path| Fd::open(path.text()));
    let Some(file) = opened else { return Refusal::Check("no checkpoint can be read", b"") };
    let image = match map::header(file) {
        Ok(image) => image,
        Err(invalid) => return Refusal::Check(invalid.reason(), b""),
    };
    if let Err(refusal) = check::all(&image, arguments).and_then(|()| map::segments(&image, file, arguments)) {
        return refusal;
    }
    file.close();
    descriptors::make(&image);
    let handover = Handover {
        argument_count: arguments.count(),
        arguments: arguments.pointers(),
        environment: ordinary::environment(arguments),
        began,
        mapped: Clock::now(),
    };
    resume::resume(&image, handover)
}

#[panic_handler]
fn on_panic(_: &core::panic::PanicInfo<'_>) -> ! {
    kernel::print(&[b"whipsnake: the restorer failed; report this as a bug\n"]);
    kernel::exit(70)
}
