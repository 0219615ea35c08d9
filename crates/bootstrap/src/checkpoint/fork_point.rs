//! The point where a process is dumped, and where its copies go on.
//!
//! The dump happens inside `fork`, in the child, in an `atfork` handler that is registered before all others. The handlers that libraries
//! and CPython run in a forked child are therefore still to come, and run after every restore: they renew locks, threads and random
//! numbers. The parent waits in its own handler until the dump is complete, because what it does afterwards could change what the two share.

use super::after_restore::{self, Started};
use super::canary::Canary;
use super::executable;
use super::loaded_libraries::FileId;
use super::memory_map::{Region, write_all};
use super::refusal::Refused;
use super::{descriptors, heap, kernel_state, recorded_variables, thread};
use crate::start::restored_from::Origin;
use pyo3::ffi;
use pyo3::prelude::*;
use std::arch::naked_asm;
use std::cell::UnsafeCell;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::{fs, mem, ptr};
use whipsnake_checkpoint::process::{MAPS, PAGES, Process};
use whipsnake_checkpoint_format::image::Handover;

/// The process after the fork.
pub enum Side {
    /// The parent: the child was dumped.
    Dumped(Box<Process>),
    /// The child, in a process that was restored.
    Restored(Box<Started>),
}

/// Memory that the child reads its memory map into: it must not allocate while it is dumped. In bytes.
const SCRATCH: usize = 64 << 20;

/// Whether the next fork is the one.
static IS_ARMED: AtomicBool = AtomicBool::new(false);
static SCRATCH_AT: AtomicU64 = AtomicU64::new(0);
static MAPS_FILE: AtomicI32 = AtomicI32::new(-1);
static PAGES_FILE: AtomicI32 = AtomicI32::new(-1);
static WAIT: AtomicI32 = AtomicI32::new(-1);
static DONE: AtomicI32 = AtomicI32::new(-1);

/// What the handlers find out, and why they refuse.
static FOUND: Mutex<Option<Result<Process, String>>> = Mutex::new(None);

/// Two values that another program reads and writes in this process's memory.
#[repr(C)]
struct Shared<T>(UnsafeCell<T>);

// SAFETY: written by the one thread of a process that is dumped, and by the restorer before that thread goes on.
unsafe impl<T> Sync for Shared<T> {}

/// Where a restored process continues: stack pointer and instruction.
static RESUME_POINT: Shared<[u64; 2]> = Shared(UnsafeCell::new([0; 2]));

/// What the restorer says.
static HANDOVER: Shared<Handover> =
    Shared(UnsafeCell::new(Handover { argument_count: 0, arguments: 0, environment: 0, began: 0, mapped: 0 }));

/// Registers the handlers. Call this before CPython starts and before any library is loaded at run time, so that they come first.
pub fn register() {
    // SAFETY: the handlers do nothing unless `fork` below has armed them.
    unsafe { libc::pthread_atfork(Some(before_fork), Some(in_parent), Some(in_child)) };
}

/// Forks, and has the child dumped into `folder`.
pub fn fork(py: Python<'_>, process: Process, folder: &Path) -> Result<Side, Refused> {
    let files = Files::create(folder).map_err(Refused::doing("creating the files of the dump"))?;
    let changes = recorded_variables::changes();
    let of_kernel = kernel_state::Changes::find();
    let file_id = FileId::find().map_err(Refused::because)?;
    let canary = Canary::find().map_err(Refused::because)?;
    *FOUND.lock().unwrap_or_else(PoisonError::into_inner) = Some(Ok(process));
    heap::take_gaps(py);
    // SAFETY: attached, on the main thread; the three calls belong together.
    let child = unsafe {
        ffi::PyOS_BeforeFork();
        IS_ARMED.store(true, Ordering::SeqCst);
        let child = libc::fork();
        if child == 0 {
            // Neither is this process's: where the memory was, the kernel may have mapped something else, such as the vDSO, and the
            // descriptors may be others.
            mem::forget(files);
            return Ok(Side::Restored(Box::new(go_on(py, &changes, &of_kernel, file_id, &canary))));
        }
        IS_ARMED.store(false, Ordering::SeqCst);
        ffi::PyOS_AfterFork_Parent();
        child
    };
    drop(files);
    if child < 0 {
        return Err(Refused::doing("forking")(io::Error::last_os_error()));
    }
    let mut status = 0;
    // SAFETY: waits for the child of this function.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    let found = FOUND.lock().unwrap_or_else(PoisonError::into_inner).take();
    match found {
        Some(Ok(process)) if status == 0 => Ok(Side::Dumped(Box::new(process))),
        Some(Err(refusal)) => Err(Refused::because(refusal)),
        _ => Err(Refused::because(format!("the process could not be written: wait status {status:#x}"))),
    }
}

/// The first steps of a restored process, in which CPython does not know yet that it is another one.
fn go_on(
    py: Python<'_>,
    changes: &[(OsString, Option<OsString>)],
    of_kernel: &kernel_state::Changes,
    file_id: FileId,
    canary: &Canary,
) -> Started {
    // All frames that would check the old one are gone by now: `fork` has returned.
    canary.draw();
    file_id.renew();
    of_kernel.make();
    // SAFETY: the restorer has written it before it continued here.
    let handover = unsafe { *HANDOVER.0.get() };
    if let Some(Ok(process)) = FOUND.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Origin::note(&process, &handover);
    }
    let started = after_restore::take_over_environment(py, &handover, changes);
    // SAFETY: attached, in the child of a fork, as the handler of `PyOS_BeforeFork` expects.
    unsafe { ffi::PyOS_AfterFork_Child() };
    started
}

/// The files that the child writes, and a pipe that ends with it.
struct Files {
    scratch: *mut libc::c_void,
    _open: [OwnedFd; 3],
}

impl Files {
    fn create(folder: &Path) -> io::Result<Self> {
        let create = |name: &str| fs::File::create(folder.join(name)).map(OwnedFd::from);
        let (maps, pages) = (create(MAPS)?, create(PAGES)?);
        let mut ends = [0; 2];
        // SAFETY: makes two descriptors, which are owned from here on.
        let wait = unsafe {
            if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) != 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(ends[0])
        };
        // Shared memory stays a region of its own. The kernel merges private memory with a neighbor, such as an arena of `malloc`, and
        // then the neighbor would be left out of the dump as well.
        // SAFETY: a new mapping.
        let scratch = unsafe {
            let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            libc::mmap(ptr::null_mut(), SCRATCH, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        if scratch == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        SCRATCH_AT.store(scratch as u64, Ordering::SeqCst);
        MAPS_FILE.store(maps.as_raw_fd(), Ordering::SeqCst);
        PAGES_FILE.store(pages.as_raw_fd(), Ordering::SeqCst);
        WAIT.store(ends[0], Ordering::SeqCst);
        DONE.store(ends[1], Ordering::SeqCst);
        Ok(Self { scratch, _open: [maps, pages, wait] })
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // SAFETY: mapped in `create`.
        unsafe { libc::munmap(self.scratch, SCRATCH) };
    }
}

/// Runs after all other handlers have prepared for the fork: what is there now is what would be lost or restored.
extern "C" fn before_fork() {
    if !IS_ARMED.load(Ordering::SeqCst) {
        return;
    }
    let own = [&MAPS_FILE, &PAGES_FILE, &WAIT, &DONE].map(|number| number.load(Ordering::SeqCst));
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(Ok(process)) = found.take() else { return };
    *found = Some(look_around(process, &own));
}

fn look_around(mut process: Process, own: &[RawFd]) -> Result<Process, String> {
    thread::refuse_others()?;
    process.descriptors = descriptors::find(own)?;
    process.thread = thread::state()?;
    process.signal_actions = thread::signal_actions();
    // SAFETY: asks the C library for what the kernel has told the process.
    process.vdso = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) };
    process.cpu = thread::processor();
    process.is_emulated = thread::is_emulated();
    #[cfg(target_arch = "aarch64")]
    {
        process.guarded = super::arm64::guarded();
    }
    process.scratch = (SCRATCH_AT.load(Ordering::SeqCst), SCRATCH as u64);
    process.resume_point = RESUME_POINT.0.get() as u64;
    process.handover = HANDOVER.0.get() as u64;
    Ok(process)
}

extern "C" fn in_parent() {
    if !IS_ARMED.load(Ordering::SeqCst) {
        return;
    }
    let mut byte = 0_u8;
    // SAFETY: closes the parent's end for writing, which nobody uses, and reads into a variable. The read ends when the child has ended.
    unsafe {
        libc::close(DONE.load(Ordering::SeqCst));
        while libc::read(WAIT.load(Ordering::SeqCst), (&raw mut byte).cast(), 1) == -1
            && *libc::__errno_location() == libc::EINTR
        {}
    }
}

extern "C" fn in_child() {
    if !IS_ARMED.swap(false, Ordering::SeqCst) {
        return;
    }
    // Poisoned or locked it cannot be: this thread was the one that looked around.
    let is_refused = FOUND.try_lock().map_or(true, |found| !matches!(&*found, Some(Ok(_))));
    if is_refused {
        // SAFETY: ends the process.
        unsafe { libc::_exit(0) };
    }
    // SAFETY: `write_memory` ends this process. Where the call returns, the restorer has mapped the memory that was written.
    unsafe { freeze(RESUME_POINT.0.get(), write_memory) };
    heap::renew_break();
}

/// Notes where the process is and calls `write`, which does not return. Returns in a process that was restored from what `write` wrote.
///
/// # Safety
///
/// `resume_point` is valid for writes, and `write` writes the stack from its stack pointer up.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn freeze(resume_point: *mut [u64; 2], write: unsafe extern "C" fn() -> !) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 8",
        "stmxcsr [rsp]",
        "fnstcw [rsp + 4]",
        "mov [rdi], rsp",
        "lea rax, [rip + 2f]",
        "mov [rdi + 8], rax",
        "and rsp, -16",
        "call rsi",
        "ud2",
        "2:",
        "ldmxcsr [rsp]",
        "fldcw [rsp + 4]",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// Notes where the process is and calls `write`, which does not return. Returns in a process that was restored from what `write` wrote.
///
/// # Safety
///
/// `resume_point` is valid for writes, and `write` writes the stack from its stack pointer up.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
unsafe extern "C" fn freeze(resume_point: *mut [u64; 2], write: unsafe extern "C" fn() -> !) {
    naked_asm!(
        "stp x29, x30, [sp, #-176]!",
        "stp x19, x20, [sp, #16]",
        "stp x21, x22, [sp, #32]",
        "stp x23, x24, [sp, #48]",
        "stp x25, x26, [sp, #64]",
        "stp x27, x28, [sp, #80]",
        "stp d8, d9, [sp, #96]",
        "stp d10, d11, [sp, #112]",
        "stp d12, d13, [sp, #128]",
        "stp d14, d15, [sp, #144]",
        "mrs x9, fpcr",
        "str x9, [sp, #160]",
        "mov x9, sp",
        "str x9, [x0]",
        "adr x9, 2f",
        "str x9, [x0, #8]",
        "blr x1",
        "brk #1",
        // A landing pad, in case this executable has them.
        "2: hint #36",
        "ldr x9, [sp, #160]",
        "msr fpcr, x9",
        "ldp d14, d15, [sp, #144]",
        "ldp d12, d13, [sp, #128]",
        "ldp d10, d11, [sp, #112]",
        "ldp d8, d9, [sp, #96]",
        "ldp x27, x28, [sp, #80]",
        "ldp x25, x26, [sp, #64]",
        "ldp x23, x24, [sp, #48]",
        "ldp x21, x22, [sp, #32]",
        "ldp x19, x20, [sp, #16]",
        "ldp x29, x30, [sp], #176",
        "ret",
    )
}

/// Writes the memory map and the memory, without changing either: nothing is allocated, and only the stack below the resume point is written.
unsafe extern "C" fn write_memory() -> ! {
    let (maps_file, pages_file) = (MAPS_FILE.load(Ordering::SeqCst), PAGES_FILE.load(Ordering::SeqCst));
    // SAFETY: the scratch area is this process's own, and left out of the dump. The rest reads memory that the kernel has just listed.
    unsafe {
        let scratch = SCRATCH_AT.load(Ordering::SeqCst) as *mut u8;
        let list = libc::open(c"/proc/self/maps".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        let mut length = 0;
        loop {
            let count = libc::read(list, scratch.add(length).cast(), SCRATCH - length);
            if count <= 0 {
                break;
            }
            length += count.cast_unsigned();
        }
        libc::close(list);
        let maps = std::slice::from_raw_parts(scratch, length);
        let mut is_written = !maps.is_empty();
        for line in maps.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let Some(region) = Region::parse(line) else { continue };
            if region.is_dumped() && region.start != scratch as u64 {
                is_written &= region.write(pages_file);
            }
        }
        // Last, because trying what can be executed changes memory for a moment.
        is_written &= if thread::is_emulated() {
            executable::write_map(maps_file, maps)
        } else {
            write_all(maps_file, scratch, length)
        };
        libc::_exit(i32::from(!is_written));
    }
}
