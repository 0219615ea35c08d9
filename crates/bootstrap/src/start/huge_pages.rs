//! Huge pages for functions with many modules and for the objects of large events.
//!
//! CPython keeps its objects in arenas of 1 MB and frees empty ones. The imports of a boto3 client fill 30 arenas, and the objects of a large
//! event fill 20 at each invocation. The kernel clears and maps such memory in pages of 4 KB. A huge page has 2 MB, so there are
//! 512 times fewer page faults and fewer TLB misses.

use crate::start::proofs::BeforePython;
use pyo3::ffi::{PyObject_SetArenaAllocator, PyObjectArenaAllocator};
use std::ffi::c_void;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// Bytes of an arena, as CPython asks for them.
const ARENA: usize = 1 << 20;

/// Bytes of a huge page: two arenas.
const HUGE_PAGE: usize = 2 * ARENA;

/// The first arenas use 4 KB pages. A small process would leave most of a huge page empty.
const SMALL: usize = 8;

/// So many arenas are of usual pages in this process. A restored process begins to count with the first arena of its own.
static OF_USUAL_PAGES: AtomicUsize = AtomicUsize::new(SMALL);

/// The arena that CPython got last. Null before the first.
static NEWEST: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// How many arenas there are.
static ARENAS: AtomicUsize = AtomicUsize::new(0);

/// The second arena of a huge page whose first arena is taken. Null if there is none.
static SPARE: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// Makes CPython take its arenas from here. Free-threaded builds have no arenas and never ask.
pub fn provide(_: &BeforePython) {
    let mut allocator = PyObjectArenaAllocator { ctx: ptr::null_mut(), alloc: Some(map), free: Some(unmap) };
    // SAFETY: CPython does not run yet, so nobody allocates; it copies the struct.
    unsafe { PyObject_SetArenaAllocator(&raw mut allocator) };
}

/// The addresses of the arena that CPython got last. `None` if it has none, because another allocator was chosen.
pub fn newest() -> Option<Range<usize>> {
    let start = NEWEST.load(Ordering::Relaxed) as usize;
    (start != 0).then(|| start..start + ARENA)
}

/// Has the copies of this process begin with usual pages again: their own objects are few.
pub fn count_again() {
    OF_USUAL_PAGES.store(ARENAS.load(Ordering::Relaxed) + SMALL, Ordering::Relaxed);
}

extern "C" fn map(_context: *mut c_void, size: usize) -> *mut c_void {
    let arena = arena(size);
    if !arena.is_null() {
        NEWEST.store(arena, Ordering::Relaxed);
    }
    arena
}

/// An arena, or null.
fn arena(size: usize) -> *mut c_void {
    if ARENAS.fetch_add(1, Ordering::Relaxed) < OF_USUAL_PAGES.load(Ordering::Relaxed) || size != ARENA {
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
    let before = whole.addr().next_multiple_of(HUGE_PAGE) - whole.addr();
    // SAFETY: the mapping is new and has twice the size of a huge page, so an aligned huge page lies inside. Nothing else knows the
    // mapping, so the parts around the huge page can be unmapped. A kernel without huge pages ignores the advice.
    unsafe {
        let page = whole.byte_add(before);
        libc::munmap(whole, before);
        libc::munmap(page.byte_add(HUGE_PAGE), HUGE_PAGE - before);
        libc::madvise(page, HUGE_PAGE, libc::MADV_HUGEPAGE);
        give_back(SPARE.swap(page.byte_add(ARENA), Ordering::AcqRel));
        page
    }
}

/// New memory from the kernel, or null.
fn mapped(size: usize) -> *mut c_void {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, at an address that the kernel chooses.
    let mapping = unsafe { libc::mmap(ptr::null_mut(), size, protection, flags, -1, 0) };
    if mapping == libc::MAP_FAILED { ptr::null_mut() } else { mapping }
}

extern "C" fn unmap(_context: *mut c_void, arena: *mut c_void, size: usize) {
    ARENAS.fetch_sub(1, Ordering::Relaxed);
    // SAFETY: CPython frees the arena, so nothing uses it any more.
    unsafe { libc::munmap(arena, size) };
}

/// Unmaps a spare arena that another thread has replaced meanwhile. Null is none.
fn give_back(spare: *mut c_void) {
    if !spare.is_null() {
        // SAFETY: nothing has been given the arena.
        unsafe { libc::munmap(spare, ARENA) };
    }
}
