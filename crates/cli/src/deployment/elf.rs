//! An ELF file: what it is for, what it needs, and where it says that this is to be looked for.

use std::fmt;

use object::{
    LittleEndian, elf,
    read::elf::{FileHeader, ProgramHeader, SectionHeader, SectionTable, Sym},
};

use super::{architecture::Architecture, image};

type Header = elf::FileHeader64<LittleEndian>;

const MAGIC: &[u8] = b"\x7fELF";
const SIZE_OF_DYNAMIC_ENTRY: usize = 16;

/// What the dynamic loader would read in a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Elf {
    /// The dynamic loader that a program asks for.
    pub interpreter: Option<String>,
    /// The libraries it needs, by their names.
    pub needed: Vec<String>,
    /// Where it wants them to be looked for: DT_RPATH and DT_RUNPATH.
    pub search_paths: Vec<String>,
    /// The versions of symbols that it needs of other libraries.
    pub versions: Vec<SymbolVersion>,
    /// The versions of symbols that it has for others.
    pub defines: Vec<String>,
    /// Whether it has symbols or debugging information that nothing needs at run time.
    pub can_be_stripped: bool,
}

/// A version of symbols that a file needs of a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolVersion {
    /// The library's name.
    pub library: String,
    /// One of the symbols, unless the version is needed as a whole.
    pub symbol: Option<String>,
    /// Such as `GLIBC_2.35`.
    pub version: String,
}

impl fmt::Display for SymbolVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.symbol {
            Some(symbol) => write!(formatter, "{symbol} of {}", self.version),
            None => formatter.write_str(&self.version),
        }
    }
}

impl Elf {
    /// Reads a file. None where it is no ELF file; else a reason why it cannot be used on Lambda.
    pub fn read(file: &[u8], architecture: Architecture) -> Result<Option<Elf>, String> {
        if !file.starts_with(MAGIC) {
            return Ok(None);
        }
        if file.get(4..6) != Some(&[elf::ELFCLASS64.0, elf::ELFDATA2LSB.0]) {
            return Err("it is not for a 64-bit little-endian processor".into());
        }
        let damaged = |error| format!("it is damaged: {error}");
        let header = Header::parse(file).map_err(damaged)?;
        let machine = header.e_machine(LittleEndian);
        if machine != architecture.machine() {
            return Err(format!("it is for {}, and the layer for {architecture}", Architecture::name_of(machine)));
        }
        read_sections(header, file).map(Some).map_err(damaged)
    }

    /// The first version that it needs and that Lambda's image is too old for.
    pub fn too_new(&self) -> Option<&SymbolVersion> {
        self.versions.iter().find(|needed| image::has(&needed.library) && !image::provides(&needed.version))
    }
}

fn read_sections(header: &Header, file: &[u8]) -> object::read::Result<Elf> {
    let sections = header.sections(LittleEndian, file)?;
    let mut read = Elf::default();
    let dynamic = sections.dynamic_table(LittleEndian, file)?;
    for entry in &dynamic {
        let text = || Ok(String::from_utf8_lossy(dynamic.string(entry)?).into_owned());
        match entry.tag {
            elf::DT_NEEDED => read.needed.push(text()?),
            elf::DT_RPATH | elf::DT_RUNPATH => read.search_paths.extend(text()?.split(':').map(str::to_owned)),
            _ => {}
        }
    }
    for segment in header.program_headers(LittleEndian, file)? {
        if let Some(path) = segment.interpreter(LittleEndian, file)? {
            read.interpreter = Some(String::from_utf8_lossy(path).into_owned());
        }
    }
    read.versions = versions_needed(&sections, file)?;
    read.defines = versions_defined(&sections, file)?;
    // What has no dynamic section is for the linker, which needs all of it.
    read.can_be_stripped = !dynamic.is_empty()
        && sections.iter().any(|section| {
            section.sh_type(LittleEndian) == elf::SHT_SYMTAB
                || sections.section_name(LittleEndian, section).is_ok_and(|name| name.starts_with(b".debug_"))
        });
    Ok(read)
}

fn versions_needed(sections: &SectionTable<'_, Header>, file: &[u8]) -> object::read::Result<Vec<SymbolVersion>> {
    let mut needed = Vec::new();
    let Some((mut libraries, link)) = sections.gnu_verneed(LittleEndian, file)? else { return Ok(needed) };
    let strings = sections.strings(LittleEndian, file, link)?;
    let symbols = sections.symbols(LittleEndian, file, elf::SHT_DYNSYM)?;
    let indices = sections.gnu_versym(LittleEndian, file)?.map_or(&[][..], |(indices, _)| indices);
    while let Some((library, mut versions)) = libraries.next()? {
        let library = String::from_utf8_lossy(library.file(LittleEndian, strings)?).into_owned();
        while let Some(version) = versions.next()? {
            let wanted = version.vna_other(LittleEndian).index();
            let of_version = |index: &elf::Versym<_>| index.0.get(LittleEndian).index() == wanted;
            let symbol = indices.iter().position(of_version).and_then(|index| {
                let symbol = symbols.symbol(object::SymbolIndex(index)).ok()?;
                Some(String::from_utf8_lossy(symbol.name(LittleEndian, symbols.strings()).ok()?).into_owned())
            });
            let version = String::from_utf8_lossy(version.name(LittleEndian, strings)?).into_owned();
            needed.push(SymbolVersion { library: library.clone(), symbol, version });
        }
    }
    Ok(needed)
}

fn versions_defined(sections: &SectionTable<'_, Header>, file: &[u8]) -> object::read::Result<Vec<String>> {
    let mut defined = Vec::new();
    let Some((mut versions, link)) = sections.gnu_verdef(LittleEndian, file)? else { return Ok(defined) };
    let strings = sections.strings(LittleEndian, file, link)?;
    while let Some((_, mut names)) = versions.next()? {
        // Its own name comes first, then those of its predecessors.
        if let Some(name) = names.next()? {
            defined.push(String::from_utf8_lossy(name.name(LittleEndian, strings)?).into_owned());
        }
    }
    Ok(defined)
}

/// Takes DT_RPATH and DT_RUNPATH out of an ELF file in place, and moves what is behind them up.
///
/// The loader consults the DT_RPATH of the executable for everything that the process loads, but not on behalf of a file
/// that has a DT_RUNPATH of its own.
pub fn remove_search_paths(file: &mut [u8]) -> object::read::Result<()> {
    edit_dynamic_table(file, |tag| (tag != elf::DT_RPATH && tag != elf::DT_RUNPATH).then_some(tag))
}

/// Makes a program's DT_RUNPATH a DT_RPATH: some linkers write the first whatever they are told.
pub fn search_for_all(file: &mut [u8]) -> object::read::Result<()> {
    edit_dynamic_table(file, |tag| Some(if tag == elf::DT_RUNPATH { elf::DT_RPATH } else { tag }))
}

/// Gives each entry another tag, or removes it where there is none.
fn edit_dynamic_table(
    file: &mut [u8],
    edit: impl Fn(elf::DynamicTag) -> Option<elf::DynamicTag>,
) -> object::read::Result<()> {
    if !file.starts_with(MAGIC) {
        return Ok(());
    }
    let header = Header::parse(&*file)?;
    let sections = header.sections(LittleEndian, &*file)?;
    let Some(place) = sections
        .iter()
        .find(|section| section.sh_type(LittleEndian) == elf::SHT_DYNAMIC)
        .and_then(|section| section.file_range(LittleEndian))
    else {
        return Ok(());
    };
    let (Ok(start), Ok(size)) = (usize::try_from(place.0), usize::try_from(place.1)) else { return Ok(()) };
    let Some(table) = file.get_mut(start..start + size) else { return Ok(()) };
    let mut kept = Vec::with_capacity(table.len());
    for entry in table.chunks_exact(SIZE_OF_DYNAMIC_ENTRY) {
        let (tag, value) = entry.split_at(8);
        let tag = tag.try_into().map(i64::from_le_bytes).unwrap_or_default();
        if let Some(tag) = edit(elf::DynamicTag(tag)) {
            kept.extend_from_slice(&tag.0.to_le_bytes());
            kept.extend_from_slice(value);
        }
    }
    // The table ends with entries of zeros.
    table.fill(0);
    table[..kept.len()].copy_from_slice(&kept);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, process::Command};

    use super::super::architecture::Architecture;
    use super::{Elf, SymbolVersion, remove_search_paths, search_for_all};

    /// Compiles shared libraries with this machine's compiler, which linked this test as well.
    struct Workshop(tempfile::TempDir);

    impl Workshop {
        fn new() -> Self {
            Workshop(tempfile::tempdir().expect("creates a directory"))
        }

        fn library(&self, name: &str, code: &str, options: &[&str]) -> Vec<u8> {
            let source = self.path().join("source.c");
            fs::write(&source, code).expect("writes a file");
            let mut compiler = Command::new("cc");
            compiler
                .current_dir(self.path())
                .args(["-shared", "-fPIC", "-nostdlib", "-o", name, "source.c"])
                .args(options);
            assert!(compiler.status().expect("runs the compiler").success());
            fs::read(self.path().join(name)).expect("reads the library")
        }

        fn path(&self) -> &Path {
            self.0.path()
        }
    }

    fn read(file: &[u8]) -> Elf {
        let architecture = Architecture::of_this_machine().expect("a machine that Lambda has");
        Elf::read(file, architecture).expect("a good file").expect("an ELF file")
    }

    #[test]
    fn a_symbol_that_is_too_new_is_named() {
        let workshop = Workshop::new();
        let versions = workshop.path().join("versions");
        fs::write(&versions, "GLIBC_2.34 { old; }; GLIBC_2.99 { brand_new; };").expect("writes a file");
        let script = format!("-Wl,--version-script={}", versions.display());
        let code = "int old(void) { return 1; } int brand_new(void) { return 2; }";
        workshop.library("libc.so.6", code, &["-Wl,-soname,libc.so.6", &script]);
        let user = "int old(void); int brand_new(void); int use(void) { return old() + brand_new(); }";
        let elf = read(&workshop.library("user.so", user, &["./libc.so.6"]));
        let expected = SymbolVersion {
            library: "libc.so.6".into(),
            symbol: Some("brand_new".into()),
            version: "GLIBC_2.99".into(),
        };
        assert_eq!(elf.too_new(), Some(&expected));
        let defined = read(&fs::read(workshop.path().join("libc.so.6")).expect("reads the library")).defines;
        assert_eq!(defined, ["libc.so.6", "GLIBC_2.34", "GLIBC_2.99"]);
        let elf =
            read(&workshop.library("user.so", "int old(void); int use(void) { return old(); }", &["./libc.so.6"]));
        assert_eq!((elf.too_new(), elf.needed.clone()), (None, vec!["libc.so.6".to_owned()]));
    }

    #[test]
    fn versions_of_other_libraries_are_their_own_affair() {
        let workshop = Workshop::new();
        let versions = workshop.path().join("versions");
        fs::write(&versions, "XZ_5.0 { f; };").expect("writes a file");
        let script = format!("-Wl,--version-script={}", versions.display());
        workshop.library("liblzma.so.5", "int f(void) { return 1; }", &["-Wl,-soname,liblzma.so.5", &script]);
        let elf = read(&workshop.library("user.so", "int f(void); int g(void) { return f(); }", &["./liblzma.so.5"]));
        assert_eq!((elf.too_new(), elf.needed.clone()), (None, vec!["liblzma.so.5".to_owned()]));
    }

    #[test]
    fn search_paths_go_and_all_else_stays() {
        let workshop = Workshop::new();
        for option in ["-Wl,--enable-new-dtags", "-Wl,--disable-new-dtags"] {
            let options = [option, "-Wl,-rpath,$ORIGIN/../lib:/usr/x", "-Wl,-soname,liba.so.1"];
            let mut file = workshop.library("liba.so", "int a(void) { return 1; }", &options);
            let before = read(&file);
            assert_eq!(before.search_paths, ["$ORIGIN/../lib", "/usr/x"]);
            remove_search_paths(&mut file).expect("a good file");
            assert_eq!(read(&file), Elf { search_paths: Vec::new(), ..before });
        }
    }

    #[test]
    fn a_programs_search_path_is_for_all_that_it_loads() {
        let workshop = Workshop::new();
        let mut file = workshop.library("a.so", "int a;", &["-Wl,--enable-new-dtags", "-Wl,-rpath,/opt/x"]);
        let expected = workshop.library("a.so", "int a;", &["-Wl,--disable-new-dtags", "-Wl,-rpath,/opt/x"]);
        let dynamic = |file: &[u8]| file.windows(8).filter(|tag| **tag == 29_u64.to_le_bytes()).count();
        assert!(dynamic(&file) > dynamic(&expected));
        search_for_all(&mut file).expect("a good file");
        assert_eq!((dynamic(&file), read(&file)), (dynamic(&expected), read(&expected)));
    }

    #[test]
    fn another_processors_file_is_refused() {
        let workshop = Workshop::new();
        let mut file = workshop.library("liba.so", "int a(void) { return 1; }", &[]);
        // e_machine: RISC-V.
        file[18] = 243;
        let said = Elf::read(&file, Architecture::X86_64).expect_err("the wrong processor");
        assert_eq!(said, "it is for another processor (243), and the layer for x86_64");
        file[18] = 183;
        let said = Elf::read(&file, Architecture::X86_64).expect_err("the wrong processor");
        assert_eq!(said, "it is for arm64, and the layer for x86_64");
    }

    #[test]
    fn what_is_no_elf_file_is_none() {
        assert_eq!(Elf::read(b"#!/bin/sh\n", Architecture::Arm64), Ok(None));
        assert!(Elf::read(b"\x7fELF\x02\x01 and no more", Architecture::Arm64).is_err());
    }
}
