//! The file's layout, and reading it.
//!
//! [`Image::parse`] checks everything that a restore relies on, so that a damaged file is refused before anything is mapped.

use crate::cpu::Features;
use crate::{PAGE, RESTORER, hash};
use core::ffi::CStr;
use core::{fmt, mem, slice};

/// The first bytes of the file.
pub const MAGIC: [u8; 8] = *b"whipckpt";

/// The version of this layout. A restorer reads its own version only.
pub const VERSION: u32 = 1;

/// The largest header that a restorer maps, in bytes.
pub const MAX_HEADER: u64 = 8 << 20;

/// The highest address of a program, plus one: 47 bits on x86-64, 48 on arm64.
const ADDRESS_END: u64 = if cfg!(target_arch = "aarch64") { 1 << 48 } else { 1 << 47 };

/// `PROT_BTI` of arm64: the processor only branches into this memory at landing pads.
pub const GUARDED: u32 = 0x10;

/// What a segment's protection may have.
const PROTECTIONS: u32 = if cfg!(target_arch = "aarch64") { 7 | GUARDED } else { 7 };

/// The header, at the beginning of the file.
#[repr(C)]
#[derive(Clone, Debug)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`VERSION`].
    pub version: u32,
    /// The ELF machine number of the processor.
    pub machine: u32,
    /// The length of the header and its tables, in bytes, a multiple of [`PAGE`].
    pub header_length: u64,
    /// The length of the whole file, in bytes.
    pub file_length: u64,
    /// [`hash`] of the header and its tables, with zeros in this place.
    pub checksum: u64,
    /// Where the process continues.
    pub entry: Entry,
    /// What the kernel knows of the thread.
    pub thread: Thread,
    /// The vDSO that the process was dumped with.
    pub vdso: Mapping,
    /// What the process's libraries may have chosen code by.
    pub cpu: Features,
    /// The process that initialized the function. A process with the same id would repeat the random numbers of OpenSSL, which tells
    /// copies of itself apart by their process id.
    pub process_id: u32,
    /// How much of the function is in it: 0 for third-party modules, 1 for the whole init phase. For people; a restore is the same.
    pub kind: u32,
    /// The program that the image belongs to: an index of [`Image::files`].
    pub bootstrap: u64,
    /// The tables.
    pub tables: Tables,
}

/// Where a restored process continues, and what it finds there.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The stack pointer.
    pub stack: u64,
    /// The instruction.
    pub instruction: u64,
    /// The address of a [`Handover`], which the restorer fills.
    pub handover: u64,
}

/// What the restorer tells the restored process.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Handover {
    /// The number of arguments.
    pub argument_count: u64,
    /// The arguments, as the kernel passed them.
    pub arguments: u64,
    /// The environment, as the kernel passed it.
    pub environment: u64,
    /// When the restorer began, in nanoseconds of the monotonic clock.
    pub began: u64,
    /// When the memory was complete, in nanoseconds of the monotonic clock.
    pub mapped: u64,
}

/// What the kernel keeps for the main thread.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Thread {
    /// The thread pointer: FS on x86-64, `tpidr_el0` on arm64.
    pub pointer: u64,
    /// Where the kernel and the C library keep the thread's id.
    pub id_address: u64,
    /// The list of robust futexes, and its length in bytes.
    pub robust_list: u64,
    /// See [`Self::robust_list`].
    pub robust_list_length: u64,
    /// The area for restartable sequences. Zero if the C library has registered none.
    pub restartable_sequence: u64,
    /// Its length in bytes.
    pub restartable_sequence_length: u32,
    /// Its signature.
    pub restartable_sequence_signature: u32,
    /// The mask of blocked signals.
    pub signal_mask: u64,
    /// The alternate signal stack, as the kernel's `stack_t`.
    pub signal_stack: [u64; 3],
}

/// A range of addresses.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    /// The first address.
    pub start: u64,
    /// The length in bytes.
    pub length: u64,
}

impl Mapping {
    /// The address behind the last one. Saturates.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.start.saturating_add(self.length)
    }

    /// Whether the two have an address in common.
    #[must_use]
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end() && other.start < self.end()
    }
}

/// Where each table is.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Tables {
    /// [`Segment`]s, by address.
    pub segments: Table,
    /// [`File`]s.
    pub files: Table,
    /// [`Variable`]s.
    pub variables: Table,
    /// [`Descriptor`]s, by number.
    pub descriptors: Table,
    /// [`Watch`]es.
    pub watches: Table,
    /// [`SignalAction`]s.
    pub signal_actions: Table,
    /// [`VdsoSymbol`]s.
    pub vdso_symbols: Table,
    /// [`Mapping`]s that every start writes to.
    pub written: Table,
    /// The texts that the other tables refer to, each ended by a NUL.
    pub strings: Table,
}

/// A table of the header.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Table {
    /// Its place in the file.
    pub offset: u64,
    /// The number of its rows.
    pub count: u64,
}

/// A piece of the address space.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its addresses.
    pub mapping: Mapping,
    /// Where its contents are: in this file, or in the file it refers to.
    pub offset: u64,
    /// `PROT_READ`, `PROT_WRITE` and `PROT_EXEC`; on arm64 [`GUARDED`] as well.
    pub protection: u32,
    /// A [`SegmentKind`].
    pub kind: u32,
    /// For a [`SegmentKind::Reference`]: the file, an index of [`Image::files`]. For a [`SegmentKind::Stack`]: how many bytes are read.
    pub file: u64,
}

/// What a segment is filled with.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentKind {
    /// Zeros.
    Zero = 0,
    /// Pages of this file.
    Value = 1,
    /// Pages of another file.
    Reference = 2,
    /// Pages of this file: the vDSO of the dumped process, whose functions lead to the running kernel's.
    Vdso = 3,
    /// Zeros, and at the end bytes that are read from this file: the main stack. The C library finds its limits in the list of mappings, so it
    /// has to be one mapping.
    Stack = 4,
}

impl SegmentKind {
    const fn of(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Zero,
            1 => Self::Value,
            2 => Self::Reference,
            3 => Self::Vdso,
            4 => Self::Stack,
            _ => return None,
        })
    }
}

/// A file that has to be as it was: a module that was imported, or a library that is mapped.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    /// Where its absolute path is among the strings.
    pub path: u64,
    /// Its size in bytes.
    pub size: u64,
    /// Its modification time, in nanoseconds since the epoch. Where it differs, the contents decide.
    pub modified: u64,
    /// [`hash`] of its contents.
    pub hash: u64,
}

/// An environment variable that the dumped process depends on.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Where its name is among the strings. A name that ends with `*` stands for every variable that begins so and is not listed itself.
    pub name: u64,
    /// [`hash`] of its value. Unused where it has to be absent.
    pub hash: u64,
    /// An [`Expectation`].
    pub expectation: u64,
}

/// What has to be true of a variable.
#[repr(u64)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// It is not set.
    Absent = 0,
    /// It has the value it had. Where several rows have the name, the value of one of them.
    Equal = 1,
    /// Anything: only the dumped process had it.
    Any = 2,
}

/// A descriptor that is made again at its number.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Its number.
    pub number: u32,
    /// A [`DescriptorKind`].
    pub kind: u32,
    /// Flags of `open`, of which `O_CLOEXEC` and `O_NONBLOCK` matter for all kinds.
    pub flags: u32,
    /// For a pair or a pipe: the number of its other end. For a socket: the address family. For a memory file: the position.
    pub first: u32,
    /// For a socket or a pair: its type. For a pipe: 1 if this is the end that is written to.
    pub second: u32,
    /// For a socket: the protocol.
    pub third: u32,
    /// For a file: the position. For an event counter: the count. For a memory file: its place in this file.
    pub value: u64,
    /// For a memory file: its length in bytes.
    pub length: u64,
    /// Where the path of a file, or the name of a memory file, is among the strings.
    pub path: u64,
}

/// What kind of descriptor is made.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DescriptorKind {
    /// A file or folder that is opened.
    File = 0,
    /// A socket that was not connected.
    Socket = 1,
    /// A connection, which is gone: the descriptor reads as closed by the other end.
    Connection = 2,
    /// An event counter.
    Event = 3,
    /// An epoll instance.
    Epoll = 4,
    /// One end of a socket pair, of which the process has both ends.
    Pair = 5,
    /// One end of a pipe, of which the process has both ends.
    Pipe = 6,
    /// A memory file.
    Memory = 7,
}

impl DescriptorKind {
    /// The kind with this number.
    #[must_use]
    pub const fn of(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::File,
            1 => Self::Socket,
            2 => Self::Connection,
            3 => Self::Event,
            4 => Self::Epoll,
            5 => Self::Pair,
            6 => Self::Pipe,
            7 => Self::Memory,
            _ => return None,
        })
    }
}

/// A descriptor that an epoll instance watches.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// The epoll instance.
    pub epoll: u32,
    /// What it watches.
    pub descriptor: u32,
    /// `EPOLLIN` and so on.
    pub events: u64,
    /// What the program gets back.
    pub data: u64,
}

/// What the process does about a signal, if that is not the default.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalAction {
    /// The signal.
    pub signal: u64,
    /// The kernel's `sigaction`: handler, flags, restorer and mask.
    pub action: [u64; 4],
}

/// A function of the vDSO that the process was dumped with.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VdsoSymbol {
    /// Its index in [`crate::vdso::FUNCTIONS`].
    pub function: u64,
    /// Its address.
    pub address: u64,
    /// How many bytes there are before the next function begins.
    pub room: u64,
}

/// Why a file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// It is no checkpoint, or not a whole header.
    NotACheckpoint,
    /// It was written for another version of the restorer.
    Version,
    /// It was written for another processor architecture.
    Machine,
    /// The header is not what was written.
    Checksum,
    /// The file is shorter or longer than its header says.
    Length,
    /// A table contradicts itself: the name of the table.
    Table(&'static str),
}

impl Invalid {
    /// The reason, for a log line.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotACheckpoint => "the file is not a checkpoint",
            Self::Version => "the file was written by another version of whipsnake",
            Self::Machine => "the file was written for another processor architecture",
            Self::Checksum => "the header is damaged",
            Self::Length => "the file is incomplete",
            Self::Table(_) => "the header contradicts itself",
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())?;
        if let Self::Table(name) = self {
            write!(f, " ({name})")?;
        }
        Ok(())
    }
}

/// Rows that may be read from any bytes of the right length: `repr(C)`, integers only, no padding.
///
/// # Safety
///
/// The implementor has no padding and no invalid bit patterns.
pub unsafe trait Row: Copy {}

// SAFETY: `repr(C)` structs of integers, whose fields leave no gaps; a byte is one.
unsafe impl Row for u8 {}
// SAFETY: as above.
unsafe impl Row for Mapping {}
// SAFETY: as above.
unsafe impl Row for Segment {}
// SAFETY: as above.
unsafe impl Row for File {}
// SAFETY: as above.
unsafe impl Row for Variable {}
// SAFETY: as above.
unsafe impl Row for Descriptor {}
// SAFETY: as above.
unsafe impl Row for Watch {}
// SAFETY: as above.
unsafe impl Row for SignalAction {}
// SAFETY: as above.
unsafe impl Row for VdsoSymbol {}

/// The bytes of rows, as the file has them.
#[must_use]
pub fn bytes_of<T: Row>(rows: &[T]) -> &[u8] {
    // SAFETY: `Row` has no padding, so every byte is initialized.
    unsafe { slice::from_raw_parts(rows.as_ptr().cast(), mem::size_of_val(rows)) }
}

impl Header {
    /// The bytes of the header, as the file has them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `repr(C)`, integers only; the fields are ordered so that they leave no gaps (checked by a test).
        unsafe { slice::from_raw_parts((&raw const *self).cast(), mem::size_of::<Self>()) }
    }

    /// The checksum that belongs into a header with these tables behind it.
    #[must_use]
    pub fn checksum(&self, tables: &[u8]) -> u64 {
        let unsigned = Self { checksum: 0, ..self.clone() };
        hash(unsigned.bytes()) ^ hash(tables).rotate_left(1)
    }
}

/// The ELF machine number of this processor.
pub const MACHINE: u32 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };

/// A header that has passed all checks.
#[derive(Clone, Copy)]
pub struct Image<'a> {
    bytes: &'a [u8],
    header: &'a Header,
}

impl<'a> Image<'a> {
    /// How many bytes of the file [`Self::parse`] needs, from its first [`PAGE`] bytes.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are not the beginning of a checkpoint that this program can read.
    pub fn header_length(first: &[u8]) -> Result<u64, Invalid> {
        let header = header_of(first).ok_or(Invalid::NotACheckpoint)?;
        if header.magic != MAGIC {
            return Err(Invalid::NotACheckpoint);
        }
        if header.version != VERSION {
            return Err(Invalid::Version);
        }
        if header.machine != MACHINE {
            return Err(Invalid::Machine);
        }
        let length = header.header_length;
        let fits = length % PAGE == 0 && (PAGE..=MAX_HEADER).contains(&length) && length <= header.file_length;
        if fits { Ok(length) } else { Err(Invalid::NotACheckpoint) }
    }

    /// Reads the header from its `bytes`, which are aligned to [`PAGE`]. `file_length` is the length of the whole file.
    ///
    /// # Errors
    ///
    /// Fails if anything that a restore relies on is not so.
    pub fn parse(bytes: &'a [u8], file_length: u64) -> Result<Self, Invalid> {
        let length = Self::header_length(bytes)?;
        let header = header_of(bytes).ok_or(Invalid::NotACheckpoint)?;
        if header.file_length != file_length {
            return Err(Invalid::Length);
        }
        let bytes = usize::try_from(length).ok().and_then(|length| bytes.get(..length)).ok_or(Invalid::Length)?;
        if header.checksum != header.checksum(&bytes[mem::size_of::<Header>()..]) {
            return Err(Invalid::Checksum);
        }
        let image = Self { bytes, header };
        image.check()?;
        Ok(image)
    }

    fn check(&self) -> Result<(), Invalid> {
        let tables = &self.header.tables;
        let within = |name, fits: bool| if fits { Ok(()) } else { Err(Invalid::Table(name)) };
        within("strings", self.fits::<u8>(tables.strings) && self.strings().last().is_none_or(|last| *last == 0))?;
        within("segments", self.fits::<Segment>(tables.segments))?;
        within("files", self.fits::<File>(tables.files))?;
        within("variables", self.fits::<Variable>(tables.variables))?;
        within("descriptors", self.fits::<Descriptor>(tables.descriptors))?;
        within("watches", self.fits::<Watch>(tables.watches))?;
        within("signal actions", self.fits::<SignalAction>(tables.signal_actions))?;
        within("vDSO symbols", self.fits::<VdsoSymbol>(tables.vdso_symbols))?;
        within("written pages", self.fits::<Mapping>(tables.written))?;
        self.check_segments()?;
        let is_text = |offset: u64| self.text(offset).is_some();
        within("files", self.files().iter().all(|file| is_text(file.path)))?;
        within("bootstrap", self.bootstrap().is_some())?;
        within("variables", self.variables().iter().all(|v| is_text(v.name) && v.expectation <= 2))?;
        within("descriptors", self.descriptors().iter().all(|d| self.is_sound(d)))?;
        within("watches", self.watches().iter().all(|watch| watch.epoll <= MAX_DESCRIPTOR))?;
        let is_signal = |action: &SignalAction| (1..=64).contains(&action.signal);
        within("signal actions", self.signal_actions().iter().all(is_signal))?;
        let vdso = self.header.vdso;
        let is_vdso = |segment: &Segment| segment.kind == SegmentKind::Vdso as u32;
        // The restorer makes the range writable, and writes into it.
        within("vDSO", vdso.length == 0 || self.is_covered(vdso, is_vdso))?;
        let is_inside = |symbol: &VdsoSymbol| {
            vdso.start <= symbol.address && symbol.address.saturating_add(symbol.room) <= vdso.end()
        };
        within("vDSO symbols", self.vdso_symbols().iter().all(is_inside))?;
        within("written pages", self.written().iter().all(|range| self.is_covered(*range, is_writable)))?;
        let entry = self.header.entry;
        let handover = Mapping { start: entry.handover, length: mem::size_of::<Handover>() as u64 };
        within("entry", self.is_covered(handover, is_writable) && handover.start.is_multiple_of(8))?;
        within("entry", self.is_covered(Mapping { start: entry.stack, length: 8 }, is_writable))?;
        within("entry", self.is_covered(Mapping { start: entry.instruction, length: 1 }, is_executable))?;
        let thread = &self.header.thread;
        let thread_id = Mapping { start: thread.id_address, length: 4 };
        within("thread", self.is_covered(thread_id, is_writable) && thread_id.start.is_multiple_of(4))?;
        let sequence = Mapping { start: thread.restartable_sequence, length: RESTARTABLE_SEQUENCE };
        within("thread", sequence.start == 0 || self.is_covered(sequence, is_writable))
    }

    /// Page-aligned, in order, without overlap, below the kernel and outside the restorer's place; contents inside their file.
    fn check_segments(&self) -> Result<(), Invalid> {
        let restorer = Mapping { start: RESTORER.start, length: RESTORER.end - RESTORER.start };
        let mut end = PAGE;
        for segment in self.segments() {
            let Segment { mapping, offset, protection, kind, file } = *segment;
            let aligned = (mapping.start | mapping.length | offset) % PAGE == 0;
            let placed = mapping.length > 0 && end <= mapping.start && mapping.end() <= ADDRESS_END;
            let inside = match SegmentKind::of(kind) {
                Some(SegmentKind::Zero) => true,
                Some(SegmentKind::Value | SegmentKind::Vdso) => {
                    offset.checked_add(mapping.length).is_some_and(|end| end <= self.header.file_length)
                }
                Some(SegmentKind::Stack) => {
                    file <= mapping.length && offset.checked_add(file).is_some_and(|end| end <= self.header.file_length)
                }
                Some(SegmentKind::Reference) => {
                    let file = usize::try_from(file).ok().and_then(|file| self.files().get(file));
                    let end = offset.checked_add(mapping.length);
                    // The last page of a file may be a part of one.
                    let pages = |file: &File| file.size.checked_next_multiple_of(PAGE);
                    file.and_then(pages).zip(end).is_some_and(|(pages, end)| end <= pages)
                }
                None => false,
            };
            if !(aligned && placed && inside && protection & !PROTECTIONS == 0) || mapping.overlaps(&restorer) {
                return Err(Invalid::Table("segments"));
            }
            end = mapping.end();
        }
        Ok(())
    }

    fn is_sound(&self, descriptor: &Descriptor) -> bool {
        let Some(kind) = DescriptorKind::of(descriptor.kind) else { return false };
        let memory =
            || descriptor.value.checked_add(descriptor.length).is_some_and(|end| end <= self.bytes.len() as u64);
        let other_end = || {
            self.descriptors().iter().any(|other| {
                (other.number, other.first) == (descriptor.first, descriptor.number) && other.kind == descriptor.kind
            })
        };
        (3..=MAX_DESCRIPTOR).contains(&descriptor.number)
            && match kind {
                DescriptorKind::File => self.text(descriptor.path).is_some(),
                DescriptorKind::Memory => self.text(descriptor.path).is_some() && memory(),
                DescriptorKind::Pair | DescriptorKind::Pipe => other_end(),
                _ => true,
            }
    }

    /// Whether segments of which `is_suitable` is true cover the whole range.
    fn is_covered(&self, range: Mapping, is_suitable: impl Fn(&Segment) -> bool) -> bool {
        let Some(end) = range.start.checked_add(range.length) else { return false };
        let mut from = range.start;
        for segment in self.segments() {
            if from >= end {
                break;
            }
            if segment.mapping.start <= from && from < segment.mapping.end() && is_suitable(segment) {
                from = segment.mapping.end();
            }
        }
        range.length > 0 && from >= end
    }

    fn fits<T>(&self, table: Table) -> bool {
        let length = table.count.checked_mul(mem::size_of::<T>() as u64);
        let end = length.and_then(|length| table.offset.checked_add(length));
        table.offset >= mem::size_of::<Header>() as u64
            && table.offset.is_multiple_of(mem::align_of::<T>() as u64)
            && end.is_some_and(|end| end <= self.bytes.len() as u64)
    }

    /// The rows of a table that [`Self::fits`].
    fn rows<T: Row>(&self, table: Table) -> &'a [T] {
        // SAFETY: `check` has made sure that the table is aligned and inside the bytes, and any bytes are valid rows. The bytes
        // themselves are aligned to a page, which `header_of` has checked for the header's own alignment, the largest there is.
        unsafe {
            let first = self.bytes.as_ptr().add(table.offset as usize).cast::<T>();
            slice::from_raw_parts(first, table.count as usize)
        }
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &'a Header {
        self.header
    }

    /// The address space, by address.
    #[must_use]
    pub fn segments(&self) -> &'a [Segment] {
        self.rows(self.header.tables.segments)
    }

    /// What a segment is filled with.
    #[must_use]
    pub fn kind(&self, segment: &Segment) -> SegmentKind {
        SegmentKind::of(segment.kind).unwrap_or(SegmentKind::Zero)
    }

    /// The files that have to be as they were.
    #[must_use]
    pub fn files(&self) -> &'a [File] {
        self.rows(self.header.tables.files)
    }

    /// The variables that the process depends on.
    #[must_use]
    pub fn variables(&self) -> &'a [Variable] {
        self.rows(self.header.tables.variables)
    }

    /// The descriptors to make again.
    #[must_use]
    pub fn descriptors(&self) -> &'a [Descriptor] {
        self.rows(self.header.tables.descriptors)
    }

    /// What epoll instances watch.
    #[must_use]
    pub fn watches(&self) -> &'a [Watch] {
        self.rows(self.header.tables.watches)
    }

    /// What the process does about signals.
    #[must_use]
    pub fn signal_actions(&self) -> &'a [SignalAction] {
        self.rows(self.header.tables.signal_actions)
    }

    /// The functions of the old vDSO.
    #[must_use]
    pub fn vdso_symbols(&self) -> &'a [VdsoSymbol] {
        self.rows(self.header.tables.vdso_symbols)
    }

    /// The pages that every start writes to.
    #[must_use]
    pub fn written(&self) -> &'a [Mapping] {
        self.rows(self.header.tables.written)
    }

    fn strings(&self) -> &'a [u8] {
        self.rows(self.header.tables.strings)
    }

    /// The text at a place among the strings. `None` if there is none.
    #[must_use]
    pub fn text(&self, offset: u64) -> Option<&'a CStr> {
        let strings = usize::try_from(offset).ok().and_then(|offset| self.strings().get(offset..))?;
        CStr::from_bytes_until_nul(strings).ok()
    }

    /// The program that the image belongs to.
    #[must_use]
    pub fn bootstrap(&self) -> Option<&'a File> {
        usize::try_from(self.header.bootstrap).ok().and_then(|index| self.files().get(index))
    }
}

const fn is_writable(segment: &Segment) -> bool {
    segment.protection & 2 != 0
}

const fn is_executable(segment: &Segment) -> bool {
    segment.protection & 4 != 0
}

/// How much of the area for restartable sequences the restorer may write, in bytes: up to the processor's number.
const RESTARTABLE_SEQUENCE: u64 = 8;

/// The highest descriptor that is made again. Higher numbers are free for the restorer's own use.
pub const MAX_DESCRIPTOR: u32 = 900;

/// The header that the bytes begin with, if they are long enough and aligned.
fn header_of(bytes: &[u8]) -> Option<&Header> {
    #[expect(clippy::cast_ptr_alignment, reason = "checked below")]
    let first = bytes.as_ptr().cast::<Header>();
    // SAFETY: long enough, aligned, and any bytes are a valid header: it has integers only.
    (bytes.len() >= mem::size_of::<Header>() && first.is_aligned()).then(|| unsafe { &*first })
}
