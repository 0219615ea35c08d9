//! The C library's heap, whose end the kernel knows as the process's break. A restored process has another break than the dumped one.

use std::ptr;
use whipsnake_checkpoint_format::PAGE_SIZE;

/// Two blocks of this size are more than `malloc` has at first, and each is below what it maps on its own. In bytes.
const BLOCK: usize = 120 << 10;

/// Has `malloc` grow its heap by mapped memory instead of the break, and so forget that the heap is one piece. In a restored process the next
/// piece is elsewhere, and `malloc` ends a process whose heap is one piece and has got a piece below it. Call this before the function is
/// imported.
pub fn detach_from_break() {
    // SAFETY: maps a page where nothing is, and allocates and frees memory that is never used.
    unsafe {
        let end = (libc::sbrk(0) as usize).next_multiple_of(PAGE_SIZE);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
        libc::mmap(ptr::without_provenance_mut(end), PAGE_SIZE, libc::PROT_NONE, flags, -1, 0);
        let blocks = [libc::malloc(BLOCK), libc::malloc(BLOCK)];
        for block in std::hint::black_box(blocks) {
            libc::free(block);
        }
    }
}

/// Tells the C library where this process's heap can grow. It remembers the end of the dumped process's heap, takes any larger answer of the
/// kernel for success, and would use memory behind that end that is not there. Where the kernel's answer is smaller, the C library sees
/// that its heap cannot grow, and maps memory instead.
pub fn renew_break() {
    // SAFETY: asks for both ends, and sets the C library's to what the kernel has. The heap itself stays as it is.
    unsafe {
        let (remembered, actual) = (libc::sbrk(0) as i64, libc::syscall(libc::SYS_brk, 0));
        if actual > remembered {
            libc::brk(actual as *mut libc::c_void);
        }
    }
}
