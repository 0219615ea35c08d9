//! The ordinary start: replaces this program with the bootstrap.

use crate::Refusal;
use crate::kernel;
use crate::program::{Arguments, Path, value_of};
use core::ffi::CStr;
use core::ptr;
use whipsnake_checkpoint_format::{BOOTSTRAP, FOLDER, TRAINING};

/// Where Lambda unpacks the layer's bootstrap.
const LAYER: &CStr = c"/opt/bootstrap";

/// Counts starts after collisions. Only this program sees it.
const ATTEMPT: &[u8] = b"_WHIPSNAKE_RESTORE_ATTEMPT";

/// The variable for each start after a collision. There is no fourth attempt: one in some hundred starts collides.
const ATTEMPTS: [&CStr; 2] = [c"_WHIPSNAKE_RESTORE_ATTEMPT=1", c"_WHIPSNAKE_RESTORE_ATTEMPT=2"];

/// How many variables can be passed on.
const MAX_VARIABLES: usize = 8192;

static mut VARIABLES: [*const i8; MAX_VARIABLES + 2] = [ptr::null(); MAX_VARIABLES + 2];

/// Starts again after a collision, else starts the bootstrap.
pub fn start(arguments: &Arguments, refusal: &Refusal<'_>) -> ! {
    if let Refusal::Collision = refusal {
        let attempt = arguments.variable(ATTEMPT).and_then(|attempt| attempt.first());
        let next = match attempt {
            None => Some(ATTEMPTS[0]),
            Some(b'1') => Some(ATTEMPTS[1]),
            Some(_) => None,
        };
        if next.is_some() {
            kernel::execute(arguments.program(), arguments.pointers(), list(arguments, next));
        }
    }
    match refusal {
        Refusal::TurnedOff => {}
        Refusal::Check(what, b"") => say(&[what.as_bytes()]),
        Refusal::Check(what, which) => say(&[what.as_bytes(), b": ", which]),
        Refusal::Collision => say(&[b"the kernel has mapped something where it belongs, three times"]),
    }
    let environment = environment(arguments);
    let named = Path::beside(arguments.program(), FOLDER, BOOTSTRAP).and_then(|file| Path::read_from(file.text()));
    if let Some(bootstrap) = named {
        kernel::execute(bootstrap.text(), arguments.pointers(), environment);
    }
    kernel::execute(LAYER, arguments.pointers(), environment);
    kernel::print(&[
        b"whipsnake: there is no /opt/bootstrap to start the function with: add the layer that the checkpoint was made for\n",
    ]);
    kernel::exit(1)
}

fn say(reason: &[&[u8]]) {
    let mut pieces: [&[u8]; 5] = [b""; 5];
    pieces[0] = b"whipsnake: starting without the checkpoint: ";
    pieces[1..=reason.len()].copy_from_slice(reason);
    pieces[4] = b"\n";
    kernel::print(&pieces);
}

/// Whether it is a variable that only this program sees.
pub fn is_own(variable: &[u8]) -> bool {
    [ATTEMPT, TRAINING.as_bytes()].iter().any(|own| value_of(variable, own).is_some())
}

/// The address of the environment's list, without what only this program sees.
pub fn environment(arguments: &Arguments) -> u64 {
    list(arguments, None)
}

fn list(arguments: &Arguments, more: Option<&'static CStr>) -> u64 {
    // SAFETY: there is one thread, and the list is used by the kernel or by the restored process only afterwards.
    unsafe {
        let list = &raw mut VARIABLES;
        let mut count = 0;
        let passed_on = arguments.variables().filter(|variable| !is_own(variable.to_bytes()));
        for variable in passed_on.take(MAX_VARIABLES).chain(more) {
            (*list)[count] = variable.as_ptr().cast();
            count += 1;
        }
        (*list)[count] = ptr::null();
        list as u64
    }
}
