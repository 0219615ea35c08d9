//! The segments of a checkpoint: what is mapped where, and from what.

use super::executable;
use super::maps::Region;
use super::{Dump, Error, Options, Summary};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use whipsnake_checkpoint_format::image::{GUARDED, Mapping, Segment, SegmentKind};
use whipsnake_checkpoint_format::{PAGE, PAGE_SIZE, RESTORER};

/// Pages of zeros between pages with contents are stored as well, up to this many: a mapping costs more than they do.
const BRIDGED: usize = 8;

/// The same for pages that are not touched by every start, between some that are. The kernel maps neighbors of a page together with it, as
/// far as they are in one mapping, and each page that is mapped counts as used memory.
const BRIDGED_BETWEEN_TOUCHED: usize = 2;

/// The same in files, from which a process reads rather than writes: what the kernel usually maps at once.
const BRIDGED_IN_FILES: usize = 16;

/// The stack of a program, in bytes: the usual limit. The kernel makes it grow downwards, a mapping does not.
const STACK: u64 = 8 << 20;

/// The address space of a checkpoint.
pub struct AddressSpace {
    /// By address. The offsets of values count from the beginning of the body.
    pub segments: Vec<Segment>,
    /// The files that references are of. A segment's `file` is an index of it.
    pub files: Vec<PathBuf>,
    /// The pages of the file, in order.
    pub body: Vec<u8>,
    /// Where the old vDSO was.
    pub vdso: Mapping,
    /// How much of each kind there is.
    pub summary: Summary,
}

/// Where a page comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Page {
    Zero,
    Value { is_touched: bool },
    Reference { is_touched: bool },
}

impl AddressSpace {
    pub fn new(dump: &Dump, options: &Options) -> Result<Self, Error> {
        let mut space = Self {
            segments: vec![],
            files: vec![],
            body: vec![],
            vdso: Mapping::default(),
            summary: Summary::default(),
        };
        let scratch = dump.process.scratch.0;
        let regions = dump.maps.iter().filter(|region| {
            let name = region.name.as_str();
            region.mapping.start != scratch && !name.starts_with("[vvar") && name != "[vsyscall]"
        });
        let mut known = BTreeMap::new();
        let regions: Vec<Region> = if dump.process.is_emulated {
            regions.flat_map(|region| executable::split(region, &options.root)).collect()
        } else {
            regions.cloned().collect()
        };
        for region in &regions {
            if region.is_shared && region.protection & 2 != 0 {
                let lines = dump.process.shared_memory.get(&region.name).into_iter().flatten();
                let code: String = lines.flat_map(|line| ["\n  ", line]).collect();
                return Err(Error::Dump(format!("memory is shared with other processes: {}{code}", region.name)));
            }
            let restorer = Mapping { start: RESTORER.start, length: RESTORER.end - RESTORER.start };
            if region.mapping.overlaps(&restorer) {
                return Err(Error::Dump(format!("memory is where the restorer has to be: {}", region.name)));
            }
            let is_guarded = dump
                .process
                .guarded
                .iter()
                .any(|(start, length)| region.mapping.overlaps(&Mapping { start: *start, length: *length }));
            let protection = region.protection | if is_guarded { GUARDED } else { 0 };
            space.add_region(dump, options, &Region { protection, ..region.clone() }, &mut known)?;
        }
        space.segments.sort_by_key(|segment| segment.mapping.start);
        space.order_body(dump, options);
        Ok(space)
    }

    fn add_region(
        &mut self,
        dump: &Dump,
        options: &Options,
        region: &Region,
        known: &mut BTreeMap<String, Option<Vec<u8>>>,
    ) -> Result<(), Error> {
        let Mapping { start, length } = region.mapping;
        if region.name == "[stack]" {
            let bottom = region.mapping.end().saturating_sub(STACK);
            let before = self.segments.last().map_or(0, |segment| segment.mapping.end()).max(bottom);
            let bottom = before.min(start);
            let whole = Mapping { start: bottom, length: region.mapping.end() - bottom };
            // An emulator gives the whole stack at once: what has not been used is not stored.
            let used = (start..region.mapping.end()).step_by(PAGE_SIZE).find(|page| dump.pages.page(*page).is_some());
            let stored = used.map_or(0, |first| region.mapping.end() - first);
            self.add(whole, region, SegmentKind::Stack, 0, stored);
            return Ok(());
        }
        if region.name == "[vdso]" {
            self.vdso = region.mapping;
            self.add(region.mapping, region, SegmentKind::Vdso, 0, 0);
            return Ok(());
        }
        let is_referenced = region.has_file() && options.referenced.iter().any(|folder| below(&region.name, folder));
        let contents = if is_referenced {
            known.entry(region.name.clone()).or_insert_with(|| fs::read(inside(&options.root, &region.name)).ok())
        } else {
            &None
        };
        let file = self.files.iter().position(|file| file == Path::new(&region.name)).unwrap_or_else(|| {
            if contents.is_some() {
                self.files.push(PathBuf::from(&region.name));
            }
            self.files.len().saturating_sub(1)
        });
        let mut pages: Vec<Page> = (0..length / PAGE)
            .map(|index| {
                let address = start + index * PAGE;
                let Some(page) = dump.pages.page(address) else { return Page::Zero };
                let is_touched = options.touched.contains(&address);
                let original = contents.as_deref().and_then(|file| page_of(file, region.offset + index * PAGE));
                if original.is_some_and(|original| is_same(page, original)) {
                    Page::Reference { is_touched }
                } else if page.iter().all(|byte| *byte == 0) {
                    Page::Zero
                } else {
                    Page::Value { is_touched }
                }
            })
            .collect();
        bridge_in_file(&mut pages, BRIDGED_IN_FILES);
        bridge(&mut pages, BRIDGED_BETWEEN_TOUCHED, true);
        bridge(&mut pages, BRIDGED, false);
        let mut first = 0;
        for run in pages.chunk_by(|one, other| one == other) {
            let (from, count) = (first as u64 * PAGE, run.len() as u64 * PAGE);
            first += run.len();
            let mapping = Mapping { start: start + from, length: count };
            match run[0] {
                Page::Zero => self.add(mapping, region, SegmentKind::Zero, 0, 0),
                Page::Reference { .. } => {
                    self.add(mapping, region, SegmentKind::Reference, region.offset + from, file as u64);
                }
                Page::Value { .. } => self.add(mapping, region, SegmentKind::Value, 0, 0),
            }
        }
        Ok(())
    }

    fn add(&mut self, mapping: Mapping, region: &Region, kind: SegmentKind, offset: u64, file: u64) {
        if mapping.length == 0 {
            return;
        }
        let of_kind = match kind {
            SegmentKind::Zero | SegmentKind::Stack => &mut self.summary.zeros,
            SegmentKind::Reference => &mut self.summary.references,
            SegmentKind::Value | SegmentKind::Vdso => &mut self.summary.values,
        };
        *of_kind += mapping.length;
        let protection = region.protection;
        if let Some(last) = self.segments.last_mut() {
            let continues =
                last.mapping.end() == mapping.start && (last.kind, last.protection) == (kind as u32, protection);
            if continues && kind == SegmentKind::Zero {
                last.mapping.length += mapping.length;
                return;
            }
        }
        self.segments.push(Segment { mapping, offset, protection, kind: kind as u32, file });
    }

    /// Gives values their place in the body: first those that every start touches, in order of address.
    fn order_body(&mut self, dump: &Dump, options: &Options) {
        let is = |segment: &Segment, kind: SegmentKind| segment.kind == kind as u32;
        let is_value = |segment: &Segment| {
            is(segment, SegmentKind::Value) || is(segment, SegmentKind::Vdso) || is(segment, SegmentKind::Stack)
        };
        let is_touched = |segment: &Segment| {
            let Mapping { start, .. } = segment.mapping;
            is(segment, SegmentKind::Stack) || options.touched.range(start..segment.mapping.end()).next().is_some()
        };
        let (touched, others): (Vec<_>, Vec<_>) =
            self.segments.iter_mut().filter(|segment| is_value(segment)).partition(|segment| is_touched(segment));
        for segment in touched.into_iter().chain(others) {
            segment.offset = self.body.len() as u64;
            let end = segment.mapping.end();
            let stored = if is(segment, SegmentKind::Stack) { segment.file } else { segment.mapping.length };
            for address in (end - stored..end).step_by(PAGE_SIZE) {
                match dump.pages.page(address) {
                    Some(page) => self.body.extend_from_slice(page),
                    None => self.body.resize(self.body.len() + PAGE_SIZE, 0),
                }
            }
        }
    }
}

/// Makes short gaps between pages with contents, or between touched ones, part of them.
fn bridge(pages: &mut [Page], longest: usize, between_touched: bool) {
    let is_end = |page: &Page| match page {
        Page::Value { is_touched } => *is_touched || !between_touched,
        _ => false,
    };
    let mut last = None;
    for index in 0..pages.len() {
        if !is_end(&pages[index]) {
            if matches!(pages[index], Page::Reference { .. }) {
                last = None;
            }
            continue;
        }
        if let Some(last) = last.replace(index)
            && index - last - 1 <= longest
        {
            let fill = pages[last];
            for page in &mut pages[last + 1..index] {
                if *page == Page::Zero || between_touched {
                    *page = fill;
                }
            }
        }
    }
}

/// Makes short gaps between touched pages of a file touched as well.
fn bridge_in_file(pages: &mut [Page], longest: usize) {
    let mut last = None;
    for index in 0..pages.len() {
        match pages[index] {
            Page::Reference { is_touched: true } => {
                if let Some(last) = last.replace(index)
                    && index - last - 1 <= longest
                {
                    pages[last + 1..index].fill(Page::Reference { is_touched: true });
                }
            }
            Page::Reference { is_touched: false } => {}
            Page::Value { .. } | Page::Zero => last = None,
        }
    }
}

fn page_of(file: &[u8], offset: u64) -> Option<&[u8]> {
    let offset = usize::try_from(offset).ok()?;
    let end = file.len().min(offset.checked_add(PAGE_SIZE)?);
    file.get(offset..end)
}

/// The last page of a file goes on with zeros in memory.
fn is_same(page: &[u8], original: &[u8]) -> bool {
    let (contents, rest) = page.split_at(original.len());
    !original.is_empty() && contents == original && rest.iter().all(|byte| *byte == 0)
}

fn below(path: &str, folder: &Path) -> bool {
    Path::new(path).starts_with(folder)
}

/// The file of the dumped process, on this machine.
pub fn inside(root: &Path, path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    root.join(path.strip_prefix("/").unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: Page = Page::Value { is_touched: false };
    const TOUCHED: Page = Page::Value { is_touched: true };
    const REFERENCE: Page = Page::Reference { is_touched: false };
    const TOUCHED_REFERENCE: Page = Page::Reference { is_touched: true };

    fn bridged(pages: &[Page], longest: usize, between_touched: bool) -> Vec<bool> {
        let mut pages = pages.to_vec();
        bridge(&mut pages, longest, between_touched);
        pages.iter().map(|page| *page == if between_touched { TOUCHED } else { VALUE }).collect()
    }

    #[test]
    fn short_gaps_of_zeros_are_stored() {
        assert_eq!(bridged(&[VALUE, Page::Zero, VALUE], 1, false), [true; 3]);
        assert_eq!(bridged(&[VALUE, Page::Zero, Page::Zero, VALUE], 1, false), [true, false, false, true]);
        assert_eq!(bridged(&[Page::Zero, VALUE, Page::Zero], 1, false), [false, true, false]);
    }

    #[test]
    fn references_are_never_stored() {
        assert_eq!(bridged(&[VALUE, REFERENCE, VALUE], 8, false), [true, false, true]);
        assert_eq!(bridged(&[TOUCHED, REFERENCE, TOUCHED], 8, true), [true, false, true]);
    }

    #[test]
    fn pages_between_touched_ones_come_along() {
        assert_eq!(bridged(&[TOUCHED, VALUE, Page::Zero, TOUCHED], 2, true), [true; 4]);
        assert_eq!(bridged(&[TOUCHED, VALUE, VALUE, VALUE, TOUCHED], 2, true), [true, false, false, false, true]);
    }

    #[test]
    fn pages_of_a_file_between_touched_ones_come_along() {
        let bridged = |gap: &[Page], longest| {
            let mut pages = [&[REFERENCE, TOUCHED_REFERENCE], gap, &[TOUCHED_REFERENCE, REFERENCE]].concat();
            bridge_in_file(&mut pages, longest);
            pages.iter().map(|page| *page == TOUCHED_REFERENCE).collect::<Vec<_>>()
        };
        assert_eq!(bridged(&[REFERENCE; 2], 2), [false, true, true, true, true, false]);
        assert_eq!(bridged(&[REFERENCE; 2], 1), [false, true, false, false, true, false]);
        assert_eq!(bridged(&[REFERENCE, VALUE], 2), [false, true, false, false, true, false]);
    }

    #[test]
    fn the_end_of_a_file_goes_on_with_zeros() {
        let mut page = vec![7; 10];
        page.resize(PAGE_SIZE, 0);
        assert!(is_same(&page, &[7; 10]));
        assert!(!is_same(&page, &[7; 9]));
        assert!(!is_same(&page, &[]));
    }
}
