//! `whipsnake layer`: a Python and a bootstrap for it, packed for Lambda.

mod architecture;
mod archive;
mod bill_of_materials;
mod bootstrap;
mod bytecode;
mod contents;
mod crates;
mod elf;
mod image;
mod libraries;
mod licences;
mod prefix;
mod report;
mod standard_library;
mod strip;
mod trim;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    failure::Failure,
    python::{self, Interpreter},
};
use architecture::Architecture;
use contents::{Contents, Entry, HOME, LIBRARIES, Part, ROOT};
use crates::Crate;
use libraries::Libraries;
use prefix::Prefix;
use report::Report;

/// Packs a CPython of your choice and a bootstrap built for it into a zip for `aws lambda publish-layer-version`.
///
/// Beside the zip lie its SHA-256 and a bill of materials (CycloneDX). The same inputs give the same bytes.
#[derive(clap::Args)]
pub struct Layer {
    /// An interpreter, or a version such as 3.14 or 3.14t; as for `whipsnake python`
    #[arg(long, value_name = "PATH|VERSION")]
    python: Option<String>,
    /// The processor that functions run on [default: this machine's]
    #[arg(long, value_name = "ARCH")]
    arch: Option<Architecture>,
    /// Where the zip is written
    #[arg(long, value_name = "DIR", default_value = "dist")]
    output: PathBuf,
    /// Something that is left out otherwise: see layer/trim.json; may be repeated
    #[arg(long, value_name = "NAME")]
    keep: Vec<String>,
    /// Where to look for shared libraries first; may be repeated
    #[arg(long, value_name = "DIR")]
    libraries: Vec<PathBuf>,
    /// The folder with whipsnake's sources [default: the first above the working directory]
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,
}

impl Layer {
    /// Packs the layer, and tells about it.
    pub fn run(self) -> Result<ExitCode, Failure> {
        let architecture = match self.arch {
            Some(architecture) => architecture,
            None => Architecture::of_this_machine()?,
        };
        let trims = trim::list(&self.keep)?;
        let source = bootstrap::find_source(self.source)?;
        let interpreter = python::find(self.python)?;
        eprintln!("{interpreter}");
        let prefix = Prefix::ask(&interpreter)?;

        // Its own folder first: what it was built with is better than what this machine happens to have.
        let mut folders = self.libraries;
        folders.push(interpreter.library_directory.clone());
        let mut libraries = Libraries::new(architecture, folders);
        let mut contents = Contents::default();
        add_standard_library(&mut contents, &mut libraries, &interpreter, &prefix, &trims)?;
        // Last, because it takes longest: a Python that cannot be packed is told at once.
        let bootstrap = bootstrap::build(&source, &interpreter, &prefix, architecture)?;
        add_bootstrap(&mut contents, &mut libraries, &bootstrap, &prefix)?;
        for (name, bytes) in libraries.into_found() {
            contents.add(format!("{LIBRARIES}/{name}"), Part::SharedLibraries, Entry::File(bytes));
        }
        let crates = crates::of_bootstrap(&source, architecture)?;
        let licences = licences::of_crates(&source, &crates)
            .map_err(|error| Failure::new(format!("reading the crates' licences: {error}")))?;
        contents.add(format!("{HOME}/LICENCES.txt"), Part::Licences, Entry::File(licences.into_bytes()));
        write(&self.output, &prefix, architecture, &contents, &crates)
    }
}

fn add_standard_library(
    contents: &mut Contents,
    libraries: &mut Libraries,
    interpreter: &Interpreter,
    prefix: &Prefix,
    trims: &[trim::Trim],
) -> Result<(), Failure> {
    let files = standard_library::read(prefix, trims).map_err(|error| {
        Failure::new(format!("reading the standard library in {}: {error}", prefix.standard_library.display()))
    })?;
    let modules = files.iter().filter(|file| file.path.ends_with(".py"));
    let sources: Vec<bytecode::Source<'_>> = modules
        .clone()
        .map(|file| bytecode::Source { path: format!("{ROOT}/{HOME}/{}", file.path), text: &file.bytes })
        .collect();
    let compiled = bytecode::compile(interpreter, &sources)?;
    for (file, compiled) in modules.zip(compiled) {
        if let (Some(path), Some(compiled)) = (bytecode::path(&file.path, &prefix.cache_tag), compiled) {
            contents.add(format!("{HOME}/{path}"), Part::Bytecode, Entry::File(compiled));
        }
    }
    for file in files {
        let is_module = file.path.contains(".so");
        let part = if is_module { Part::ExtensionModules } else { Part::StandardLibrary };
        let bytes = libraries.take(&file.origin, file.bytes)?;
        contents.add(format!("{HOME}/{}", file.path), part, Entry::File(bytes));
    }
    Ok(())
}

/// The bootstrap, and its other names: started as `python3` it is the interpreter.
fn add_bootstrap(
    contents: &mut Contents,
    libraries: &mut Libraries,
    bootstrap: &Path,
    prefix: &Prefix,
) -> Result<(), Failure> {
    let bytes = fs::read(bootstrap)
        .map_err(|error| Failure::new(format!("reading the bootstrap {}: {error}", bootstrap.display())))?;
    // Its search path leads to the layer's libraries, for everything that it loads.
    let bytes = libraries.take_program(bootstrap, bytes)?;
    contents.add("bootstrap", Part::Bootstrap, Entry::Program(bytes));
    for name in ["python3", &prefix.name] {
        contents.add(format!("bin/{name}"), Part::Bootstrap, Entry::Link("../bootstrap".into()));
    }
    Ok(())
}

fn write(
    folder: &Path,
    prefix: &Prefix,
    architecture: Architecture,
    contents: &Contents,
    crates: &[Crate],
) -> Result<ExitCode, Failure> {
    let name = format!("whipsnake-{}-{}-{architecture}", env!("CARGO_PKG_VERSION"), prefix.tag());
    let file = folder.join(format!("{name}.zip"));
    let zip = archive::write(contents)
        .map_err(|error| Failure::new(format!("writing the zip {}: {error}", file.display())))?;
    let bill = bill_of_materials::write(prefix, crates, &BTreeMap::new(), contents);
    let files = [
        (file.clone(), zip.clone()),
        // As sha256sum --check wants it.
        (folder.join(format!("{name}.zip.sha256")), format!("{}  {name}.zip\n", archive::sha256(&zip)).into_bytes()),
        (folder.join(format!("{name}.cdx.json")), format!("{bill:#}\n").into_bytes()),
    ];
    fs::create_dir_all(folder).map_err(|error| Failure::new(format!("creating {}: {error}", folder.display())))?;
    for (file, bytes) in files {
        fs::write(&file, bytes).map_err(|error| Failure::new(format!("writing {}: {error}", file.display())))?;
    }
    let layer_name = format!("whipsnake-{}-{architecture}", prefix.tag());
    let report = Report { file: file.display().to_string(), zip: &zip, contents, layer_name, architecture };
    println!("{report}");
    Ok(ExitCode::SUCCESS)
}
