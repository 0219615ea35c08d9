//! Maps the dumped process's memory.

use crate::kernel::{self, Fd, Source};
use crate::program::Arguments;
use crate::{Refusal, program};
use core::slice;
use whipsnake_checkpoint_format::image::{Image, Invalid, Mapping, Segment, SegmentKind};
use whipsnake_checkpoint_format::vdso::{self, FUNCTIONS, Vdso};
use whipsnake_checkpoint_format::{HEADER_ADDRESS, PAGE, TRAINING};

/// Maps the header and checks it.
pub fn header(file: Fd) -> Result<Image<'static>, Invalid> {
    let file_length = file.status().map_or(0, |status| status.size);
    if file_length < PAGE {
        return Err(Invalid::NotACheckpoint);
    }
    let first = Mapping { start: HEADER_ADDRESS, length: PAGE };
    let length = Image::header_length(mapped(file, first)?)?;
    kernel::unmap(first);
    Image::parse(mapped(file, Mapping { length: length.min(file_length), ..first })?, file_length)
}

fn mapped(file: Fd, at: Mapping) -> Result<&'static [u8], Invalid> {
    kernel::map(at, kernel::READABLE, Source::File(file, 0)).map_err(|_| Invalid::NotACheckpoint)?;
    // SAFETY: mapped just now, within the file, and never unmapped while it is used.
    Ok(unsafe { program::bytes_at(at.start, at.length) })
}

/// How many pages get a mapping of their own when the command learns which are touched. The kernel's usual limit is 65,530 mappings.
const MAX_SEPARATED: u64 = 50_000;

/// Maps every segment. Nothing of this program is overwritten, so the ordinary start can still follow.
pub fn segments(image: &Image<'static>, file: Fd, arguments: &Arguments) -> Result<(), Refusal<'static>> {
    let mut referenced: Option<(u64, Fd)> = None;
    let mut separable = if arguments.variable(TRAINING.as_bytes()).is_some() { MAX_SEPARATED } else { 0 };
    let mut before: Option<(&Segment, bool)> = None;
    for segment in image.segments() {
        let source = match image.kind(segment) {
            SegmentKind::Zero | SegmentKind::Stack => Source::Zero,
            SegmentKind::Value | SegmentKind::Vdso => Source::File(file, segment.offset),
            SegmentKind::Reference => {
                let open = match referenced {
                    Some((index, open)) if index == segment.file => open,
                    _ => {
                        if let Some((_, before)) = referenced {
                            before.close();
                        }
                        let path = image.files().get(segment.file as usize).and_then(|file| image.text(file.path));
                        let path = path.unwrap_or(c"");
                        let open = Fd::open(path).ok_or(Refusal::Check("a file cannot be read", path.to_bytes()))?;
                        referenced = Some((segment.file, open));
                        open
                    }
                };
                Source::File(open, segment.offset)
            }
        };
        let is_vdso = image.kind(segment) == SegmentKind::Vdso;
        let protection = if is_vdso { kernel::READABLE | kernel::WRITABLE } else { segment.protection };
        kernel::map(segment.mapping, protection, source).map_err(|error| {
            if error.is_taken() { Refusal::Collision } else { Refusal::Check("the kernel refused a mapping", b"") }
        })?;
        if image.kind(segment) == SegmentKind::Stack {
            let filled = Mapping { start: segment.mapping.end() - segment.file, length: segment.file };
            if !file.read_into(filled, segment.offset) {
                return Err(Refusal::Check("the stack cannot be read", b""));
            }
        }
        // The packer divides files into what is used and what is not: the kernel maps a page's neighbors with it, so they must not be merged.
        let is_apart = before.is_some_and(|(before, is_apart)| !is_apart && continues(image, before, segment));
        if is_apart {
            kernel::keep_apart(segment.mapping);
        }
        before = Some((segment, is_apart));
        let pages = segment.mapping.length / PAGE;
        if pages <= separable && matches!(source, Source::File(..)) {
            separable -= pages;
            kernel::separate_pages(segment.mapping);
        }
    }
    if let Some((_, last)) = referenced {
        last.close();
    }
    for range in image.written() {
        if !kernel::populate_for_writing(*range) {
            break;
        }
    }
    lead_to_running_kernel(image, arguments.vdso())
}

/// Whether both are of one file, and one begins where the other ends.
fn continues(image: &Image<'static>, before: &Segment, segment: &Segment) -> bool {
    let is_reference = |segment| image.kind(segment) == SegmentKind::Reference;
    is_reference(before)
        && is_reference(segment)
        && (before.file, before.protection) == (segment.file, segment.protection)
        && before.mapping.end() == segment.mapping.start
        && before.offset + before.mapping.length == segment.offset
}

/// Makes the functions of the old vDSO lead to those of the running kernel.
fn lead_to_running_kernel(image: &Image<'static>, running: u64) -> Result<(), Refusal<'static>> {
    let old = image.header().vdso;
    if old.length == 0 {
        return Ok(());
    }
    // SAFETY: the address is from the kernel.
    let running = unsafe { Vdso::at(running) };
    for symbol in image.vdso_symbols() {
        let Some(function) = FUNCTIONS.get(symbol.function as usize) else { continue };
        let target = running.and_then(|running| running.find(function.name));
        let (code, length) = target.map_or_else(|| vdso::system_call(function.system_call), vdso::jump);
        if (length as u64) > symbol.room {
            return Err(Refusal::Check("a function of the vDSO is too short", function.name.to_bytes()));
        }
        // SAFETY: in the copy of the old vDSO, which was just mapped for writing; the header says that there is room.
        unsafe {
            slice::from_raw_parts_mut(symbol.address as *mut u8, length).copy_from_slice(&code[..length]);
            vdso::flush_instructions(symbol.address, length);
        }
    }
    if kernel::protect(old, kernel::READABLE | kernel::EXECUTABLE) {
        Ok(())
    } else {
        Err(Refusal::Check("the kernel refused to make the vDSO executable", b""))
    }
}
