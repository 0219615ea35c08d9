//! Puts header, tables and body together.

use super::address_space::{AddressSpace, inside};
use super::{Dump, Error, Options};
use crate::process::{COMPARED_PATTERNS, DIFFERENT_EVERYWHERE, EVERY, Kind, Process, What};
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::{fs, mem};
use whipsnake_checkpoint_format::image::{
    self, Descriptor, DescriptorKind, Entry, Expectation, File, Header, MACHINE, MAGIC, Mapping, SegmentKind,
    SignalAction, Table, Tables, Thread, VERSION, Variable, VdsoSymbol, Watch,
};
use whipsnake_checkpoint_format::vdso::{FUNCTIONS, Vdso};
use whipsnake_checkpoint_format::{PAGE, PAGE_SIZE, hash};

/// A file, complete.
pub struct Assembled {
    pub bytes: Vec<u8>,
    pub header_length: usize,
}

/// The texts of the tables.
#[derive(Default)]
struct Strings {
    bytes: Vec<u8>,
    known: BTreeMap<Vec<u8>, u64>,
}

impl Strings {
    fn add(&mut self, text: impl AsRef<[u8]>) -> u64 {
        let text = text.as_ref();
        *self.known.entry(text.to_vec()).or_insert_with(|| {
            let place = self.bytes.len() as u64;
            self.bytes.extend_from_slice(text);
            self.bytes.push(0);
            place
        })
    }
}

/// The tables behind the header.
struct Builder {
    bytes: Vec<u8>,
}

impl Builder {
    fn add<T: image::Row>(&mut self, rows: &[T]) -> Table {
        while !(mem::size_of::<Header>() + self.bytes.len()).is_multiple_of(8) {
            self.bytes.push(0);
        }
        let offset = (mem::size_of::<Header>() + self.bytes.len()) as u64;
        self.bytes.extend_from_slice(image::bytes_of(rows));
        Table { offset, count: rows.len() as u64 }
    }
}

pub fn assemble(dump: &Dump, options: &Options, space: &AddressSpace) -> Result<Assembled, Error> {
    let process = &dump.process;
    let mut strings = Strings::default();
    let mut builder = Builder { bytes: Vec::new() };
    let files = Files::new(dump, options, space, &mut strings)?;
    let (mut descriptors, watches, memory) = descriptors(dump, &mut strings);
    let action = |of: &crate::process::SignalAction| SignalAction { signal: of.signal, action: of.action };
    let mut tables = Tables {
        files: builder.add(&files.rows),
        variables: builder.add(&variables(dump, &mut strings)),
        watches: builder.add(&watches),
        signal_actions: builder.add(&process.signal_actions.iter().map(action).collect::<Vec<_>>()),
        vdso_symbols: builder.add(&vdso_symbols(process)),
        written: builder.add(&written(options, space)),
        strings: builder.add(&strings.bytes),
        ..Tables::default()
    };
    let contents = builder.add(&memory);
    for descriptor in descriptors.iter_mut().filter(|d| d.kind == DescriptorKind::Memory as u32) {
        descriptor.value += contents.offset;
    }
    tables.descriptors = builder.add(&descriptors);
    let of_segments = space.segments.len() * mem::size_of::<image::Segment>();
    let header_length = (mem::size_of::<Header>() + builder.bytes.len() + 8 + of_segments).next_multiple_of(PAGE_SIZE);
    let mut segments = space.segments.clone();
    for segment in &mut segments {
        if segment.kind == SegmentKind::Reference as u32 {
            segment.file = files.referenced[usize::try_from(segment.file).unwrap_or(0)];
        } else if segment.kind != SegmentKind::Zero as u32 {
            segment.offset += header_length as u64;
        }
    }
    tables.segments = builder.add(&segments);
    builder.bytes.resize(header_length - mem::size_of::<Header>(), 0);
    let resume_point = |offset| {
        let number = dump.pages.number(process.resume_point + offset);
        number.ok_or_else(|| Error::Dump("the point where the process continues is not in the dump".to_owned()))
    };
    let mut header = Header {
        magic: MAGIC,
        version: VERSION,
        machine: MACHINE,
        header_length: header_length as u64,
        file_length: (header_length + space.body.len()) as u64,
        checksum: 0,
        entry: Entry { stack: resume_point(0)?, instruction: resume_point(8)?, handover: process.handover },
        thread: Thread {
            pointer: process.thread.pointer,
            id_address: process.thread.id_address,
            robust_list: process.thread.robust_list,
            robust_list_length: process.thread.robust_list_length,
            restartable_sequence: process.thread.restartable_sequence,
            restartable_sequence_length: process.thread.restartable_sequence_length,
            restartable_sequence_signature: process.thread.restartable_sequence_signature,
            signal_mask: process.thread.signal_mask,
            signal_stack: process.thread.signal_stack,
        },
        vdso: space.vdso,
        cpu: process.cpu,
        process_id: process.process_id,
        kind: u32::from(process.kind == Kind::Init),
        bootstrap: files.bootstrap,
        tables,
    };
    header.checksum = header.checksum(&builder.bytes);
    let mut bytes = header.bytes().to_vec();
    bytes.append(&mut builder.bytes);
    bytes.extend_from_slice(&space.body);
    Ok(Assembled { bytes, header_length })
}

/// The files that have to be as they were.
struct Files {
    rows: Vec<File>,
    /// For each file of the address space, its row.
    referenced: Vec<u64>,
    bootstrap: u64,
}

impl Files {
    fn new(dump: &Dump, options: &Options, space: &AddressSpace, strings: &mut Strings) -> Result<Self, Error> {
        let mut files = Self { rows: Vec::new(), referenced: Vec::new(), bootstrap: 0 };
        let mut known = BTreeMap::new();
        let mut add = |path: &Path| -> Result<u64, Error> {
            if let Some(row) = known.get(path) {
                return Ok(*row);
            }
            files.rows.push(describe(options, path, strings)?);
            known.insert(path.to_owned(), files.rows.len() as u64 - 1);
            Ok(files.rows.len() as u64 - 1)
        };
        let bootstrap = add(Path::new(&dump.process.bootstrap))?;
        let referenced = space.files.iter().map(|path| add(path)).collect::<Result<_, _>>()?;
        for path in &dump.process.files {
            add(Path::new(path))?;
        }
        (files.bootstrap, files.referenced) = (bootstrap, referenced);
        Ok(files)
    }
}

fn describe(options: &Options, path: &Path, strings: &mut Strings) -> Result<File, Error> {
    let file = inside(&options.root, path);
    let metadata = fs::metadata(&file).map_err(Error::file("looking at", &file))?;
    let contents = fs::read(&file).map_err(Error::file("reading", &file))?;
    let modified = metadata.mtime().wrapping_mul(1_000_000_000).wrapping_add(metadata.mtime_nsec());
    Ok(File {
        path: strings.add(path.as_os_str().as_encoded_bytes()),
        size: contents.len() as u64,
        modified: modified.cast_unsigned(),
        hash: hash(&contents),
    })
}

/// Folders that only the managed runtimes' images have. Descriptions of Lambda's environment differ in whether these variables name them.
const OF_MANAGED_RUNTIMES: &[(&str, &str)] = &[("LD_LIBRARY_PATH", "/var/lang/lib:"), ("PATH", "/var/lang/bin:")];

/// What each variable has to be, by name, and the patterns at the end.
fn variables(dump: &Dump, strings: &mut Strings) -> Vec<Variable> {
    let read = &dump.process.variables;
    let mut rows = Vec::new();
    let mut add = |name: &str, hash, expectation: Expectation| {
        rows.push(Variable { name: strings.add(name), hash, expectation: expectation as u64 });
    };
    for (name, value) in read.iter().filter(|(name, _)| *name != EVERY) {
        match value {
            Some(value) => {
                let bytes = dump.process.values_in_bytes.get(name).map_or(value.as_bytes(), Vec::as_slice);
                add(name, hash(bytes), Expectation::Equal);
                for (_, folder) in OF_MANAGED_RUNTIMES.iter().filter(|(variable, _)| variable == name) {
                    let other = value.strip_prefix(folder).map_or_else(|| format!("{folder}{value}"), str::to_owned);
                    add(name, hash(other.as_bytes()), Expectation::Equal);
                }
            }
            None => add(name, 0, Expectation::Absent),
        }
    }
    for pattern in COMPARED_PATTERNS {
        add(pattern, 0, Expectation::Any);
    }
    if read.contains_key(EVERY) {
        for name in DIFFERENT_EVERYWHERE.iter().filter(|name| !read.contains_key(**name)) {
            add(name, 0, Expectation::Any);
        }
        add(EVERY, 0, Expectation::Any);
    }
    rows
}

/// Ranges of the pages that every start writes to, as far as they have contents. A page that the process makes writable for a moment, such as
/// that of the stack canary on arm64, is not among them: the restorer cannot copy it.
fn written(options: &Options, space: &AddressSpace) -> Vec<Mapping> {
    const WRITABLE: u32 = 2;
    let is_candidate =
        |segment: &&image::Segment| segment.kind == SegmentKind::Value as u32 && segment.protection & WRITABLE != 0;
    let mut ranges: Vec<Mapping> = Vec::new();
    for segment in space.segments.iter().filter(is_candidate) {
        let Mapping { start, .. } = segment.mapping;
        for page in options.written.range(start..segment.mapping.end()) {
            match ranges.last_mut() {
                Some(last) if last.end() == *page => last.length += PAGE,
                _ => ranges.push(Mapping { start: *page, length: PAGE }),
            }
        }
    }
    ranges
}

/// The functions of the running kernel's vDSO. The dumped process ran on the same kernel and had the same functions at another address. An
/// emulator's are its own, and make system calls: they work as they are.
fn vdso_symbols(process: &Process) -> Vec<VdsoSymbol> {
    let base = process.vdso;
    // SAFETY: asks the C library for what the kernel has told this process.
    let own = own_vdso();
    // SAFETY: the address is the kernel's own word.
    let Some(vdso) = (unsafe { Vdso::at(own) }) else { return Vec::new() };
    if base == 0 || process.is_emulated {
        return Vec::new();
    }
    let symbol = |(index, name): (usize, &CStr)| {
        let address = vdso.find(name)?;
        Some(VdsoSymbol { function: index as u64, address: address - own + base, room: vdso.room(address) })
    };
    FUNCTIONS.iter().map(|function| function.name).enumerate().filter_map(symbol).collect()
}

/// The address of this process's vDSO, from its auxiliary vector.
fn own_vdso() -> u64 {
    const AT_SYSINFO_EHDR: u64 = 33;
    let vector = fs::read("/proc/self/auxv").unwrap_or_default();
    let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
    let mut pairs = vector.chunks_exact(16).map(|pair| (number(&pair[..8]), number(&pair[8..])));
    pairs.find(|(kind, _)| *kind == AT_SYSINFO_EHDR).map_or(0, |(_, value)| value)
}

/// Rows, watches, and the contents of memory files, whose places count from the first.
fn descriptors(dump: &Dump, strings: &mut Strings) -> (Vec<Descriptor>, Vec<Watch>, Vec<u8>) {
    let (mut watched, mut memory) = (Vec::new(), Vec::new());
    let describe = |descriptor: &crate::process::Descriptor| {
        let crate::process::Descriptor { number, flags, what } = descriptor;
        let mut row = Descriptor {
            number: *number,
            kind: 0,
            flags: *flags,
            first: 0,
            second: 0,
            third: 0,
            value: 0,
            length: 0,
            path: 0,
        };
        let kind = match what {
            What::File { path, position } => {
                (row.path, row.value) = (strings.add(path), *position);
                DescriptorKind::File
            }
            What::Socket { family, kind, protocol } => {
                (row.first, row.second, row.third) = (*family, *kind, *protocol);
                DescriptorKind::Socket
            }
            What::Connection { .. } => DescriptorKind::Connection,
            What::Event { count } => {
                row.value = *count;
                DescriptorKind::Event
            }
            What::Epoll { watches } => {
                watched.extend(watches.iter().map(|watch| Watch {
                    epoll: *number,
                    descriptor: watch.descriptor,
                    events: watch.events,
                    data: watch.data,
                }));
                DescriptorKind::Epoll
            }
            What::Pair { other, kind } => {
                (row.first, row.second) = (*other, *kind);
                DescriptorKind::Pair
            }
            What::Pipe { other, writes } => {
                (row.first, row.second) = (*other, u32::from(*writes));
                DescriptorKind::Pipe
            }
            What::Memory { name, contents, position } => {
                row.first = u32::try_from(*position).unwrap_or(u32::MAX);
                (row.path, row.value, row.length) = (strings.add(name), memory.len() as u64, contents.len() as u64);
                memory.extend_from_slice(contents);
                DescriptorKind::Memory
            }
        };
        row.kind = kind as u32;
        row
    };
    let rows = dump.process.descriptors.iter().map(describe).collect();
    (rows, watched, memory)
}
