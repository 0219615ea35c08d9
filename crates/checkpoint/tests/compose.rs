//! Composes checkpoints from small dumps that are written by hand.
#![cfg(feature = "compose")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use whipsnake_checkpoint::compose::{Dump, Error, Options, Summary};
use whipsnake_checkpoint::process::{Descriptor, MAPS, PAGES, PROCESS, Process, Thread, What};
use whipsnake_checkpoint_format::image::{Descriptor as Row, DescriptorKind, Expectation, Image, Segment, SegmentKind};
use whipsnake_checkpoint_format::{PAGE, hash};

/// The length of a page.
const BYTES: usize = 4096;
const _: () = assert!(BYTES as u64 == PAGE);

const DATA: u64 = 0x7f00_0000_0000;
const LIBRARY: u64 = 0x7f00_0100_0000;
const STACK_END: u64 = 0x7fff_0000_0000;

/// A dump in a folder of its own, which is gone at the end.
struct Example {
    folder: tempfile::TempDir,
    process: Process,
    maps: Vec<String>,
    pages: Vec<(u64, Vec<u8>)>,
    options: Options,
}

impl Example {
    /// One region of data with the resume point, a library of three pages, and a stack of one.
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("opt")).expect("a folder");
        fs::write(root.join("opt/bootstrap"), b"the bootstrap").expect("a file");
        fs::write(root.join("opt/library.so"), library()).expect("a file");
        let mut first = vec![0; BYTES];
        first[..8].copy_from_slice(&(DATA + PAGE).to_le_bytes());
        first[8..16].copy_from_slice(&LIBRARY.to_le_bytes());
        Self {
            process: Process {
                process_id: 7,
                bootstrap: "/opt/bootstrap".to_owned(),
                resume_point: DATA,
                handover: DATA + 64,
                thread: Thread { pointer: DATA + 256, id_address: DATA + 512, ..Thread::default() },
                ..Process::default()
            },
            maps: vec![
                line(DATA, 4, "rw-p", 0, ""),
                line(LIBRARY, 3, "r-xp", 0, "/opt/library.so"),
                line(STACK_END - PAGE, 1, "rw-p", 0, "[stack]"),
            ],
            pages: vec![(DATA, first), (LIBRARY, library_in_memory()), (STACK_END - PAGE, vec![1; BYTES])],
            options: Options { root, referenced: vec!["/opt".into()], ..Options::default() },
            folder,
        }
    }

    fn compose(&self) -> Result<(Composed, Summary), Error> {
        let dump = self.folder.path().join("dump");
        fs::create_dir_all(&dump).expect("a folder");
        let json = serde_json::to_vec(&self.process).expect("a process is JSON");
        fs::write(dump.join(PROCESS), json).expect("a file");
        fs::write(dump.join(MAPS), self.maps.concat()).expect("a file");
        let mut pages = Vec::new();
        for (start, bytes) in &self.pages {
            pages.extend(start.to_le_bytes());
            pages.extend((bytes.len() as u64).to_le_bytes());
            pages.extend(bytes);
        }
        fs::write(dump.join(PAGES), pages).expect("a file");
        let output = self.folder.path().join("checkpoint");
        let summary = Dump::read(&dump)?.compose(&self.options, &output)?;
        Ok((Composed::read(&output), summary))
    }

    fn composed(&self) -> Composed {
        self.compose().expect("a checkpoint").0
    }

    fn refusal(&self) -> String {
        match self.compose() {
            Ok(_) => panic!("a checkpoint was composed"),
            Err(error) => error.to_string(),
        }
    }
}

fn line(start: u64, pages: u64, permissions: &str, offset: u64, name: &str) -> String {
    let inode = u32::from(name.starts_with('/'));
    format!("{start:x}-{:x} {permissions} {offset:08x} fe:00 {inode}    {name}\n", start + pages * PAGE)
}

/// Two pages and a half, each full of its number.
fn library() -> Vec<u8> {
    let mut pages = vec![1; BYTES];
    pages.resize(2 * BYTES, 2);
    pages.resize(2 * BYTES + BYTES / 2, 3);
    pages
}

/// The library as it is in memory: its last page goes on with zeros.
fn library_in_memory() -> Vec<u8> {
    let mut pages = library();
    pages.resize(3 * BYTES, 0);
    pages
}

/// A file that was composed.
struct Composed {
    words: Vec<u64>,
}

impl Composed {
    fn read(path: &Path) -> Self {
        let bytes = fs::read(path).expect("the checkpoint");
        let words = bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().expect("eight"))).collect();
        Self { words }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: a word is eight bytes, and a byte may have any value.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.words.len() * 8) }
    }

    fn image(&self) -> Image<'_> {
        Image::parse(self.bytes(), self.bytes().len() as u64).expect("what was composed can be read")
    }

    /// What the restorer would map there.
    fn page(&self, address: u64, library: &[u8]) -> Vec<u8> {
        let image = self.image();
        let holds = |segment: &&Segment| segment.mapping.start <= address && address < segment.mapping.end();
        let segment = image.segments().iter().find(holds).expect("a mapped page");
        let offset = usize::try_from(segment.offset + address - segment.mapping.start).expect("an offset");
        match image.kind(segment) {
            SegmentKind::Zero => vec![0; BYTES],
            // Its last bytes are in the file.
            SegmentKind::Stack => match (address + segment.file).checked_sub(segment.mapping.end()) {
                Some(from) => {
                    self.bytes()[usize::try_from(segment.offset + from).expect("an offset")..][..BYTES].to_vec()
                }
                None => vec![0; BYTES],
            },
            SegmentKind::Value | SegmentKind::Vdso => self.bytes()[offset..offset + BYTES].to_vec(),
            SegmentKind::Reference => {
                let mut bytes = library[offset..library.len().min(offset + BYTES)].to_vec();
                bytes.resize(BYTES, 0);
                bytes
            }
        }
    }

    fn kinds(&self, from: u64) -> Vec<(SegmentKind, u64)> {
        let image = self.image();
        let from = image.segments().iter().filter(|segment| segment.mapping.start >= from);
        from.map(|segment| (image.kind(segment), segment.mapping.length / PAGE)).collect()
    }

    fn expectations(&self) -> Vec<(String, u64, u64)> {
        let image = self.image();
        let text = |offset| image.text(offset).expect("a name").to_str().expect("a text").to_owned();
        image.variables().iter().map(|row| (text(row.name), row.expectation, row.hash)).collect()
    }
}

#[test]
fn every_page_is_what_it_was() {
    let example = Example::new();
    let composed = example.composed();
    for (start, bytes) in &example.pages {
        for (index, page) in bytes.chunks(BYTES).enumerate() {
            let address = start + index as u64 * PAGE;
            assert_eq!(composed.page(address, &library()), page, "{address:#x}");
        }
    }
    assert_eq!(composed.page(DATA + 2 * PAGE, &[]), vec![0; BYTES]);
}

#[test]
fn unchanged_pages_of_a_file_are_references() {
    let mut example = Example::new();
    let composed = example.composed();
    assert_eq!(composed.kinds(LIBRARY)[0], (SegmentKind::Reference, 3));
    // A relocation in the second page.
    example.pages[1].1[BYTES] = 9;
    let composed = example.composed();
    let kinds = &composed.kinds(LIBRARY)[..3];
    assert_eq!(kinds, [(SegmentKind::Reference, 1), (SegmentKind::Value, 1), (SegmentKind::Reference, 1)]);
    assert_eq!(composed.page(LIBRARY + PAGE, &library())[..2], [9, 2]);
}

#[test]
fn a_file_outside_the_referenced_folders_is_stored() {
    let mut example = Example::new();
    example.options.referenced = vec!["/var/task".into()];
    let composed = example.composed();
    assert_eq!(composed.kinds(LIBRARY)[0], (SegmentKind::Value, 3));
    // A folder whose name begins alike is another one.
    example.options.referenced = vec!["/op".into()];
    assert_eq!(example.composed().kinds(LIBRARY)[0], (SegmentKind::Value, 3));
}

#[test]
fn a_referenced_file_is_checked_at_the_restore() {
    let example = Example::new();
    let composed = example.composed();
    let image = composed.image();
    let files: Vec<_> = image.files().iter().map(|file| (image.text(file.path), file.size, file.hash)).collect();
    let expected = [
        (Some(c"/opt/bootstrap"), 13, hash(b"the bootstrap")),
        (Some(c"/opt/library.so"), library().len() as u64, hash(&library())),
    ];
    assert_eq!(files, expected);
    assert_eq!(image.bootstrap().map(|file| file.size), Some(13));
}

#[test]
fn a_module_that_is_gone_is_named() {
    let mut example = Example::new();
    example.process.files.push("/opt/gone.py".to_owned());
    let refusal = example.refusal();
    assert!(refusal.starts_with("looking at ") && refusal.contains("/opt/gone.py"), "{refusal}");
}

#[test]
fn the_stack_may_grow_as_far_as_before() {
    let example = Example::new();
    let composed = example.composed();
    let image = composed.image();
    let last = image.segments().last().expect("a stack");
    assert_eq!((image.kind(last), last.file), (SegmentKind::Stack, PAGE));
    assert_eq!((last.mapping.start, last.mapping.end()), (STACK_END - (8 << 20), STACK_END));
    assert_eq!(composed.page(STACK_END - PAGE, &[]), vec![1; BYTES]);
    assert_eq!(composed.page(STACK_END - 2 * PAGE, &[]), vec![0; BYTES]);
}

#[test]
fn pages_that_every_start_touches_come_first() {
    let mut example = Example::new();
    // Far enough from each other that the gap is not stored.
    example.maps[0] = line(DATA, 64, "rw-p", 0, "");
    example.pages.push((DATA + 40 * PAGE, vec![4; BYTES]));
    let image_of = |composed: &Composed, address| {
        composed
            .image()
            .segments()
            .iter()
            .find(|segment| segment.mapping.start == address)
            .map(|segment| segment.offset)
    };
    let composed = example.composed();
    assert!(image_of(&composed, DATA) < image_of(&composed, DATA + 40 * PAGE));
    example.options.touched = BTreeSet::from([DATA + 40 * PAGE]);
    let composed = example.composed();
    assert!(image_of(&composed, DATA + 40 * PAGE) < image_of(&composed, DATA));
    assert_eq!(composed.page(DATA + 40 * PAGE, &[]), vec![4; BYTES]);
}

#[test]
fn memory_that_others_write_is_refused() {
    let mut example = Example::new();
    example.maps.insert(1, line(DATA + 0x10_0000, 1, "rw-s", 0, "/dev/shm/pool (deleted)"));
    assert_eq!(example.refusal(), "memory is shared with other processes: /dev/shm/pool (deleted)");
    // A map that is only read is a copy's as well.
    example.maps[1] = line(DATA + 0x10_0000, 1, "r--s", 0, "/opt/library.so");
    example.composed();
}

#[test]
fn memory_in_the_restorer_s_place_is_refused() {
    let mut example = Example::new();
    example.maps.insert(0, line(whipsnake_checkpoint_format::RESTORER.start, 1, "rw-p", 0, "[heap]"));
    assert_eq!(example.refusal(), "memory is where the restorer has to be: [heap]");
}

#[test]
fn the_kernels_own_pages_and_the_dumps_are_left_out() {
    let mut example = Example::new();
    let scratch = DATA + 0x20_0000;
    example.process.scratch = (scratch, PAGE);
    let kernels = DATA + 0x30_0000;
    example.maps.insert(1, line(scratch, 1, "rw-p", 0, ""));
    example.maps.insert(2, line(kernels, 4, "r--p", 0, "[vvar]"));
    example.maps.push(line(0xffff_ffff_ff60_0000, 1, "--xp", 0, "[vsyscall]"));
    let composed = example.composed();
    let starts: Vec<u64> = composed.image().segments().iter().map(|segment| segment.mapping.start).collect();
    assert!(!starts.contains(&scratch) && !starts.contains(&kernels));
}

#[test]
fn variables_are_compared_by_their_values() {
    let mut example = Example::new();
    let read = [("SET", Some("value")), ("UNSET", None)];
    example.process.variables =
        read.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect();
    let rows = example.composed().expectations();
    let row = |name: &str| rows.iter().find(|row| row.0 == name).map(|row| (row.1, row.2));
    assert_eq!(row("SET"), Some((Expectation::Equal as u64, hash(b"value"))));
    assert_eq!(row("UNSET").map(|row| row.0), Some(Expectation::Absent as u64));
    assert!(row("PYTHON*").is_some() && row("LD_*").is_some() && row("*").is_none());
}

#[test]
fn a_look_at_all_variables_leaves_out_those_that_differ_everywhere() {
    let mut example = Example::new();
    example.process.variables = [("*".to_owned(), None), ("SET".to_owned(), Some("value".to_owned()))].into();
    let rows = example.composed().expectations();
    let of = |name: &str| rows.iter().find(|row| row.0 == name).map(|row| row.1);
    assert_eq!(of("*"), Some(Expectation::Any as u64));
    assert_eq!(of("AWS_LAMBDA_LOG_STREAM_NAME"), Some(Expectation::Any as u64));
    assert_eq!(of("SET"), Some(Expectation::Equal as u64));
}

#[test]
fn an_emulators_list_lacks_which_pages_of_a_file_are_executable() {
    let mut example = Example::new();
    // The second page of the file is code.
    let mut library = library();
    library[..4].copy_from_slice(b"\x7fELF");
    library[32..40].copy_from_slice(&64_u64.to_le_bytes());
    library[54..58].copy_from_slice(&[56, 0, 1, 0]);
    library[64..72].copy_from_slice(&[1, 0, 0, 0, 5, 0, 0, 0]);
    library[72..80].copy_from_slice(&PAGE.to_le_bytes());
    library[96..104].copy_from_slice(&PAGE.to_le_bytes());
    fs::write(example.options.root.join("opt/library.so"), &library).expect("a file");
    library.resize(3 * BYTES, 0);
    example.pages[1].1 = library;
    example.pages[0].1[8..16].copy_from_slice(&(LIBRARY + PAGE).to_le_bytes());
    example.maps[1] = line(LIBRARY, 3, "r--p", 0, "/opt/library.so");
    let protections = |example: &Example| {
        let composed = example.composed();
        let segments = composed.image().segments().to_vec();
        let of_library =
            segments.iter().filter(|segment| (LIBRARY..LIBRARY + 3 * PAGE).contains(&segment.mapping.start));
        of_library.map(|segment| (segment.mapping.start - LIBRARY, segment.protection)).collect::<Vec<_>>()
    };
    assert!(example.refusal().starts_with("the checkpoint would be refused"), "{}", example.refusal());
    example.process.is_emulated = true;
    assert_eq!(protections(&example), [(0, 1), (PAGE, 5), (2 * PAGE, 1)]);
}

#[test]
fn an_emulators_vdso_stays_as_it_is() {
    let mut example = Example::new();
    let vdso = DATA + 16 * PAGE;
    example.maps.insert(1, line(vdso, 8, "r-xp", 0, "[vdso]"));
    example.process.vdso = vdso;
    let functions = |example: &Example| example.composed().image().vdso_symbols().len();
    assert!(functions(&example) > 0, "this test's own kernel has a vDSO");
    example.process.is_emulated = true;
    assert_eq!(functions(&example), 0);
}

#[test]
fn what_was_not_used_of_a_stack_is_not_stored() {
    let mut example = Example::new();
    example.maps[2] = line(STACK_END - 8 * PAGE, 8, "rw-p", 0, "[stack]");
    let composed = example.composed();
    let stack = composed.image().segments().iter().find(|one| one.kind == SegmentKind::Stack as u32).copied();
    assert_eq!(stack.map(|stack| stack.file), Some(PAGE));
}

#[test]
fn descriptors_keep_what_the_restorer_needs() {
    let mut example = Example::new();
    let of = |number, what| Descriptor { number, flags: 0o4000, what };
    example.process.descriptors = vec![
        of(3, What::File { path: "/opt/words.txt".to_owned(), position: 12 }),
        of(4, What::Pair { other: 5, kind: 2 }),
        of(5, What::Pair { other: 4, kind: 2 }),
        of(6, What::Memory { name: "words".to_owned(), contents: b"hello".to_vec(), position: 3 }),
        of(7, What::Memory { name: "more".to_owned(), contents: b"there".to_vec(), position: 0 }),
    ];
    let composed = example.composed();
    let image = composed.image();
    let row = |number| *image.descriptors().iter().find(|row: &&Row| row.number == number).expect("a row");
    assert_eq!((image.text(row(3).path), row(3).value, row(3).flags), (Some(c"/opt/words.txt"), 12, 0o4000));
    assert_eq!((row(4).kind, row(4).first, row(4).second), (DescriptorKind::Pair as u32, 5, 2));
    for (number, contents, position) in [(6, b"hello", 3), (7, b"there", 0)] {
        let memory = row(number);
        let place = usize::try_from(memory.value).expect("a place");
        assert_eq!(&composed.bytes()[place..place + 5], contents);
        assert_eq!((memory.length, memory.first), (5, position));
    }
}

#[test]
fn a_pair_without_its_other_end_would_be_refused() {
    let mut example = Example::new();
    let what = What::Pair { other: 5, kind: 1 };
    example.process.descriptors = vec![Descriptor { number: 4, flags: 0, what }];
    let refusal = example.refusal();
    assert_eq!(refusal, "the checkpoint would be refused: the header contradicts itself (descriptors)");
}

#[test]
fn a_resume_point_that_was_not_dumped_is_refused() {
    let mut example = Example::new();
    example.process.resume_point = DATA + 3 * PAGE;
    assert_eq!(example.refusal(), "the point where the process continues is not in the dump");
}

#[test]
fn an_incomplete_dump_is_refused() {
    let mut example = Example::new();
    example.pages[0].1.pop();
    assert_eq!(example.refusal(), "the process's memory is incomplete");
    let mut example = Example::new();
    example.maps[0] = "nonsense\n".to_owned();
    assert_eq!(example.refusal(), "the process's memory map cannot be read");
}

#[test]
fn a_dump_is_searched_for_a_text() {
    let example = Example::new();
    example.composed();
    let dump = Dump::read(&example.folder.path().join("dump")).expect("a dump");
    assert!(dump.contains(&[2, 2, 2, 2]) && !dump.contains(b"secret"));
    let files: Vec<_> = dump.files().collect();
    assert_eq!(files, [Path::new("/opt/library.so")]);
}

#[test]
fn the_summary_adds_up() {
    let example = Example::new();
    let (composed, summary) = example.compose().expect("a checkpoint");
    assert_eq!(summary.file, composed.bytes().len() as u64);
    assert_eq!((summary.references, summary.values), (3 * PAGE, PAGE));
    assert_eq!(summary.segments, composed.image().segments().len() as u64);
}
