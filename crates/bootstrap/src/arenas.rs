//! Huge pages for the objects of large events.
//!
//! CPython keeps its objects in arenas of a megabyte, and gives those back that are empty. The objects of a large event fill twenty of them,
//! and at each invocation the kernel would find, clear and map their memory again, page by page. In huge pages it is five hundred pages at a
//! time, and the processor finds its way among the objects with fewer detours.

use pyo3::Python;
use pyo3::ffi::{PyObject_SetArenaAllocator, PyObjectArenaAllocator};
use std::ffi::c_void;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, Ordering};

/// What CPython asks for.
const ARENA: usize = 1 << 20;

/// Two arenas.
const HUGE_PAGE: usize = 2 * ARENA;

/// Payloads of this size and more: the objects of smaller ones leave most of a huge page empty.
const LARGE: usize = 512 * 1024;

/// The second arena of a huge page, of which the first is taken. Null where there is none.
static SPARE: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// Has CPython's arenas made of huge pages from now on, where the payload is large. A process that gets small events only stays as
/// small as it is. Free-threaded builds have no arenas and never ask.
pub fn expect(_py: Python<'_>, payload: &[u8]) {
    static REPLACED: Once = Once::new();
    if payload.len() >= LARGE {
        REPLACED.call_once(|| {
            let mut allocator = PyObjectArenaAllocator { ctx: ptr::null_mut(), alloc: Some(map), free: Some(unmap) };
            // SAFETY: attached to the interpreter, which copies the struct. `unmap` also takes the arenas that CPython has mapped before, and as
            // CPython would.
            unsafe { PyObject_SetArenaAllocator(&raw mut allocator) };
        });
    }
}

/// An arena, or null.
extern "C" fn map(_context: *mut c_void, size: usize) -> *mut c_void {
    if size != ARENA {
        return mapped(size);
    }
    let spare = SPARE.swap(ptr::null_mut(), Ordering::AcqRel);
    if !spare.is_null() {
        return spare;
    }
    let whole = mapped(2 * HUGE_PAGE);
    if whole.is_null() {
        return mapped(size);
    }
    let before = whole.align_offset(HUGE_PAGE);
    // SAFETY: within what has just been mapped, twice as much as there is between two multiples of a huge page's size. Nobody else knows
    // of it, so that what is around the huge page can be given back. A kernel that does not know huge pages gives others.
    unsafe {
        let page = whole.byte_add(before);
        libc::munmap(whole, before);
        libc::munmap(page.byte_add(HUGE_PAGE), HUGE_PAGE - before);
        libc::madvise(page, HUGE_PAGE, libc::MADV_HUGEPAGE);
        unmap_spare(SPARE.swap(page.byte_add(ARENA), Ordering::AcqRel));
        page
    }
}

/// Memory of the kernel's, or null.
fn mapped(size: usize) -> *mut c_void {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, at a place of the kernel's choice.
    let mapping = unsafe { libc::mmap(ptr::null_mut(), size, protection, flags, -1, 0) };
    if mapping == libc::MAP_FAILED { ptr::null_mut() } else { mapping }
}

extern "C" fn unmap(_context: *mut c_void, arena: *mut c_void, size: usize) {
    // SAFETY: CPython says that nobody uses the arena any more.
    unsafe { libc::munmap(arena, size) };
}

/// Another interpreter's thread has been as fast.
fn unmap_spare(spare: *mut c_void) {
    if !spare.is_null() {
        unmap(ptr::null_mut(), spare, ARENA);
    }
}
