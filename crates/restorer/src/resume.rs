//! Becomes the dumped process.

use crate::kernel::{call, size_of};
use core::arch::asm;
use whipsnake_checkpoint_format::image::{Handover, Header, Image};
use whipsnake_checkpoint_format::syscall::number;

/// Gives the kernel what it keeps for the thread, and continues where the dumped process was. Its memory is complete.
pub fn resume(image: &Image<'static>, handover: Handover) -> ! {
    const SET_MASK: u64 = 2;
    let Header { entry, thread, .. } = image.header();
    // SAFETY: everything below is memory of the dumped process, which the header describes and `Image::parse` has found mapped.
    unsafe {
        (entry.handover as *mut Handover).write(handover);
        set_thread_pointer(thread.pointer);
        let id = call(number::SET_TID_ADDRESS, [thread.id_address, 0, 0, 0, 0, 0]).unwrap_or(0);
        (thread.id_address as *mut u32).write(id as u32);
        let _ = call(number::SET_ROBUST_LIST, [thread.robust_list, thread.robust_list_length, 0, 0, 0, 0]);
        if thread.restartable_sequence != 0 {
            register_restartable_sequence(image.header());
        }
        for action in image.signal_actions() {
            let _ = call(number::RT_SIGACTION, [action.signal, action.action.as_ptr() as u64, 0, 8, 0, 0]);
        }
        let _ = call(number::SIGALTSTACK, [thread.signal_stack.as_ptr() as u64, 0, 0, 0, 0, 0]);
        let mask = (&raw const thread.signal_mask) as u64;
        let _ = call(number::RT_SIGPROCMASK, [SET_MASK, mask, 0, size_of::<u64>(), 0, 0]);
        jump(entry.stack, entry.instruction)
    }
}

/// # Safety
///
/// The pointer is the dumped thread's.
#[cfg(target_arch = "x86_64")]
unsafe fn set_thread_pointer(pointer: u64) {
    const SET_FS: u64 = 0x1002;
    // SAFETY: this program has no thread-local variables.
    let _ = unsafe { call(number::ARCH_PRCTL, [SET_FS, pointer, 0, 0, 0, 0]) };
}

/// # Safety
///
/// The pointer is the dumped thread's.
#[cfg(target_arch = "aarch64")]
unsafe fn set_thread_pointer(pointer: u64) {
    // SAFETY: this program has no thread-local variables.
    unsafe { asm!("msr tpidr_el0, {}", in(reg) pointer, options(nostack)) };
}

/// # Safety
///
/// The area is mapped for writing.
unsafe fn register_restartable_sequence(header: &Header) {
    /// Where the area has the processor's number, in bytes, and what the C library takes for "not registered".
    const PROCESSOR: u64 = 4;
    const UNREGISTERED: i32 = -2;
    let thread = &header.thread;
    let (length, signature) = (thread.restartable_sequence_length, thread.restartable_sequence_signature);
    let arguments = [thread.restartable_sequence, u64::from(length), 0, u64::from(signature), 0, 0];
    // SAFETY: the caller's. Where the kernel refuses, the C library asks it for the processor from now on.
    unsafe {
        if call(number::RSEQ, arguments).is_err() {
            ((thread.restartable_sequence + PROCESSOR) as *mut i32).write(UNREGISTERED);
        }
    }
}

/// # Safety
///
/// The stack and the instruction are those of the dumped process's resume point.
#[cfg(target_arch = "x86_64")]
unsafe fn jump(stack: u64, instruction: u64) -> ! {
    // SAFETY: the caller's.
    unsafe {
        asm!("mov rsp, {stack}", "xor ebp, ebp", "jmp {instruction}", stack = in(reg) stack, instruction = in(reg) instruction, options(noreturn))
    }
}

/// # Safety
///
/// The stack and the instruction are those of the dumped process's resume point.
#[cfg(target_arch = "aarch64")]
unsafe fn jump(stack: u64, instruction: u64) -> ! {
    // SAFETY: the caller's.
    unsafe {
        asm!("mov sp, {stack}", "br {instruction}", stack = in(reg) stack, instruction = in(reg) instruction, options(noreturn))
    }
}
