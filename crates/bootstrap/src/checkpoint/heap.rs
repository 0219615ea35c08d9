//! The heap of a process that is dumped and restored.
//!
//! The kernel knows the end of the C library's heap as the process's break. A restored process has another break than the dumped one.
//!
//! Imports leave gaps: blocks that were freed between blocks that stay. A restored process would put its own objects there, a few into each of
//! a thousand pages, and each of these pages would become a copy of its own. So the gaps are taken, and what the restored process allocates
//! comes from new pages, one full page after the other. Nobody looks at the gaps again: they cost no memory, and in a zip next to
//! nothing, because they are filled with zeros.

use crate::start::huge_pages;
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::c_void;
use std::ops::Range;
use std::{mem, ptr};
use whipsnake_checkpoint_format::PAGE_SIZE;

/// The largest object that CPython has room for in its arenas, in bytes. All others are of `malloc`.
const LARGEST_OBJECT: usize = 512;

/// The sizes of CPython's blocks, and of those of `malloc`, are multiples of this, in bytes.
const STEP: usize = 16;

/// The largest gap of `malloc` that is taken whole, in bytes. Larger ones are taken in several pieces.
const LARGEST_GAP: usize = 64 << 10;

/// No process has larger gaps of one size, in bytes. One that seems to have has another allocator.
const LIMIT: usize = 64 << 20;

/// What `malloc` keeps ready besides what it calls free, in bytes at most.
const CACHED: usize = 1 << 20;

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

/// Takes all gaps. Call this directly before the dump.
pub fn take_gaps(py: Python<'_>) {
    take_gaps_between_objects(py);
    take_gaps_of_malloc();
    huge_pages::count_again();
}

/// Takes blocks of each size, until the next one would be in an arena that has no objects yet.
fn take_gaps_between_objects(py: Python<'_>) {
    let before = huge_pages::newest();
    // Blocks of the largest size use up the gaps of their size and the free pools of all arenas, which are for any size.
    let arena =
        take_until(py, LARGEST_OBJECT, |_| huge_pages::newest().filter(|newest| before.as_ref() != Some(newest)));
    let Some(arena) = arena else { return };
    for size in (STEP..LARGEST_OBJECT).step_by(STEP) {
        take_until(py, size, |block| arena.contains(&block).then_some(()));
    }
}

/// A block that was taken. Its first bytes lead to the one that was taken before.
struct Taken {
    before: *mut Taken,
}

/// Takes blocks and fills them with zeros, until `is_last` returns something for one. That one is freed. If there is none, all are freed.
fn take_until<T>(_py: Python<'_>, size: usize, is_last: impl Fn(usize) -> Option<T>) -> Option<T> {
    let mut newest: *mut Taken = ptr::null_mut();
    let mut found = None;
    for _ in 0..LIMIT / size {
        // SAFETY: attached. The block has that size, is aligned for pointers, and is nobody else's.
        unsafe {
            let block = ffi::PyObject_Malloc(size);
            if block.is_null() {
                break;
            }
            found = is_last(block as usize);
            if found.is_some() {
                ffi::PyObject_Free(block);
                break;
            }
            ptr::write_bytes(block.cast::<u8>(), 0, size);
            block.cast::<Taken>().write(Taken { before: newest });
            newest = block.cast();
        }
    }
    while !newest.is_null() {
        let block = newest;
        // SAFETY: attached. The list has the blocks that were allocated above.
        unsafe {
            newest = (*block).before;
            if found.is_some() {
                (*block).before = ptr::null_mut();
            } else {
                ffi::PyObject_Free(block.cast());
            }
        }
    }
    found
}

/// Takes pieces of `malloc`'s memory, from the largest to the smallest, as long as they are not in the memory that it has not used yet.
fn take_gaps_of_malloc() {
    // SAFETY: gives back pages that are free as a whole, and asks for numbers.
    let of_malloc = unsafe {
        libc::malloc_trim(0);
        libc::mallinfo2()
    };
    let Some(unused) = unused_of_malloc(of_malloc.fordblks) else { return };
    let mut gaps = of_malloc.fordblks.saturating_sub(unused.len()) + CACHED;
    for size in (1..=LARGEST_GAP / STEP).rev().map(|steps| steps * STEP + mem::size_of::<usize>()) {
        while let Some(rest) = gaps.checked_sub(size) {
            // SAFETY: a new piece of memory, at least of that size.
            let piece: *mut c_void = unsafe { libc::malloc(size) };
            if piece.is_null() || unused.contains(&(piece as usize)) {
                // SAFETY: allocated just now, or null.
                unsafe { libc::free(piece) };
                break;
            }
            // SAFETY: as above.
            unsafe { ptr::write_bytes(piece.cast::<u8>(), 0, size) };
            gaps = rest;
        }
    }
}

/// Where the memory is that `malloc` has not used yet: its last piece, which it cuts others from. Takes gaps that are larger than
/// [`LARGEST_GAP`] on the way. `None` if this is not the `malloc` that is known here.
fn unused_of_malloc(free: usize) -> Option<Range<usize>> {
    /// Larger than the largest gap that is taken later, and less than what `malloc` maps on its own.
    const SIZE: usize = LARGEST_GAP + STEP;
    for _ in 0..=free / SIZE + 1 {
        // SAFETY: a new piece of memory. The C library keeps the size of the next piece behind it, with three flags in the lowest bits.
        unsafe {
            let piece = libc::malloc(SIZE);
            if piece.is_null() {
                return None;
            }
            let end = piece as usize + libc::malloc_usable_size(piece);
            let next = ptr::with_exposed_provenance::<usize>(end).read() & !7;
            let unused = libc::mallinfo2().keepcost;
            if next == unused {
                // It was cut from the unused piece, which it becomes a part of again.
                libc::free(piece);
                return Some(piece as usize..end + unused);
            }
            ptr::write_bytes(piece.cast::<u8>(), 0, SIZE);
        }
    }
    None
}
