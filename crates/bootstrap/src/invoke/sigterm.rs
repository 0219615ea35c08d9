//! SIGTERM where the function has no handler for it.

use crate::invoke::forked_children;
use crate::shutdown;
use signal_hook::SigId;
use signal_hook::consts::SIGTERM;
use signal_hook::low_level::emulate_default_handler;
use std::ffi::c_int;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{io, mem, ptr};

/// Runs `body`, which registers handlers, and restores the handler for SIGTERM if there was one: in a restored process the function has been
/// imported already, and its own handler has precedence.
pub fn keeping_own_handler<T>(body: impl FnOnce() -> T) -> T {
    // SAFETY: reads the handler and sets the same one again; zeros are a valid value to be overwritten.
    unsafe {
        let mut own: libc::sigaction = mem::zeroed();
        libc::sigaction(SIGTERM, ptr::null(), &raw mut own);
        let made = body();
        if own.sa_sigaction != libc::SIG_DFL {
            libc::sigaction(SIGTERM, &raw const own, ptr::null_mut());
        }
        made
    }
}

/// Handles SIGTERM where the function has no handler. While the function's code runs, the process ends at once. While the runtime waits, the
/// handler sets `terminated`, wakes the wait, and limits the time that the end may take.
pub fn watch(busy: &Arc<AtomicBool>, terminated: &Arc<AtomicBool>, wakeup: &UnixStream) -> io::Result<SigId> {
    let (busy, terminated, wakeup) = (Arc::clone(busy), Arc::clone(terminated), wakeup.try_clone()?);
    let action = move || {
        let is_first = !terminated.swap(true, Ordering::SeqCst);
        if busy.load(Ordering::SeqCst) || !is_first {
            let _ = emulate_default_handler(SIGTERM);
        }
        // SAFETY: sends one byte to a descriptor that may be closed or full. Neither is an error: see `Driver::cannot_be_woken`. If the
        // buffer is full, the driver is woken as well.
        unsafe {
            libc::send(wakeup.as_raw_fd(), [0_u8].as_ptr().cast(), 1, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL);
        }
        send_again_after(shutdown::LIMIT);
    };
    // SAFETY: the action stores to atomics and makes system calls, which is allowed in a signal handler, and cannot panic.
    let action = unsafe { signal_hook::low_level::register(SIGTERM, action)? };
    forked_children::watch();
    Ok(action)
}

/// Makes the kernel send SIGTERM again, which then ends the process. Does nothing if the system has no timers left.
fn send_again_after(limit: Duration) {
    // SAFETY: system calls with values on the stack; the C library's own functions may not be called in a signal handler.
    unsafe {
        let mut event: libc::sigevent = mem::zeroed();
        event.sigev_notify = libc::SIGEV_SIGNAL;
        event.sigev_signo = SIGTERM;
        let mut timer: c_int = 0;
        if libc::syscall(libc::SYS_timer_create, libc::CLOCK_MONOTONIC, &raw const event, &raw mut timer) == 0 {
            let mut setting: libc::itimerspec = mem::zeroed();
            setting.it_value.tv_sec = limit.as_secs().cast_signed();
            setting.it_value.tv_nsec = limit.subsec_nanos().into();
            libc::syscall(libc::SYS_timer_settime, timer, 0, &raw const setting, ptr::null_mut::<libc::itimerspec>());
        }
    }
}
