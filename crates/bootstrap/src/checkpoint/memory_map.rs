//! The memory map of this process, and its memory written to a file. Nothing here allocates.

use std::os::fd::RawFd;
use whipsnake_checkpoint_format::{PAGE, PAGE_SIZE};

/// A line of the memory map.
pub struct Region {
    /// The first address.
    pub start: u64,
    /// The address behind the last one.
    pub end: u64,
    /// Such as `r-xp`.
    pub permissions: [u8; 4],
    /// Whether a file is mapped.
    pub has_file: bool,
    /// Whether the kernel has put it there, such as `[vvar]`.
    pub is_kernels: bool,
}

impl Region {
    /// Reads a line.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.trim_ascii_end().split(|byte| *byte == b' ').filter(|field| !field.is_empty());
        let mut addresses = fields.next()?.split(|byte| *byte == b'-');
        let (start, end) = (hexadecimal(addresses.next()?)?, hexadecimal(addresses.next()?)?);
        let permissions: [u8; 4] = fields.next()?.try_into().ok()?;
        let (_offset, _device, inode) = (fields.next()?, fields.next()?, fields.next()?);
        let name = fields.next().unwrap_or_default();
        let is_kernels = name.starts_with(b"[vvar") || name.starts_with(b"[vsyscall");
        Some(Self { start, end, permissions, has_file: inode != b"0", is_kernels })
    }

    /// Whether it may be used so: `r`, `w` or `x`.
    pub fn is(&self, permission: u8) -> bool {
        self.permissions.contains(&permission)
    }

    /// Whether the address is in it.
    pub fn contains(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// Whether the region is part of a dump.
    pub fn is_dumped(&self) -> bool {
        self.is(b'r') && !self.is_kernels
    }

    /// Writes each run of pages behind its address and length. Pages of zeros are left out, except in files: there even reading a page
    /// behind the end of the file would end the process, so the kernel reads them.
    ///
    /// # Safety
    ///
    /// The region is mapped for reading, and nothing changes it meanwhile.
    pub unsafe fn write(&self, file: RawFd) -> bool {
        let mut run = self.start;
        // SAFETY: the caller's: the region is mapped for reading.
        unsafe {
            for page in (self.start..self.end).step_by(PAGE_SIZE) {
                let next = page + PAGE;
                if self.has_file {
                    if !write_page_of_file(file, page) {
                        return false;
                    }
                } else if is_zero(page as *const u64) {
                    if !write_run(file, run, page) {
                        return false;
                    }
                    run = next;
                }
            }
            self.has_file || write_run(file, run, self.end)
        }
    }
}

unsafe fn is_zero(page: *const u64) -> bool {
    // SAFETY: the caller's: a whole page.
    unsafe { std::slice::from_raw_parts(page, PAGE_SIZE / 8) }.iter().all(|word| *word == 0)
}

/// Leaves out a page behind the end of its file.
unsafe fn write_page_of_file(file: RawFd, page: u64) -> bool {
    // SAFETY: the caller's. The descriptor is that of a regular file.
    unsafe {
        let before = libc::lseek(file, 0, libc::SEEK_CUR);
        if write_run(file, page, page + PAGE) {
            return true;
        }
        *libc::__errno_location() == libc::EFAULT
            && libc::ftruncate(file, before) == 0
            && libc::lseek(file, before, libc::SEEK_SET) == before
    }
}

unsafe fn write_run(file: RawFd, start: u64, end: u64) -> bool {
    let header = [start, end - start];
    let Ok(length) = usize::try_from(end - start) else { return false };
    // SAFETY: the caller's: these pages are mapped.
    unsafe {
        length == 0
            || write_all(file, header.as_ptr().cast(), size_of_val(&header))
                && write_all(file, start as *const u8, length)
    }
}

/// Writes bytes, without allocating.
///
/// # Safety
///
/// That many bytes are mapped for reading, or the kernel reports that they are not.
pub unsafe fn write_all(file: RawFd, bytes: *const u8, length: usize) -> bool {
    let mut written = 0;
    while written < length {
        // SAFETY: the caller's: that many bytes are mapped, or the kernel says that they are not.
        let count = unsafe { libc::write(file, bytes.add(written).cast(), length - written) };
        if count <= 0 {
            return false;
        }
        written += count.cast_unsigned();
    }
    true
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |number, digit| Some(number << 4 | u64::from((*digit as char).to_digit(16)?)))
}
