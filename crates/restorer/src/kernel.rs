//! The system calls of this program, with types.

use core::ffi::CStr;
use core::mem;
use whipsnake_checkpoint_format::PAGE;
use whipsnake_checkpoint_format::image::Mapping;
use whipsnake_checkpoint_format::syscall::{number, syscall};

/// `O_CLOEXEC`.
pub const CLOEXEC: u32 = 0o2_000_000;
/// `O_NONBLOCK`.
pub const NONBLOCK: u32 = 0o4_000;
/// `PROT_READ`.
pub const READABLE: u32 = 1;
/// `PROT_WRITE`.
pub const WRITABLE: u32 = 2;
/// `PROT_EXEC`.
pub const EXECUTABLE: u32 = 4;

const AT_FDCWD: u64 = (-100_i64).cast_unsigned();
const EEXIST: i64 = -17;

/// An error number of the kernel's.
pub struct Errno(i64);

impl Errno {
    /// Whether something is mapped at the place already.
    pub fn is_taken(&self) -> bool {
        self.0 == EEXIST
    }
}

/// Makes a system call whose effects are the caller's alone.
///
/// # Safety
///
/// As for [`syscall`].
pub unsafe fn call(number: u64, arguments: [u64; 6]) -> Result<u64, Errno> {
    // SAFETY: the caller's.
    match unsafe { syscall(number, arguments) } {
        error @ -4095..=-1 => Err(Errno(error)),
        result => Ok(result.cast_unsigned()),
    }
}

/// An open file. Not closed when it is dropped: the process either ends or becomes another program.
#[derive(Clone, Copy)]
pub struct Fd(u64);

/// What the kernel knows of a file.
pub struct Status {
    /// Bytes.
    pub size: u64,
    /// Nanoseconds since the epoch.
    pub modified: u64,
}

impl Fd {
    /// Opens a file for reading.
    pub fn open(path: &CStr) -> Option<Self> {
        Self::open_with(path, CLOEXEC)
    }

    /// Opens a file with flags of `open`.
    pub fn open_with(path: &CStr, flags: u32) -> Option<Self> {
        // SAFETY: the path ends with a NUL.
        unsafe { call(number::OPENAT, [AT_FDCWD, path.as_ptr() as u64, u64::from(flags), 0, 0, 0]) }.ok().map(Self)
    }

    /// Its number.
    pub fn number(self) -> u64 {
        self.0
    }

    /// A descriptor that a system call has returned.
    pub fn of(number: u64) -> Self {
        Self(number)
    }

    /// Size and time.
    pub fn status(self) -> Option<Status> {
        let mut buffer = [0_u64; 18];
        // SAFETY: `stat` has 144 bytes on x86-64 and 128 on arm64.
        unsafe { call(number::FSTAT, [self.0, buffer.as_mut_ptr() as u64, 0, 0, 0, 0]) }.ok()?;
        Some(status(&buffer))
    }

    /// Reads from the beginning of a small file. Returns how many bytes that were, zero if it cannot be read.
    pub fn read(self, into: &mut [u8]) -> usize {
        // SAFETY: the kernel writes at most that many bytes.
        let read = unsafe { call(number::READ, [self.0, into.as_mut_ptr() as u64, into.len() as u64, 0, 0, 0]) };
        read.unwrap_or(0) as usize
    }

    /// Reads from an offset into memory that was mapped for it. Returns whether all of it could be read.
    pub fn read_into(self, memory: Mapping, offset: u64) -> bool {
        let mut read = 0;
        while read < memory.length {
            let (address, length) = (memory.start + read, memory.length - read);
            // SAFETY: memory of the restored process, which nobody uses yet.
            match unsafe { call(number::PREAD64, [self.0, address, length, offset + read, 0, 0]) } {
                Ok(0) | Err(_) => return false,
                Ok(count) => read += count,
            }
        }
        true
    }

    /// Closes it.
    pub fn close(self) {
        // SAFETY: nobody else uses the descriptor.
        let _ = unsafe { call(number::CLOSE, [self.0, 0, 0, 0, 0, 0]) };
    }
}

/// Size and time of the file with this path.
pub fn status_of(path: &CStr) -> Option<Status> {
    let mut buffer = [0_u64; 18];
    // SAFETY: as in `Fd::status`, and the path ends with a NUL.
    unsafe { call(number::NEWFSTATAT, [AT_FDCWD, path.as_ptr() as u64, buffer.as_mut_ptr() as u64, 0, 0, 0]) }.ok()?;
    Some(status(&buffer))
}

/// The fields are at the same places on both architectures.
fn status(stat: &[u64; 18]) -> Status {
    Status { size: stat[6], modified: stat[11].wrapping_mul(1_000_000_000).wrapping_add(stat[12]) }
}

/// What is mapped.
#[derive(Clone, Copy)]
pub enum Source {
    /// Zeros.
    Zero,
    /// A file, from an offset in bytes.
    File(Fd, u64),
}

/// Maps a source at exactly this place, where nothing is mapped yet.
pub fn map(at: Mapping, protection: u32, source: Source) -> Result<(), Errno> {
    const PRIVATE: u64 = 0x2;
    const ANONYMOUS: u64 = 0x20;
    const NORESERVE: u64 = 0x4000;
    const FIXED_NOREPLACE: u64 = 0x10_0000;
    let (flags, file, offset) = match source {
        Source::Zero => (PRIVATE | FIXED_NOREPLACE | ANONYMOUS | NORESERVE, u64::MAX, 0),
        Source::File(file, offset) => (PRIVATE | FIXED_NOREPLACE, file.0, offset),
    };
    // SAFETY: nothing of the restorer's is at that address, or the kernel refuses.
    let got = unsafe { call(number::MMAP, [at.start, at.length, u64::from(protection), flags, file, offset]) }?;
    // A kernel that does not know the flag takes the address for a wish.
    if got == at.start { Ok(()) } else { Err(Errno(EEXIST)) }
}

/// Maps a file for reading, wherever the kernel likes.
pub fn map_anywhere(file: Fd, length: u64) -> Option<Mapping> {
    // SAFETY: a new mapping.
    let start = unsafe { call(number::MMAP, [0, length, 1, 2, file.0, 0]) }.ok()?;
    Some(Mapping { start, length })
}

/// Removes a mapping.
pub fn unmap(mapping: Mapping) {
    // SAFETY: the caller does not use it any more.
    let _ = unsafe { call(number::MUNMAP, [mapping.start, mapping.length, 0, 0, 0, 0]) };
}

/// Changes what may be done with pages.
pub fn protect(mapping: Mapping, protection: u32) -> bool {
    // SAFETY: pages of the restored process.
    unsafe { call(number::MPROTECT, [mapping.start, mapping.length, u64::from(protection), 0, 0, 0]) }.is_ok()
}

/// Makes private copies of pages that are going to be written. Kernels before 5.14 refuse, and the pages are copied one by one later.
pub fn populate_for_writing(mapping: Mapping) -> bool {
    const POPULATE_WRITE: u64 = 23;
    // SAFETY: pages of the restored process, whose contents do not change.
    unsafe { call(number::MADVISE, [mapping.start, mapping.length, POPULATE_WRITE, 0, 0, 0]) }.is_ok()
}

/// Makes the kernel map the pages of a file one by one: neighbors with different advice are in mappings of their own.
pub fn separate_pages(mapping: Mapping) {
    const RANDOM: u64 = 1;
    for page in (mapping.start..mapping.end()).step_by(2 * PAGE as usize) {
        // SAFETY: advice changes no contents. The kernel's limit on mappings ends the loop's effect, not the program.
        let _ = unsafe { call(number::MADVISE, [page, PAGE, RANDOM, 0, 0, 0]) };
    }
}

/// Keeps a mapping apart from its neighbors, with which the kernel would merge it otherwise. Of the advice that does so, this one changes
/// only what a core dump has.
pub fn keep_apart(mapping: Mapping) {
    const DONT_DUMP: u64 = 16;
    // SAFETY: advice changes no contents.
    let _ = unsafe { call(number::MADVISE, [mapping.start, mapping.length, DONT_DUMP, 0, 0, 0]) };
}

/// The process's id.
pub fn process_id() -> u64 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { call(number::GETPID, [0; 6]) }.unwrap_or(0)
}

/// Time.
pub struct Clock;

impl Clock {
    /// Nanoseconds of the monotonic clock.
    pub fn now() -> u64 {
        let mut time = [0_u64; 2];
        // SAFETY: a `timespec` has two 64-bit numbers.
        let _ = unsafe { call(number::CLOCK_GETTIME, [1, time.as_mut_ptr() as u64, 0, 0, 0, 0]) };
        time[0].wrapping_mul(1_000_000_000).wrapping_add(time[1])
    }
}

/// Becomes another program. Returns if that fails.
pub fn execute(path: &CStr, arguments: u64, environment: u64) {
    // SAFETY: both are lists of pointers that end with a null pointer, from the kernel or from `ordinary`.
    let _ = unsafe { call(number::EXECVE, [path.as_ptr() as u64, arguments, environment, 0, 0, 0]) };
}

/// Writes pieces to standard error, as one line.
pub fn print(pieces: &[&[u8]]) {
    let mut line = [0_u8; 1024];
    let mut length = 0;
    for byte in pieces.iter().flat_map(|piece| piece.iter()) {
        if length < line.len() {
            line[length] = *byte;
            length += 1;
        }
    }
    // SAFETY: reads the line.
    let _ = unsafe { call(number::WRITE, [2, line.as_ptr() as u64, length as u64, 0, 0, 0]) };
}

/// Ends the process.
pub fn exit(code: u64) -> ! {
    loop {
        // SAFETY: ends the process.
        let _ = unsafe { call(number::EXIT_GROUP, [code, 0, 0, 0, 0, 0]) };
    }
}

/// The length of a `T`, for the kernel.
pub const fn size_of<T>() -> u64 {
    mem::size_of::<T>() as u64
}
