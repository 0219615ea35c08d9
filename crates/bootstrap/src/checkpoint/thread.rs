//! What the kernel keeps for the main thread, which a restored process has to tell it again.

use super::obstacle_origins;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;
use whipsnake_checkpoint::process::{SignalAction, Thread};
use whipsnake_checkpoint_format::cpu;

/// How long other threads may take to end once every library has prepared for the fork.
const TIME_TO_END: Duration = Duration::from_millis(500);

/// Threads of native libraries that need not be in a restored process, by the names that the kernel has of them.
///
/// jemalloc frees memory in the background. Its own handlers for `fork` hold its locks meanwhile, and free memory without that thread
/// in the child. Polars removes temporary files of queries that did not fit into memory; without the thread they stay until the execution
/// environment ends. What Polars computes with has other names: `polars-0` and so on.
const NOT_NEEDED: &[&str] = &["jemalloc_bg_thd", "polars-ooc-clea"];

/// The ids of threads that their libraries start again in a forked child.
static STARTED_AGAIN: Mutex<Vec<u64>> = Mutex::new(Vec::new());

/// The ids of the threads that ran before the first of this process's own: an emulator's, which starts one before the program. None
/// of it is in the memory that is dumped.
static EMULATORS: Mutex<Vec<u64>> = Mutex::new(Vec::new());

/// Python's names of its threads, by their ids. CPython before 3.14 does not tell them to the kernel.
static NAMES: Mutex<BTreeMap<u64, String>> = Mutex::new(BTreeMap::new());

/// Notes which threads are not of this process. Call this before anything can start one.
pub fn note_emulators() {
    *EMULATORS.lock().unwrap_or_else(PoisonError::into_inner) = all().into_iter().map(|(id, _)| id).collect();
}

/// Whether an emulator runs this process.
pub fn is_emulated() -> bool {
    !EMULATORS.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
}

/// Names Python's threads by their ids, and says which of them their libraries start again in a forked child.
pub fn expect(started_again: Vec<u64>, names: BTreeMap<u64, String>) {
    *STARTED_AGAIN.lock().unwrap_or_else(PoisonError::into_inner) = started_again;
    *NAMES.lock().unwrap_or_else(PoisonError::into_inner) = names;
}

/// Refuses a process whose other threads would be lost. They are named.
pub fn refuse_others() -> Result<(), String> {
    let mut waited = Duration::ZERO;
    loop {
        let others = others();
        if others.is_empty() {
            return Ok(());
        }
        if waited >= TIME_TO_END {
            let names: Vec<String> = others.iter().map(|(id, name)| format!("{name} ({id})")).collect();
            let ids: Vec<u64> = others.iter().map(|(id, _)| *id).collect();
            return Err(format!("threads are running: {}{}", names.join(", "), obstacle_origins::of_threads(&ids)));
        }
        sleep(Duration::from_millis(10));
        waited += Duration::from_millis(10);
    }
}

/// The ids and folders of all threads but this one.
fn all() -> Vec<(u64, PathBuf)> {
    // SAFETY: asks for a number.
    let own = u64::from(unsafe { libc::gettid() }.cast_unsigned());
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let numbered =
        threads.filter_map(|thread| Some((thread.file_name().to_str()?.parse::<u64>().ok()?, thread.path())));
    numbered.filter(|(id, _)| *id != own).collect()
}

/// The ids and names of all threads but this one that a restored process would lack.
fn others() -> Vec<(u64, String)> {
    let names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let started_again = STARTED_AGAIN.lock().unwrap_or_else(PoisonError::into_inner);
    let emulators = EMULATORS.lock().unwrap_or_else(PoisonError::into_inner);
    let others = all().into_iter().filter(|(id, _)| !started_again.contains(id) && !emulators.contains(id));
    let named = others.map(|(id, folder)| (id, fs::read_to_string(folder.join("comm")).unwrap_or_default()));
    let lost = named.filter(|(_, name)| !NOT_NEEDED.contains(&name.trim_end()));
    lost.map(|(id, name)| (id, names.get(&id).map_or(name.trim_end(), String::as_str).to_owned())).collect()
}

/// Reads what the kernel knows of this thread.
pub fn state() -> Result<Thread, String> {
    let mut thread = Thread::default();
    // SAFETY: each call fills a local variable.
    unsafe {
        thread.pointer = thread_pointer();
        thread.id_address = thread_id_address(thread.pointer)?;
        let (mut list, mut length) = (0_u64, 0_u64);
        if libc::syscall(libc::SYS_get_robust_list, 0, &raw mut list, &raw mut length) == 0 {
            (thread.robust_list, thread.robust_list_length) = (list, length);
        }
        let mut mask = 0_u64;
        libc::syscall(libc::SYS_rt_sigprocmask, 0, 0, &raw mut mask, size_of::<u64>());
        thread.signal_mask = mask;
        libc::syscall(libc::SYS_sigaltstack, 0, thread.signal_stack.as_mut_ptr());
    }
    restartable_sequence(&mut thread);
    Ok(thread)
}

/// The area that the C library has registered for restartable sequences, from version 2.35 on.
fn restartable_sequence(thread: &mut Thread) {
    /// What the C library says in the registration.
    const SIGNATURE: u32 = if cfg!(target_arch = "aarch64") { 0xd428_bc00 } else { 0x5305_3053 };
    /// The kernel's original area, in bytes. Later ones are larger, and the C library says so.
    const SMALLEST: u32 = 32;
    // SAFETY: two variables of the C library, where it has them.
    unsafe {
        let offset = libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_offset".as_ptr()).cast::<i64>();
        let size = libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_size".as_ptr()).cast::<u32>();
        if !offset.is_null() && !size.is_null() && *size > 0 {
            thread.restartable_sequence = thread.pointer.wrapping_add_signed(*offset);
            thread.restartable_sequence_length = (*size).max(SMALLEST);
            thread.restartable_sequence_signature = SIGNATURE;
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn thread_pointer() -> u64 {
    const GET_FS: i32 = 0x1003;
    let mut pointer = 0_u64;
    // SAFETY: fills the variable.
    unsafe { libc::syscall(libc::SYS_arch_prctl, GET_FS, &raw mut pointer) };
    pointer
}

#[cfg(target_arch = "aarch64")]
fn thread_pointer() -> u64 {
    let pointer: u64;
    // SAFETY: reads a register that programs may read.
    unsafe { std::arch::asm!("mrs {}, tpidr_el0", out(reg) pointer) };
    pointer
}

/// Where the kernel and the C library keep the thread's id. Kernels without support for checkpoints do not say; then it is the one place in
/// the thread's block that has the id.
unsafe fn thread_id_address(pointer: u64) -> Result<u64, String> {
    /// How much of the block is searched, in bytes: before the pointer on arm64, behind it on x86-64.
    const BLOCK: u64 = 2048;
    let mut address = 0_u64;
    // SAFETY: fills the variable.
    if unsafe { libc::prctl(libc::PR_GET_TID_ADDRESS, &raw mut address) } == 0 && address != 0 {
        return Ok(address);
    }
    // SAFETY: asks for a number.
    let id = unsafe { libc::gettid() };
    let first = if cfg!(target_arch = "aarch64") { pointer - BLOCK } else { pointer };
    // SAFETY: the C library's own block for this thread is larger.
    let matches = (first..first + BLOCK).step_by(4).filter(|address| unsafe { *(*address as *const i32) } == id);
    match matches.collect::<Vec<_>>()[..] {
        [address] => Ok(address),
        _ => Err("the C library keeps the thread's id in a place that is not known".to_owned()),
    }
}

/// What the process does about signals.
pub fn signal_actions() -> Vec<SignalAction> {
    let action_of = |signal: u64| {
        let mut action = [0_u64; 4];
        // SAFETY: fills the array, which is as large as the kernel's struct.
        let asked = unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, 0, action.as_mut_ptr(), size_of::<u64>()) };
        (asked == 0 && action[0] != libc::SIG_DFL as u64).then_some(SignalAction { signal, action })
    };
    (1..=64).filter_map(action_of).collect()
}

/// What libraries may have chosen code by.
pub fn processor() -> cpu::Features {
    #[cfg(target_arch = "x86_64")]
    return cpu::features();
    #[cfg(target_arch = "aarch64")]
    // SAFETY: asks the C library for what the kernel has told the process.
    return cpu::features_from(unsafe { [libc::getauxval(libc::AT_HWCAP), libc::getauxval(libc::AT_HWCAP2)] });
}
