//! The files that the dumped process has read: modules, libraries, the bootstrap itself.

use crate::kernel::{self, Fd};
use crate::{Refusal, program};
use whipsnake_checkpoint_format::hash;
use whipsnake_checkpoint_format::image::{File, Image};

/// Checks that every file is as it was.
pub fn check(image: &Image<'static>) -> Result<(), Refusal<'static>> {
    for file in image.files() {
        let path = image.text(file.path).unwrap_or(c"");
        let Some(status) = kernel::status_of(path) else {
            return Err(Refusal::Check("a file is missing", path.to_bytes()));
        };
        // Archives are unpacked with the time of unpacking by some tools, so another time proves nothing.
        if status.size != file.size || (status.modified != file.modified && !has_same_contents(path, file)) {
            return Err(Refusal::Check("a file has changed", path.to_bytes()));
        }
    }
    Ok(())
}

fn has_same_contents(path: &core::ffi::CStr, file: &File) -> bool {
    if file.size == 0 {
        return true;
    }
    let Some(opened) = Fd::open(path) else { return false };
    let mapping = kernel::map_anywhere(opened, file.size);
    opened.close();
    mapping.is_some_and(|mapping| {
        // SAFETY: mapped just now, and unmapped below.
        let same = hash(unsafe { program::bytes_at(mapping.start, mapping.length) }) == file.hash;
        kernel::unmap(mapping);
        same
    })
}
