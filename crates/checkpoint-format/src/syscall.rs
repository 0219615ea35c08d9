//! System calls without a C library.

/// Makes a system call with up to six arguments. Returns the kernel's result: a negative error number if the call failed.
///
/// # Safety
///
/// The kernel does what the call says with the addresses it is given. The caller has to own that memory and whatever the call changes.
#[must_use]
pub unsafe fn syscall(number: u64, arguments: [u64; 6]) -> i64 {
    let result: i64;
    // SAFETY: the registers are those of the kernel's calling convention; the caller answers for the rest.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") arguments[0], in("rsi") arguments[1], in("rdx") arguments[2],
            in("r10") arguments[3], in("r8") arguments[4], in("r9") arguments[5],
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        core::arch::asm!(
            "svc #0",
            in("x8") number,
            inlateout("x0") arguments[0] => result,
            in("x1") arguments[1], in("x2") arguments[2], in("x3") arguments[3],
            in("x4") arguments[4], in("x5") arguments[5],
            options(nostack),
        );
    }
    result
}

/// The numbers of the system calls that a restore needs.
#[cfg(target_arch = "x86_64")]
#[expect(missing_docs, reason = "the names are the kernel's")]
pub mod number {
    pub const READ: u64 = 0;
    pub const WRITE: u64 = 1;
    pub const CLOSE: u64 = 3;
    pub const FSTAT: u64 = 5;
    pub const LSEEK: u64 = 8;
    pub const MMAP: u64 = 9;
    pub const MPROTECT: u64 = 10;
    pub const MUNMAP: u64 = 11;
    pub const RT_SIGACTION: u64 = 13;
    pub const RT_SIGPROCMASK: u64 = 14;
    pub const PREAD64: u64 = 17;
    pub const MADVISE: u64 = 28;
    pub const GETPID: u64 = 39;
    pub const SOCKET: u64 = 41;
    pub const SOCKETPAIR: u64 = 53;
    pub const EXECVE: u64 = 59;
    pub const FCNTL: u64 = 72;
    pub const SIGALTSTACK: u64 = 131;
    pub const ARCH_PRCTL: u64 = 158;
    pub const SET_TID_ADDRESS: u64 = 218;
    pub const CLOCK_GETTIME: u64 = 228;
    pub const EXIT_GROUP: u64 = 231;
    pub const EPOLL_CTL: u64 = 233;
    pub const OPENAT: u64 = 257;
    pub const NEWFSTATAT: u64 = 262;
    pub const SET_ROBUST_LIST: u64 = 273;
    pub const EVENTFD2: u64 = 290;
    pub const EPOLL_CREATE1: u64 = 291;
    pub const DUP3: u64 = 292;
    pub const PIPE2: u64 = 293;
    pub const MEMFD_CREATE: u64 = 319;
    pub const RSEQ: u64 = 334;
}

/// The numbers of the system calls that a restore needs.
#[cfg(target_arch = "aarch64")]
#[expect(missing_docs, reason = "the names are the kernel's")]
pub mod number {
    pub const EVENTFD2: u64 = 19;
    pub const EPOLL_CREATE1: u64 = 20;
    pub const EPOLL_CTL: u64 = 21;
    pub const DUP3: u64 = 24;
    pub const FCNTL: u64 = 25;
    pub const OPENAT: u64 = 56;
    pub const CLOSE: u64 = 57;
    pub const PIPE2: u64 = 59;
    pub const LSEEK: u64 = 62;
    pub const READ: u64 = 63;
    pub const WRITE: u64 = 64;
    pub const PREAD64: u64 = 67;
    pub const NEWFSTATAT: u64 = 79;
    pub const FSTAT: u64 = 80;
    pub const EXIT_GROUP: u64 = 94;
    pub const SET_TID_ADDRESS: u64 = 96;
    pub const SET_ROBUST_LIST: u64 = 99;
    pub const CLOCK_GETTIME: u64 = 113;
    pub const SIGALTSTACK: u64 = 132;
    pub const RT_SIGACTION: u64 = 134;
    pub const RT_SIGPROCMASK: u64 = 135;
    pub const PRCTL: u64 = 167;
    pub const GETPID: u64 = 172;
    pub const SOCKET: u64 = 198;
    pub const SOCKETPAIR: u64 = 199;
    pub const MUNMAP: u64 = 215;
    pub const EXECVE: u64 = 221;
    pub const MMAP: u64 = 222;
    pub const MPROTECT: u64 = 226;
    pub const MADVISE: u64 = 233;
    pub const MEMFD_CREATE: u64 = 279;
    pub const RSEQ: u64 = 293;
}
