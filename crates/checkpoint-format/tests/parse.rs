//! Which headers `Image::parse` accepts, and which it refuses, and why.

use std::mem;
use whipsnake_checkpoint_format::cpu::Features;
use whipsnake_checkpoint_format::image::{
    Descriptor, DescriptorKind, Entry, Expectation, File, Handover, Header, Image, Invalid, MACHINE, MAGIC,
    MAX_DESCRIPTOR, MAX_HEADER, Mapping, Row, Segment, SegmentKind, SignalAction, Table, Tables, Thread, VERSION,
    Variable, VdsoSymbol, Watch, bytes_of,
};
use whipsnake_checkpoint_format::{PAGE, RESTORER, hash};

/// The length of a page.
const BYTES: usize = 4096;
const _: () = assert!(BYTES as u64 == PAGE);

/// The last address of a page.
const LAST_PAGE: u64 = !(PAGE - 1);

/// A change, and what it is.
type Change<T> = (&'static str, fn(&mut T));

/// Readable and writable; readable and executable.
const READ_WRITE: u32 = 3;
const READ_EXECUTE: u32 = 5;

/// Where the pages of the example are.
const DATA: u64 = 0x7f00_0000_0000;
const CODE: u64 = 0x7f00_0010_0000;
const VDSO: u64 = 0x7f00_0020_0000;

/// A file as it was when it was dumped: /opt/bootstrap, a page and a half.
const BOOTSTRAP_SIZE: u64 = PAGE + PAGE / 2;

/// Everything that a header is made of. Each test changes one thing in it.
#[derive(Clone)]
struct Example {
    header: Header,
    segments: Vec<Segment>,
    files: Vec<File>,
    variables: Vec<Variable>,
    descriptors: Vec<Descriptor>,
    watches: Vec<Watch>,
    signal_actions: Vec<SignalAction>,
    vdso_symbols: Vec<VdsoSymbol>,
    written: Vec<Mapping>,
    strings: Vec<u8>,
}

fn segment(start: u64, pages: u64, protection: u32, kind: SegmentKind) -> Segment {
    let mapping = Mapping { start, length: pages * PAGE };
    Segment { mapping, offset: PAGE, protection, kind: kind as u32, file: 0 }
}

fn descriptor(number: u32, kind: DescriptorKind, first: u32) -> Descriptor {
    Descriptor { number, kind: kind as u32, flags: 0, first, second: 0, third: 0, value: 0, length: 0, path: 0 }
}

fn example() -> Example {
    let header = Header {
        magic: MAGIC,
        version: VERSION,
        machine: MACHINE,
        header_length: PAGE,
        file_length: 4 * PAGE,
        checksum: 0,
        entry: Entry { stack: DATA + PAGE, instruction: CODE, handover: DATA },
        thread: Thread { pointer: DATA + 64, id_address: DATA + 128, ..Thread::default() },
        vdso: Mapping { start: VDSO, length: PAGE },
        cpu: Features::default(),
        process_id: 7,
        kind: 0,
        bootstrap: 0,
        tables: Tables::default(),
    };
    Example {
        header,
        segments: vec![
            segment(DATA, 2, READ_WRITE, SegmentKind::Value),
            segment(DATA + 2 * PAGE, 1, READ_WRITE, SegmentKind::Zero),
            Segment { offset: 0, ..segment(CODE, 1, READ_EXECUTE, SegmentKind::Reference) },
            segment(VDSO, 1, READ_EXECUTE, SegmentKind::Vdso),
        ],
        files: vec![File { path: 0, size: BOOTSTRAP_SIZE, modified: 1, hash: 2 }],
        variables: vec![Variable { name: 15, hash: hash(b"en_US.UTF-8"), expectation: Expectation::Equal as u64 }],
        descriptors: vec![
            descriptor(3, DescriptorKind::File, 0),
            descriptor(4, DescriptorKind::Pipe, 5),
            descriptor(5, DescriptorKind::Pipe, 4),
            descriptor(6, DescriptorKind::Epoll, 0),
        ],
        watches: vec![Watch { epoll: 6, descriptor: 4, events: 1, data: 4 }],
        signal_actions: vec![SignalAction { signal: 13, action: [1, 0, 0, 0] }],
        vdso_symbols: vec![VdsoSymbol { function: 0, address: VDSO + 64, room: 32 }],
        written: vec![Mapping { start: DATA, length: PAGE }],
        strings: b"/opt/bootstrap\0LANG\0".to_vec(),
    }
}

/// A file, aligned as a page is.
struct Bytes {
    words: Vec<u64>,
}

impl Bytes {
    fn get(&self) -> &[u8] {
        // SAFETY: a word is eight bytes, and a byte may have any value.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.words.len() * 8) }
    }

    fn get_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), self.words.len() * 8) }
    }
}

impl Example {
    /// The header's bytes, with `change` made to the header before the checksum is computed.
    fn bytes_with(&self, change: impl FnOnce(&mut Header)) -> Bytes {
        let mut header = self.header.clone();
        let mut tables = Vec::new();
        header.tables = Tables {
            segments: add(&mut tables, &self.segments),
            files: add(&mut tables, &self.files),
            variables: add(&mut tables, &self.variables),
            descriptors: add(&mut tables, &self.descriptors),
            watches: add(&mut tables, &self.watches),
            signal_actions: add(&mut tables, &self.signal_actions),
            vdso_symbols: add(&mut tables, &self.vdso_symbols),
            written: add(&mut tables, &self.written),
            strings: add(&mut tables, &self.strings),
        };
        tables.resize(BYTES - mem::size_of::<Header>(), 0);
        change(&mut header);
        header.checksum = header.checksum(&tables);
        let mut bytes = Bytes { words: vec![0; BYTES / 8] };
        let (first, rest) = bytes.get_mut().split_at_mut(mem::size_of::<Header>());
        first.copy_from_slice(header.bytes());
        rest.copy_from_slice(&tables);
        bytes
    }

    fn parsed_with(&self, change: impl FnOnce(&mut Header)) -> Option<Invalid> {
        let bytes = self.bytes_with(change);
        Image::parse(bytes.get(), self.header.file_length).err()
    }

    fn parsed(&self) -> Option<Invalid> {
        self.parsed_with(|_| {})
    }
}

fn add<T: Row>(tables: &mut Vec<u8>, rows: &[T]) -> Table {
    tables.resize(tables.len().next_multiple_of(8), 0);
    let offset = (mem::size_of::<Header>() + tables.len()) as u64;
    tables.extend_from_slice(bytes_of(rows));
    Table { offset, count: rows.len() as u64 }
}

/// Why the example is refused once it is changed.
fn refused(change: impl FnOnce(&mut Example)) -> Option<Invalid> {
    let mut example = example();
    change(&mut example);
    example.parsed()
}

fn table(name: &'static str) -> Option<Invalid> {
    Some(Invalid::Table(name))
}

#[test]
fn a_sound_header_is_read_as_it_was_written() {
    let example = example();
    let bytes = example.bytes_with(|_| {});
    let image = Image::parse(bytes.get(), 4 * PAGE).expect("a sound header");
    assert_eq!(image.segments(), example.segments);
    assert_eq!(image.files(), example.files);
    assert_eq!(image.variables(), example.variables);
    assert_eq!(image.descriptors(), example.descriptors);
    assert_eq!(image.watches(), example.watches);
    assert_eq!(image.signal_actions(), example.signal_actions);
    assert_eq!(image.vdso_symbols(), example.vdso_symbols);
    assert_eq!(image.written(), example.written);
    assert_eq!(image.text(15), Some(c"LANG"));
    assert_eq!(image.bootstrap().and_then(|file| image.text(file.path)), Some(c"/opt/bootstrap"));
    assert_eq!(image.header().process_id, 7);
}

#[test]
fn a_header_has_no_padding() {
    // Such bytes would be in the file, and in the checksum, uninitialized.
    let fields = 8 + 2 * 4 + 3 * 8 + 3 * 8 + (5 * 8 + 2 * 4 + 4 * 8) + 2 * 8 + 10 * 4 + 2 * 4 + 8 + 9 * 16;
    assert_eq!(mem::size_of::<Header>(), fields);
    assert_eq!(mem::size_of::<Segment>(), 40);
    assert_eq!(mem::size_of::<Descriptor>(), 48);
}

#[test]
fn a_file_that_is_no_checkpoint_is_refused() {
    assert_eq!(example().parsed_with(|header| header.magic = *b"whipckpu"), Some(Invalid::NotACheckpoint));
    let bytes = example().bytes_with(|_| {});
    for length in [0, 1, 8, mem::size_of::<Header>() - 1] {
        let parsed = Image::parse(&bytes.get()[..length], length as u64);
        assert_eq!(parsed.err(), Some(Invalid::NotACheckpoint), "{length} bytes");
    }
}

#[test]
fn bytes_that_are_not_aligned_are_refused() {
    let example = example().bytes_with(|_| {});
    let mut shifted = Bytes { words: vec![0; BYTES / 8 + 1] };
    shifted.get_mut()[1..=BYTES].copy_from_slice(example.get());
    assert_eq!(Image::parse(&shifted.get()[1..], 4 * PAGE).err(), Some(Invalid::NotACheckpoint));
}

#[test]
fn another_version_is_refused() {
    for version in [0, VERSION - 1, VERSION + 1, u32::MAX] {
        assert_eq!(example().parsed_with(|header| header.version = version), Some(Invalid::Version), "{version}");
    }
}

#[test]
fn another_machine_is_refused() {
    for machine in [0, if MACHINE == 62 { 183 } else { 62 }, u32::MAX] {
        assert_eq!(example().parsed_with(|header| header.machine = machine), Some(Invalid::Machine), "{machine}");
    }
}

#[test]
fn a_header_length_that_cannot_be_is_refused() {
    for length in [0, 1, PAGE - 1, PAGE + 1, 5 * PAGE, MAX_HEADER + PAGE, LAST_PAGE, u64::MAX] {
        let parsed = example().parsed_with(|header| header.header_length = length);
        assert_eq!(parsed, Some(Invalid::NotACheckpoint), "{length}");
    }
    // More than there are bytes.
    assert_eq!(example().parsed_with(|header| header.header_length = 2 * PAGE), Some(Invalid::Length));
}

#[test]
fn a_file_that_is_shorter_or_longer_than_it_was_is_refused() {
    let bytes = example().bytes_with(|_| {});
    for length in [0, PAGE, 4 * PAGE - 1, 4 * PAGE + 1, u64::MAX] {
        assert_eq!(Image::parse(bytes.get(), length).err(), Some(Invalid::Length), "{length}");
    }
}

#[test]
fn every_changed_byte_is_noticed() {
    let mut bytes = example().bytes_with(|_| {});
    for index in 0..BYTES {
        bytes.get_mut()[index] ^= 1;
        assert!(Image::parse(bytes.get(), 4 * PAGE).is_err(), "byte {index}");
        bytes.get_mut()[index] ^= 1;
    }
    assert!(Image::parse(bytes.get(), 4 * PAGE).is_ok());
}

#[test]
fn a_table_outside_the_header_is_refused() {
    type Choose = fn(&mut Tables) -> &mut Table;
    let tables: [(&str, Choose); 9] = [
        ("segments", |tables| &mut tables.segments),
        ("files", |tables| &mut tables.files),
        ("variables", |tables| &mut tables.variables),
        ("descriptors", |tables| &mut tables.descriptors),
        ("watches", |tables| &mut tables.watches),
        ("signal actions", |tables| &mut tables.signal_actions),
        ("vDSO symbols", |tables| &mut tables.vdso_symbols),
        ("written pages", |tables| &mut tables.written),
        ("strings", |tables| &mut tables.strings),
    ];
    for (name, choose) in tables {
        for (offset, count) in [(0, 1), (PAGE, 1), (u64::MAX - 7, 1), (360, u64::MAX), (360, PAGE), (360, 1 << 61)] {
            let parsed = example().parsed_with(|header| *choose(&mut header.tables) = Table { offset, count });
            assert_eq!(parsed, table(name), "{name} at {offset}, {count} rows");
        }
        if name != "strings" {
            let parsed = example().parsed_with(|header| choose(&mut header.tables).offset += 1);
            assert_eq!(parsed, table(name), "{name} not aligned");
        }
    }
}

#[test]
fn segments_that_a_restore_could_not_map_are_refused() {
    let changes: [Change<Segment>; 13] = [
        ("start is not a page's", |segment| segment.mapping.start += 1),
        ("length is not a page's", |segment| segment.mapping.length -= 1),
        ("offset is not a page's", |segment| segment.offset += 1),
        ("empty", |segment| segment.mapping.length = 0),
        ("at address 0", |segment| segment.mapping.start = 0),
        ("in the kernel's half", |segment| segment.mapping.start = 1 << 63),
        ("up to the end of the addresses", |segment| segment.mapping.length = u64::MAX - (PAGE - 1)),
        ("over the next one", |segment| segment.mapping.length = 3 * PAGE),
        ("in the restorer", |segment| segment.mapping.start = RESTORER.start),
        ("around the restorer", |segment| {
            segment.mapping = Mapping { start: RESTORER.start - PAGE, length: DATA - RESTORER.start };
            segment.kind = SegmentKind::Zero as u32;
        }),
        ("contents behind the end of the file", |segment| segment.offset = 3 * PAGE),
        ("of no kind", |segment| segment.kind = 5),
        ("with a protection that mmap does not have", |segment| segment.protection = 8),
    ];
    for (what, change) in changes {
        assert_eq!(refused(|example| change(&mut example.segments[0])), table("segments"), "{what}");
    }
    assert_eq!(refused(|example| example.segments.swap(0, 1)), table("segments"), "not in order");
}

#[test]
fn the_contents_of_a_stack_lie_in_the_file_and_in_the_stack() {
    let stack = |offset, filled| {
        refused(|example| {
            example.segments[0] = Segment { offset, file: filled, ..segment(DATA, 2, READ_WRITE, SegmentKind::Stack) };
        })
    };
    assert_eq!(stack(PAGE, PAGE), None);
    assert_eq!(stack(3 * PAGE, PAGE), None);
    assert_eq!(stack(PAGE, 3 * PAGE), table("segments"));
    assert_eq!(stack(3 * PAGE, 2 * PAGE), table("segments"));
    assert_eq!(stack(LAST_PAGE, 2 * PAGE), table("segments"));
}

#[test]
fn a_segment_of_a_file_that_is_not_listed_is_refused() {
    for file in [1, u64::MAX] {
        assert_eq!(refused(|example| example.segments[2].file = file), table("segments"));
    }
}

#[test]
fn a_segment_behind_the_end_of_its_file_is_refused() {
    // The last page may be half a page: memory goes on with zeros. A page behind it would be a SIGBUS.
    assert_eq!(refused(|example| example.segments[2].offset = PAGE), None);
    assert_eq!(refused(|example| example.segments[2].offset = 2 * PAGE), table("segments"));
    assert_eq!(refused(|example| example.segments[2].mapping.length = 3 * PAGE), table("segments"));
    assert_eq!(refused(|example| example.segments[2].offset = LAST_PAGE), table("segments"));
}

#[test]
fn a_text_that_does_not_end_is_refused() {
    let unended = refused(|example| {
        example.strings.pop();
    });
    assert_eq!(unended, table("strings"));
}

#[test]
fn a_name_outside_the_strings_is_refused() {
    assert_eq!(refused(|example| example.files[0].path = 20), table("files"));
    assert_eq!(refused(|example| example.variables[0].name = u64::MAX), table("variables"));
    assert_eq!(refused(|example| example.descriptors[0].path = 20), table("descriptors"));
}

#[test]
fn a_variable_with_an_unknown_expectation_is_refused() {
    assert_eq!(refused(|example| example.variables[0].expectation = 3), table("variables"));
}

#[test]
fn a_bootstrap_that_is_not_listed_is_refused() {
    assert_eq!(example().parsed_with(|header| header.bootstrap = 1), table("bootstrap"));
    let without_files = refused(|example| {
        example.files.clear();
        example.segments.remove(2);
    });
    assert_eq!(without_files, table("bootstrap"));
}

#[test]
fn descriptors_that_cannot_be_made_are_refused() {
    let changes: [Change<Vec<Descriptor>>; 6] = [
        ("standard error", |all| all[0].number = 2),
        ("above the highest", |all| all[0].number = MAX_DESCRIPTOR + 1),
        ("of no kind", |all| all[0].kind = 8),
        ("a pipe without its other end", |all| all.truncate(2)),
        ("a pipe whose other end is a socket pair", |all| all[2].kind = DescriptorKind::Pair as u32),
        ("a pipe whose other end has another other end", |all| all[2].first = 6),
    ];
    for (what, change) in changes {
        assert_eq!(refused(|example| change(&mut example.descriptors)), table("descriptors"), "{what}");
    }
}

#[test]
fn a_memory_file_lies_within_the_header() {
    let memory = |value, length| {
        refused(|example| {
            let row = descriptor(7, DescriptorKind::Memory, 0);
            example.descriptors.push(Descriptor { value, length, ..row });
        })
    };
    assert_eq!(memory(0, PAGE), None);
    assert_eq!(memory(1, PAGE), table("descriptors"));
    assert_eq!(memory(u64::MAX, 2), table("descriptors"));
}

#[test]
fn a_watch_of_no_descriptor_is_refused() {
    assert_eq!(refused(|example| example.watches[0].epoll = MAX_DESCRIPTOR + 1), table("watches"));
}

#[test]
fn a_signal_that_does_not_exist_is_refused() {
    for signal in [0, 65, u64::MAX] {
        assert_eq!(refused(|example| example.signal_actions[0].signal = signal), table("signal actions"));
    }
}

#[test]
fn functions_of_the_vdso_lie_within_it() {
    let symbol = |address, room| refused(|example| example.vdso_symbols[0] = VdsoSymbol { function: 0, address, room });
    assert_eq!(symbol(VDSO, PAGE), None);
    assert_eq!(symbol(VDSO - 1, 16), table("vDSO symbols"));
    assert_eq!(symbol(VDSO + PAGE - 15, 16), table("vDSO symbols"));
    assert_eq!(symbol(VDSO, u64::MAX), table("vDSO symbols"));
}

#[test]
fn the_vdso_is_a_segment_of_its_own_kind() {
    // The restorer writes into it, and it is all that it makes writable.
    let elsewhere = |start| {
        refused(|example| {
            example.header.vdso.start = start;
            example.vdso_symbols[0].address = start;
        })
    };
    for start in [RESTORER.start, DATA, VDSO + PAGE, CODE] {
        assert_eq!(elsewhere(start), table("vDSO"), "{start:#x}");
    }
    assert_eq!(refused(|example| example.header.vdso.length = 2 * PAGE), table("vDSO"));
}

#[test]
fn a_process_without_a_vdso_is_accepted() {
    let without = refused(|example| {
        example.header.vdso = Mapping::default();
        example.vdso_symbols.clear();
        example.segments.pop();
    });
    assert_eq!(without, None);
}

#[test]
fn what_the_restorer_writes_is_mapped_for_writing() {
    let handover = mem::size_of::<Handover>() as u64;
    let end = DATA + 3 * PAGE;
    for address in [0, 8, DATA - 8, DATA + 1, end - handover + 8, end, CODE, u64::MAX - 7] {
        assert_eq!(refused(|example| example.header.entry.handover = address), table("entry"), "{address:#x}");
    }
    assert_eq!(refused(|example| example.header.entry.handover = end - handover), None);
    for address in [0, DATA - 4, DATA + 2, end, CODE, u64::MAX - 3] {
        assert_eq!(refused(|example| example.header.thread.id_address = address), table("thread"), "{address:#x}");
    }
    for address in [DATA - 32, end, CODE, u64::MAX - 31] {
        let of_thread = refused(|example| {
            example.header.thread.restartable_sequence = address;
            example.header.thread.restartable_sequence_length = 32;
        });
        assert_eq!(of_thread, table("thread"), "{address:#x}");
    }
    assert_eq!(refused(|example| example.header.thread.restartable_sequence = DATA + 256), None);
}

#[test]
fn the_entry_is_mapped() {
    for stack in [0, DATA - 8, DATA + 3 * PAGE - 7, CODE, u64::MAX] {
        assert_eq!(refused(|example| example.header.entry.stack = stack), table("entry"), "{stack:#x}");
    }
    for instruction in [0, DATA - 1, DATA, CODE + PAGE, u64::MAX] {
        assert_eq!(
            refused(|example| example.header.entry.instruction = instruction),
            table("entry"),
            "{instruction:#x}"
        );
    }
}

#[test]
fn pages_that_are_written_are_mapped_without_a_gap() {
    let written = |start, length| refused(|example| example.written[0] = Mapping { start, length });
    assert_eq!(written(DATA, 3 * PAGE), None);
    assert_eq!(written(DATA, 4 * PAGE), table("written pages"));
    assert_eq!(written(DATA - PAGE, PAGE), table("written pages"));
    assert_eq!(written(DATA, 0), table("written pages"));
    assert_eq!(written(DATA, u64::MAX), table("written pages"));
}

#[test]
fn each_reason_is_a_text_of_its_own() {
    let reasons = [
        Invalid::NotACheckpoint,
        Invalid::Version,
        Invalid::Machine,
        Invalid::Checksum,
        Invalid::Length,
        Invalid::Table("segments"),
    ];
    let texts: std::collections::BTreeSet<String> = reasons.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), reasons.len());
    assert!(texts.contains("the header contradicts itself (segments)"), "{texts:?}");
}
