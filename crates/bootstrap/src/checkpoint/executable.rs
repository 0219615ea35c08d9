//! Finds the memory that can be executed, where the list of the memory does not say it.
//!
//! The process of a checkpoint for other processors is run by an emulator. qemu before version 8.2 makes the list from the kernel's, and for the
//! kernel nothing is executable there: the emulator translates code and never runs it. Code that a library has generated, such as numba's, then
//! looks like the data next to it. So the process tries: a return instruction on a page either returns, or is a segmentation fault. For files
//! the command knows it from their headers.

use super::memory_map::{Region, write_all};
use std::arch::naked_asm;
use std::os::fd::RawFd;
use std::ptr;
use whipsnake_checkpoint_format::{PAGE, PAGE_SIZE};

/// Writes the memory map, with what trying each page without a file has shown.
///
/// # Safety
///
/// `map` is the memory map of this process, which has one thread, has written its memory and ends after this.
pub unsafe fn write_map(file: RawFd, map: &[u8]) -> bool {
    // SAFETY: the caller's.
    unsafe {
        let mut is_written = prepare();
        for line in map.split_inclusive(|byte| *byte == b'\n') {
            let Some(region) = Region::parse(line) else { continue };
            let stack = (&raw const is_written) as u64;
            let is_tried = region.is(b'r') && !region.is(b'x') && !region.has_file && !region.is_kernels;
            if !is_tried || region.contains(stack) || region.contains(map.as_ptr() as u64) {
                is_written &= write_all(file, line.as_ptr(), line.len());
                continue;
            }
            let mut start = region.start;
            while start < region.end {
                let (end, is_executable) = run(start, region.end, region.is(b'w'));
                is_written &= write_line(file, line, (start, end), region.permissions, is_executable);
                start = end;
            }
        }
        is_written
    }
}

/// Writes a line of the memory map with other addresses: `7f0000000000-7f0000001000 r-xp 00000000 00:00 0`.
unsafe fn write_line(
    file: RawFd,
    line: &[u8],
    (start, end): (u64, u64),
    mut permissions: [u8; 4],
    is_executable: bool,
) -> bool {
    const DIGITS: usize = 16;
    let mut addresses = [b'0'; 2 * DIGITS + 2];
    addresses[DIGITS] = b'-';
    addresses[2 * DIGITS + 1] = b' ';
    for (address, place) in [(start, 0), (end, DIGITS + 1)] {
        for index in 0..DIGITS {
            let digit = address >> (4 * (DIGITS - 1 - index)) & 0xf;
            addresses[place + index] = b"0123456789abcdef"[digit as usize];
        }
    }
    let Some(rest) = line.splitn(2, |byte| *byte == b' ').nth(1).and_then(|rest| rest.get(permissions.len()..)) else {
        return false;
    };
    if is_executable {
        permissions[2] = b'x';
    }
    // SAFETY: reads three arrays.
    unsafe {
        write_all(file, addresses.as_ptr(), addresses.len())
            && write_all(file, permissions.as_ptr(), permissions.len())
            && write_all(file, rest.as_ptr(), rest.len())
    }
}

/// The instruction that returns. Executing one that is part of something else does no harm.
const RETURN: &[u8] = if cfg!(target_arch = "aarch64") { &0xd65f_03c0_u32.to_le_bytes() } else { &[0xc3] };

/// Prepares for segmentation faults. Only a process that ends afterwards may call this.
fn prepare() -> bool {
    // SAFETY: fills an action, and installs a handler that may run at any time.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = (after_fault as extern "C" fn(_, _, _)) as usize;
        action.sa_flags = libc::SA_SIGINFO;
        libc::sigaction(libc::SIGSEGV, &raw const action, ptr::null_mut()) == 0
    }
}

/// Whether a page can be executed. One without any return instruction that cannot be written to counts as one that cannot be executed.
///
/// # Safety
///
/// The page is mapped for reading, and for writing if `is_writable`. [`prepare`] was called, and the page is not of the current stack.
unsafe fn is_executable(page: u64, is_writable: bool) -> bool {
    let page = page as *mut u8;
    // SAFETY: the caller's. The bytes are as before in the end, and nothing else runs meanwhile.
    unsafe {
        let instructions = std::slice::from_raw_parts(page, PAGE_SIZE).chunks_exact(RETURN.len());
        let existing = instructions.into_iter().position(|instruction| instruction == RETURN);
        match existing {
            Some(index) => returns(page.add(index * RETURN.len())),
            None if is_writable => {
                let mut before = [0; RETURN.len()];
                ptr::copy_nonoverlapping(page, before.as_mut_ptr(), RETURN.len());
                ptr::copy_nonoverlapping(RETURN.as_ptr(), page, RETURN.len());
                let result = returns(page);
                ptr::copy_nonoverlapping(before.as_ptr(), page, RETURN.len());
                result
            }
            None => false,
        }
    }
}

/// The pages from `start` on that are alike: the end of the run, and whether it can be executed.
///
/// # Safety
///
/// As for [`is_executable`], for every page up to `end`.
unsafe fn run(start: u64, end: u64, is_writable: bool) -> (u64, bool) {
    // SAFETY: the caller's.
    let of = |page: u64| unsafe { is_executable(page, is_writable) };
    let first = of(start);
    let next = (start + PAGE..end).step_by(PAGE_SIZE).find(|page| of(*page) != first);
    (next.unwrap_or(end), first)
}

/// Calls a return instruction. Returns false if that was a segmentation fault.
///
/// # Safety
///
/// There is one at the address, or memory that cannot be executed.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn returns(instruction: *const u8) -> bool {
    naked_asm!("sub rsp, 8", "mov eax, 1", "call rdi", "add rsp, 8", "ret")
}

/// Calls a return instruction. Returns false if that was a segmentation fault.
///
/// # Safety
///
/// There is one at the address, or memory that cannot be executed.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
unsafe extern "C" fn returns(instruction: *const u8) -> bool {
    naked_asm!("stp x29, x30, [sp, #-16]!", "mov x9, x0", "mov x0, #1", "blr x9", "ldp x29, x30, [sp], #16", "ret",)
}

/// Returns from the call that was a fault, with false.
extern "C" fn after_fault(_: i32, _: *mut libc::siginfo_t, context: *mut libc::ucontext_t) {
    // SAFETY: the kernel's or the emulator's context of the fault. `returns` has left the address to go on at.
    unsafe {
        let machine = &mut (*context).uc_mcontext;
        #[cfg(target_arch = "x86_64")]
        {
            let stack = machine.gregs[libc::REG_RSP as usize];
            machine.gregs[libc::REG_RIP as usize] = *(stack as *const i64);
            machine.gregs[libc::REG_RSP as usize] = stack + 8;
            machine.gregs[libc::REG_RAX as usize] = 0;
        }
        #[cfg(target_arch = "aarch64")]
        {
            machine.pc = machine.regs[30];
            machine.regs[0] = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executable_pages_are_found() {
        const LENGTH: usize = 4 * PAGE_SIZE;
        let protect = |start: u64, length, protection| {
            // SAFETY: this test's own memory.
            assert_eq!(unsafe { libc::mprotect(start as *mut _, length, protection) }, 0);
        };
        // SAFETY: a new mapping. The process is a child that ends; the signal handler is for such a child only.
        unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let memory = libc::mmap(ptr::null_mut(), LENGTH, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
            let start = memory as u64;
            ptr::copy_nonoverlapping(RETURN.as_ptr(), memory.cast::<u8>().add(2 * PAGE_SIZE + 8), RETURN.len());
            protect(start + PAGE, PAGE_SIZE, libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC);
            protect(start + 2 * PAGE, PAGE_SIZE, libc::PROT_READ | libc::PROT_EXEC);
            let child = libc::fork();
            if child == 0 {
                let is_right = prepare()
                    && run(start, start + 2 * PAGE, true) == (start + PAGE, false)
                    && run(start + PAGE, start + 2 * PAGE, true) == (start + 2 * PAGE, true)
                    && run(start + 2 * PAGE, start + 3 * PAGE, false) == (start + 3 * PAGE, true)
                    && run(start + 3 * PAGE, start + 4 * PAGE, true) == (start + 4 * PAGE, false)
                    && memory.cast::<u8>().add(PAGE_SIZE).read() == 0;
                libc::_exit(i32::from(!is_right));
            }
            let mut status = 0;
            libc::waitpid(child, &raw mut status, 0);
            assert_eq!(status, 0);
        }
    }
}
