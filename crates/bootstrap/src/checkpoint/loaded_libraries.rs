//! How the loader knows which libraries are loaded: by device and inode. Both are of the machine that the process was dumped on, so a restored
//! process takes one library for another, unless its records get the numbers of its own machine.

use std::ffi::{CStr, OsStr, c_char, c_void};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::ptr;

/// How much of the loader's private record of a library is searched, in 64-bit words. The numbers are at byte 968 in glibc 2.36 and at
/// byte 992 in 2.43.
const SEARCHED: usize = 144;

/// Stands for a file that is not there: no file has this number.
const NO_FILE: u64 = u64::MAX;

/// The public beginning of the loader's record of a library, as in `link.h`.
#[repr(C)]
struct LinkMap {
    address: *mut c_void,
    name: *const c_char,
    dynamic_section: *mut c_void,
    next: *mut LinkMap,
    previous: *mut LinkMap,
}

/// Where the loader's record has device and inode, in 64-bit words.
#[derive(Clone, Copy, Debug)]
pub struct FileId(usize);

impl FileId {
    /// Finds the place by looking for the numbers of files that are loaded. Fails where it is not the same in every record.
    pub fn find() -> Result<Self, String> {
        let mut places = None;
        for (record, library) in libraries() {
            let Some(numbers) = numbers_of(library) else { continue };
            // SAFETY: the loader's records are longer than what is searched.
            let words = unsafe { std::slice::from_raw_parts(record.cast::<u64>(), SEARCHED) };
            let is_known = |place: &usize| places.as_ref().is_none_or(|known: &Vec<usize>| known.contains(place));
            let here = (0..SEARCHED - 1).filter(|place| words[*place..*place + 2] == numbers).filter(is_known);
            let here: Vec<usize> = here.collect();
            // The loader has not opened its own file, and does not know its numbers.
            if !here.is_empty() || !is_loader(library) {
                places = Some(here);
            }
        }
        match places.as_deref() {
            Some([place]) => Ok(Self(*place)),
            _ => Err("the loader keeps the numbers of its files in a place that is not known".to_owned()),
        }
    }

    /// Gives the loader the numbers of this machine's files.
    pub fn renew(self) {
        for (record, library) in libraries().filter(|(_, library)| !is_loader(library)) {
            let numbers = numbers_of(library).unwrap_or([NO_FILE; 2]);
            // SAFETY: `find` has found the two words in every record, and one thread runs.
            unsafe { record.cast::<[u64; 2]>().byte_add(self.0 * 8).write_unaligned(numbers) };
        }
    }
}

/// The libraries that were loaded from files: the loader's record and the path.
fn libraries() -> impl Iterator<Item = (*mut LinkMap, &'static OsStr)> {
    const LINK_MAP: i32 = 2;
    let mut next: *mut LinkMap = ptr::null_mut();
    // SAFETY: asks for the record of the executable, the first of the list, which lives as long as the process.
    unsafe {
        let executable = libc::dlopen(ptr::null(), libc::RTLD_LAZY);
        libc::dlinfo(executable, LINK_MAP, (&raw mut next).cast());
    }
    std::iter::from_fn(move || {
        let record = next;
        // SAFETY: the loader's list, which ends with a null pointer. Names end with a NUL.
        unsafe {
            if record.is_null() {
                return None;
            }
            next = (*record).next;
            Some((record, OsStr::from_bytes(CStr::from_ptr((*record).name).to_bytes())))
        }
    })
    // The executable and the vDSO have no path.
    .filter(|(_, name)| name.as_bytes().starts_with(b"/"))
}

fn is_loader(library: &OsStr) -> bool {
    Path::new(library).file_name().is_some_and(|name| name.as_bytes().starts_with(b"ld-linux"))
}

fn numbers_of(library: &OsStr) -> Option<[u64; 2]> {
    fs::metadata(library).ok().map(|metadata| [metadata.dev(), metadata.ino()])
}
