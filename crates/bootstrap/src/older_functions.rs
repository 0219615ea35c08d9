//! Functions of the C library in the version that Lambda has. Newer versions of them were added after glibc 2.34.
//!
//! A CPython inside the bootstrap is linked with the C library of the build machine, and a linker takes the newest version. `--wrap` in
//! build.rs makes it take these instead. The newer versions differ only in how they report errors to programs that ask for System V's
//! behavior, which CPython does not.

#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".symver older_fmod, fmod@GLIBC_2.2.5",
    ".symver older_hypot, hypot@GLIBC_2.2.5",
    ".globl __wrap_fmod, __wrap_hypot",
    ".hidden __wrap_fmod, __wrap_hypot",
    "__wrap_fmod: jmp *older_fmod@GOTPCREL(%rip)",
    "__wrap_hypot: jmp *older_hypot@GOTPCREL(%rip)",
    options(att_syntax)
);

#[cfg(target_arch = "aarch64")]
std::arch::global_asm!(
    ".symver older_fmod, fmod@GLIBC_2.17",
    ".symver older_hypot, hypot@GLIBC_2.17",
    ".globl __wrap_fmod, __wrap_hypot",
    ".hidden __wrap_fmod, __wrap_hypot",
    "__wrap_fmod: b older_fmod",
    "__wrap_hypot: b older_hypot",
);
