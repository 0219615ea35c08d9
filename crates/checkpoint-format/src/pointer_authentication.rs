//! Signed return addresses of arm64 (PAC).
//!
//! Functions sign their return address with a key of the process, and check it before they return. The kernel draws new keys whenever a
//! program starts, so a restored process could not return into a frame of the dumped one. Both therefore run with the keys turned off: the
//! instructions that sign and check do nothing then.

use crate::cpu::POINTER_AUTHENTICATION;
use crate::syscall::{number, syscall};

/// Turns the keys off for this thread and for every thread that it starts, until the process becomes another program. `hardware_capabilities`
/// is the auxiliary vector's `AT_HWCAP`. Returns `false` if the processor has keys that the kernel does not turn off: it is older than Linux
/// 5.13 then.
///
/// # Safety
///
/// No function that is still to return has signed its return address.
#[must_use]
pub unsafe fn turn_off(hardware_capabilities: u64) -> bool {
    /// `PR_PAC_SET_ENABLED_KEYS`.
    const SET_ENABLED_KEYS: u64 = 60;
    /// `PR_PAC_APIAKEY`, `PR_PAC_APIBKEY`, `PR_PAC_APDAKEY` and `PR_PAC_APDBKEY`.
    const ALL_KEYS: u64 = 0b1111;
    const NONE: u64 = 0;
    if hardware_capabilities & POINTER_AUTHENTICATION == 0 {
        return true;
    }
    // SAFETY: touches no memory; the caller answers for the frames on the stack.
    unsafe { syscall(number::PRCTL, [SET_ENABLED_KEYS, ALL_KEYS, NONE, 0, 0, 0]) == 0 }
}
