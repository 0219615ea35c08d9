//! Headers of checkpoints.

use std::mem;
use whipsnake_checkpoint_format::image::{
    DescriptorKind, Handover, Header, Image, MACHINE, MAGIC, MAX_DESCRIPTOR, Mapping, SegmentKind, VERSION,
};
use whipsnake_checkpoint_format::{PAGE, RESTORER};

/// How much of a file the first look reads, in bytes.
const FIRST: usize = 4096;
const _: () = assert!(FIRST as u64 == PAGE);

/// How long a file is whose body the bytes do not have.
const FILE: u64 = 16 * PAGE;

/// Any bytes for a checkpoint are refused, or everything that a restore relies on is so.
pub fn checkpoint(bytes: &[u8]) {
    parse(&Aligned::of(bytes), bytes.len() as u64);
    // A right beginning and a right checksum, so that the tables behind them are reached.
    let header = with_checksum(bytes);
    parse(&header, FILE);
    // The first page decides how much more is read.
    if let Ok(length) = Image::header_length(&header.bytes()[..FIRST]) {
        assert!(length % PAGE == 0 && length > 0);
    }
}

/// Whether the bytes are a sound header, but for the fields that [`checkpoint`] puts right.
#[must_use]
pub fn is_checkpoint(bytes: &[u8]) -> bool {
    Image::parse(with_checksum(bytes).bytes(), FILE).is_ok()
}

fn parse(header: &Aligned, file_length: u64) {
    if let Ok(image) = Image::parse(header.bytes(), file_length) {
        check(&image, header.bytes(), file_length);
    }
}

/// What a restore relies on, computed another way than where it is checked: page by page, and row by row.
fn check(image: &Image<'_>, bytes: &[u8], file_length: u64) {
    let within = bytes.as_ptr_range();
    let inside =
        |part: &[u8]| part.is_empty() || (within.start <= part.as_ptr() && part.as_ptr_range().end <= within.end);
    let text = |offset| {
        let text = image.text(offset).expect("a text").to_bytes_with_nul();
        assert!(inside(text));
    };
    let mut end = PAGE;
    for segment in image.segments() {
        let Mapping { start, length } = segment.mapping;
        let next = start.checked_add(length).expect("an end");
        assert!(start >= end && next > start && next <= 1 << 48, "{segment:?}");
        assert!((start | length | segment.offset) % PAGE == 0 && segment.protection <= 7, "{segment:?}");
        assert!(next <= RESTORER.start || start >= RESTORER.end, "{segment:?}");
        match image.kind(segment) {
            SegmentKind::Zero => {}
            SegmentKind::Value | SegmentKind::Vdso => assert!(segment.offset + length <= file_length, "{segment:?}"),
            SegmentKind::Reference => {
                let file = image.files()[usize::try_from(segment.file).expect("an index")];
                // Its last page may be a part of one.
                assert!(segment.offset + length < file.size.saturating_add(PAGE), "{segment:?} {file:?}");
            }
        }
        end = next;
    }
    image.files().iter().for_each(|file| text(file.path));
    image.variables().iter().for_each(|variable| text(variable.name));
    assert!(image.variables().iter().all(|variable| variable.expectation <= 2));
    text(image.bootstrap().expect("a bootstrap").path);
    for descriptor in image.descriptors() {
        assert!((3..=MAX_DESCRIPTOR).contains(&descriptor.number), "{descriptor:?}");
        match DescriptorKind::of(descriptor.kind).expect("a kind") {
            DescriptorKind::File => text(descriptor.path),
            DescriptorKind::Memory => {
                text(descriptor.path);
                assert!(descriptor.value + descriptor.length <= bytes.len() as u64, "{descriptor:?}");
            }
            DescriptorKind::Pair | DescriptorKind::Pipe => {
                assert!((3..=MAX_DESCRIPTOR).contains(&descriptor.first), "{descriptor:?}");
            }
            _ => {}
        }
    }
    assert!(image.watches().iter().all(|watch| watch.epoll <= MAX_DESCRIPTOR));
    assert!(image.signal_actions().iter().all(|action| (1..=64).contains(&action.signal)));
    let header = image.header();
    if header.vdso.length > 0 {
        assert!(is_covered(image, header.vdso.start, header.vdso.length, |kind, _| kind == SegmentKind::Vdso));
    }
    for symbol in image.vdso_symbols() {
        assert!(symbol.address >= header.vdso.start);
        assert!(symbol.address + symbol.room <= header.vdso.start + header.vdso.length, "{symbol:?}");
    }
    let is_writable = |start, length| is_covered(image, start, length, |_, protection| protection & 2 != 0);
    assert!(image.written().iter().all(|range| is_writable(range.start, range.length)));
    assert!(is_writable(header.entry.handover, mem::size_of::<Handover>() as u64));
    assert!(is_writable(header.entry.stack, 8));
    assert!(is_writable(header.thread.id_address, 4));
    assert!(header.thread.restartable_sequence == 0 || is_writable(header.thread.restartable_sequence, 8));
    assert!(is_covered(image, header.entry.instruction, 1, |_, protection| protection & 4 != 0));
}

/// Whether suitable segments have the first and the last byte, and every beginning of a segment between them.
fn is_covered(image: &Image<'_>, start: u64, length: u64, is_suitable: impl Fn(SegmentKind, u32) -> bool) -> bool {
    let last = start.checked_add(length - 1).expect("a last byte");
    let has = |address: u64| {
        image.segments().iter().any(|segment| {
            segment.mapping.start <= address
                && address - segment.mapping.start < segment.mapping.length
                && is_suitable(image.kind(segment), segment.protection)
        })
    };
    let ends = image.segments().iter().map(|segment| segment.mapping.start + segment.mapping.length);
    has(start) && has(last) && ends.filter(|end| (start..=last).contains(end)).all(has)
}

/// The same with the fields that every checkpoint has, as long as a header of whole pages.
fn with_checksum(bytes: &[u8]) -> Aligned {
    let length = bytes.len().max(mem::size_of::<Header>()).next_multiple_of(FIRST);
    let mut header = Aligned::of(bytes);
    header.words.resize(length / 8, 0);
    let bytes = header.bytes_mut();
    let mut set = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    set(mem::offset_of!(Header, magic), &MAGIC);
    set(mem::offset_of!(Header, version), &VERSION.to_le_bytes());
    set(mem::offset_of!(Header, machine), &MACHINE.to_le_bytes());
    set(mem::offset_of!(Header, header_length), &(length as u64).to_le_bytes());
    set(mem::offset_of!(Header, file_length), &FILE.max(length as u64).to_le_bytes());
    set(mem::offset_of!(Header, checksum), &[0; 8]);
    let (first, tables) = bytes.split_at(mem::size_of::<Header>());
    let sum = whipsnake_checkpoint_format::hash(first) ^ whipsnake_checkpoint_format::hash(tables).rotate_left(1);
    bytes[mem::offset_of!(Header, checksum)..][..8].copy_from_slice(&sum.to_le_bytes());
    header
}

/// Bytes that are aligned as a mapped file is.
struct Aligned {
    words: Vec<u64>,
}

impl Aligned {
    fn of(bytes: &[u8]) -> Self {
        let mut aligned = Self { words: vec![0; bytes.len().div_ceil(8)] };
        aligned.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
        aligned
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: a word is eight bytes, and a byte may have any value.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.words.len() * 8) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), self.words.len() * 8) }
    }
}
