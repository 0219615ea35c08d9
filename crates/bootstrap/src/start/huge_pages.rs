//! Huge pages for what is large: a function with many modules, the objects of a large event.
//!
//! CPython keeps its objects in arenas of a megabyte, and gives those back that are empty. The imports of a boto3 client fill thirty of them,
//! the objects of a large event twenty at each invocation, and the kernel finds, clears and maps their memory page by page. In huge pages
//! it is five hundred pages at a time, and the processor finds its way among the objects with fewer detours.

use pyo3::ffi::{PyObject_SetArenaAllocator, PyObjectArenaAllocator};
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// What CPython asks for.
const ARENA: usize = 1 << 20;

/// Two arenas.
const HUGE_PAGE: usize = 2 * ARENA;

/// So many arenas are of usual pages: of a small process a huge page would be empty for the most part.
const SMALL: usize = 8;

/// How many arenas there are.
static ARENAS: AtomicUsize = AtomicUsize::new(0);

/// The second arena of a huge page, of which the first is taken. Null where there is none.
static SPARE: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// Has CPython take its arenas from here. To be called before it starts. Free-threaded builds have no arenas and never ask.
pub fn provide() {
    let mut allocator = PyObjectArenaAllocator { ctx: ptr::null_mut(), alloc: Some(map), free: Some(unmap) };
    // SAFETY: CPython does not run yet, so nobody allocates; it copies the struct.
    unsafe { PyObject_SetArenaAllocator(&raw mut allocator) };
}

/// An arena, or null.
extern "C" fn map(_context: *mut c_void, size: usize) -> *mut c_void {
    if ARENAS.fetch_add(1, Ordering::Relaxed) < SMALL || size != ARENA {
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
        give_back(SPARE.swap(page.byte_add(ARENA), Ordering::AcqRel));
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
    ARENAS.fetch_sub(1, Ordering::Relaxed);
    // SAFETY: CPython says that nobody uses the arena any more.
    unsafe { libc::munmap(arena, size) };
}

/// A spare arena that another interpreter's thread has been faster than. Null is none.
fn give_back(spare: *mut c_void) {
    if !spare.is_null() {
        // SAFETY: nobody has had it.
        unsafe { libc::munmap(spare, ARENA) };
    }
}
