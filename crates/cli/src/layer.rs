//! `whipsnake layer`: a Python and a bootstrap for it, packed for Lambda.

mod bill_of_materials;
mod bootstrap;
mod c_library;
mod crates;
mod gaps;
mod libraries;
mod licences;
mod prefix;
mod relocation;
mod report;
mod sdk;
mod standard_library;
mod strip;
mod trim;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    atomic_write, cleanup,
    deployment::{
        architecture, archive, bytecode, contents, elf, image, module_archive,
        sizes::{self, MOST_UNPACKED},
    },
    display,
    failure::Failure,
    python::{
        self, Interpreter,
        library::{Kind, Library},
    },
};
use architecture::Architecture;
use archive::Moment;
use bytecode::{Bytecode, Check, Source};
use c_library::{CLibrary, Origin, Package};
use contents::{Contents, Entry, HOME, LIBRARIES, Part, ROOT};
use libraries::{Libraries, Search};
use prefix::Prefix;
use report::Report;
use sdk::{Packing, Sdk};
use standard_library::SourceFile;

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
    /// The library of the Python to link [default: static where it has one that can be linked]
    #[arg(long, value_name = "KIND")]
    libpython: Option<Kind>,
    /// The C library of the function's process [default: the system's, unless the Python needs a newer one]
    #[arg(long, value_name = "ORIGIN")]
    libc: Option<Origin>,
    /// Where the zip is written
    #[arg(long, value_name = "DIR", default_value = "dist")]
    output: PathBuf,
    /// Something that is left out otherwise: see layer/trim.json; may be repeated
    #[arg(long, value_name = "NAME")]
    keep: Vec<String>,
    /// Where to look for shared libraries first; may be repeated
    #[arg(long, value_name = "DIR")]
    libraries: Vec<PathBuf>,
    /// Packs the AWS SDK as well: inside the same zip, or apart in one of its own
    #[arg(long, value_name = "HOW")]
    sdk: Option<Packing>,
    /// The services of the SDK to pack, such as s3,dynamodb [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', requires = "sdk")]
    services: Vec<String>,
    /// How the bytecode is packed. An archive makes imports faster; Pythons that a function starts need the files
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Bytecode::Files)]
    bytecode: Bytecode,
    /// The folder with whipsnake's sources [default: the first above the working directory]
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,
}

impl Layer {
    /// Packs the layer, and tells about it.
    pub fn run(self) -> Result<ExitCode, Failure> {
        cleanup::on_signals()?;
        let architecture = match self.arch {
            Some(architecture) => architecture,
            None => Architecture::of_this_machine()?,
        };
        let mut trims = trim::list(&self.keep)?;
        let source = bootstrap::find_source(self.source)?;
        let interpreter = python::find(self.python)?;
        let prefix = Prefix::ask(&interpreter)?;
        for trim in &mut trims {
            trim.spare_what_is_not_replaced(&prefix.extension_module_names);
        }

        // Its own folder first: what it was built with is better than what this machine happens to have.
        let mut folders = self.libraries;
        folders.extend(interpreter.library_directories.iter().cloned());
        let search = Search::new(architecture, folders);
        let standard_library = standard_library::read(&prefix, &trims).map_err(|error| {
            Failure::new(format!("reading the standard library in {}: {error}", prefix.standard_library.display()))
        })?;
        let (c_library, why) = CLibrary::choose(self.libc, &interpreter, architecture, || {
            first_that_is_too_new(&search, &interpreter, &standard_library)
        })?;
        display::note(&why);
        let mut libraries = Libraries::new(search, c_library);
        let mut contents = Contents::default();
        let twin = python::twin(&interpreter);
        let compiler = twin.as_ref().unwrap_or(&interpreter);
        add_standard_library(
            &mut contents,
            &mut libraries,
            standard_library,
            compiler,
            &prefix,
            &trims,
            self.bytecode,
        )?;
        // Last, because it takes longest: a Python that cannot be packed is told at once.
        let choice = bootstrap::choose(&interpreter, self.libpython, architecture, &libraries.c_library)?;
        display::note(&choice);
        let bootstrap = bootstrap::build(&source, &choice, &prefix, architecture, &libraries.c_library)?;
        add_bootstrap(&mut contents, &mut libraries, &bootstrap, &prefix)?;
        let packages = add_libraries(&mut contents, libraries)?;
        let sdk = self
            .sdk
            .map(|how| Ok((how, sdk_contents(compiler, &prefix, &self.services, self.bytecode)?)))
            .transpose()?;
        let crates = crates::of_bootstrap(&source, architecture)?;
        let licences = licences::of_crates(&source, &crates)
            .map_err(|error| Failure::new(format!("reading the crates' licences: {error}")))?;
        contents.add(format!("{HOME}/LICENCES.txt"), Part::Licences, Entry::File(licences.into_bytes()));
        let name = format!("{}-{architecture}", prefix.tag());
        let mut runtime = Product {
            file: format!("whipsnake-{}-{name}", env!("CARGO_PKG_VERSION")),
            layer: format!("whipsnake-{name}"),
            architectures: vec![architecture],
            components: bill_of_materials::of_runtime(&prefix, &crates, &packages),
            libpython: Some(choice.library.kind),
            contents,
        };
        match sdk {
            None => runtime.write(&self.output)?,
            Some((Packing::Inside, sdk)) => {
                runtime.file.push_str("-sdk");
                runtime.layer.push_str("-sdk");
                runtime.components.extend(bill_of_materials::of_packages(&Sdk::packages()));
                runtime.contents.0.extend(sdk.0);
                runtime.write(&self.output)?;
            }
            Some((Packing::Apart, contents)) => {
                runtime.write(&self.output)?;
                display::print("\n")?;
                let tag = prefix.tag();
                let apart = Product {
                    file: format!("whipsnake-sdk-{}-{tag}", Sdk::version()),
                    layer: format!("whipsnake-sdk-{tag}"),
                    architectures: vec![Architecture::X86_64, Architecture::Arm64],
                    components: bill_of_materials::of_packages(&Sdk::packages()),
                    libpython: None,
                    contents,
                };
                apart.write(&self.output)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The first file of a Python that Lambda's C library is too old for, and what it needs.
fn first_that_is_too_new(search: &Search, interpreter: &Interpreter, files: &[SourceFile]) -> Option<String> {
    let read = |path: &Path| fs::read(path).ok().map(|bytes| (path.to_owned(), bytes));
    let shared = interpreter.libraries.iter().filter(|library| library.kind == Kind::Shared).map(Library::path);
    let own: Vec<_> = shared.chain([interpreter.executable.clone()]).filter_map(|path| read(&path)).collect();
    let own = own.iter().map(|(path, bytes)| (path.as_path(), bytes.as_slice()));
    search.too_new(own.chain(files.iter().map(|file| (file.origin.as_path(), file.bytes.as_slice()))))
}

fn add_standard_library(
    contents: &mut Contents,
    libraries: &mut Libraries,
    files: Vec<SourceFile>,
    compiler: &Interpreter,
    prefix: &Prefix,
    trims: &[trim::Trim],
    how: Bytecode,
) -> Result<(), Failure> {
    let (modules, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.path.ends_with(".py"));
    // What cannot be packed is among these: that is told before anything takes time.
    for file in others {
        let is_module = file.path.contains(".so");
        let part = if is_module { Part::ExtensionModules } else { Part::StandardLibrary };
        let bytes = libraries.take(&file.origin, file.bytes)?;
        contents.add(format!("{HOME}/{}", file.path), part, Entry::File(bytes));
    }
    let is_trimmed = |source: &str| {
        prefix.within_library(source).is_some_and(|path| trims.iter().any(|trim| trim.covers_bytecode_of(path)))
    };
    let (sources, modules): (Vec<_>, Vec<_>) =
        modules.into_iter().partition(|file| prefix.has_frozen(&file.path) || is_trimmed(&file.path));
    for file in sources {
        contents.add(format!("{HOME}/{}", file.path), Part::StandardLibrary, Entry::File(file.bytes));
    }
    let modules = modules.into_iter().map(|file| (format!("{HOME}/{}", file.path), file.bytes)).collect();
    let folder = format!("{HOME}/{}", prefix.within(&prefix.standard_library).unwrap_or_default());
    let parts = [Part::StandardLibrary, Part::Bytecode, Part::StandardLibraryArchive];
    add_modules(contents, compiler, &folder, modules, how, parts)
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

/// The shared libraries. Returns the packages of the C library, if the layer has its own; their licences lie in the layer.
fn add_libraries(contents: &mut Contents, libraries: Libraries) -> Result<Vec<Package>, Failure> {
    let own = libraries.c_library.own();
    let loader = own.map(|family| family.loader().to_owned());
    let packages = own.map(|family| family.packages().to_vec()).unwrap_or_default();
    for (name, bytes) in libraries.into_found()? {
        let is_loader = loader.as_ref() == Some(&name);
        // The kernel runs the loader.
        let entry = if is_loader { Entry::Program(bytes) } else { Entry::File(bytes) };
        contents.add(format!("{LIBRARIES}/{name}"), Part::SharedLibraries, entry);
    }
    for (path, text) in packages.iter().flat_map(|package| package.licences.iter()) {
        contents.add(format!("{HOME}/licences/{path}"), Part::Licences, Entry::File(text.clone()));
    }
    Ok(packages)
}

/// The SDK, where the layer's Python has its packages, as the managed runtime has it: the function's own and those of other
/// layers come before it.
fn sdk_contents(
    compiler: &Interpreter,
    prefix: &Prefix,
    services: &[String],
    how: Bytecode,
) -> Result<Contents, Failure> {
    let sdk = Sdk::install(compiler, services)?;
    let standard_library = prefix.within(&prefix.standard_library).unwrap_or_default();
    let folder = format!("{HOME}/{standard_library}/site-packages");
    let mut contents = Contents::default();
    let files = sdk.files.into_iter().map(|(path, bytes)| (format!("{folder}/{path}"), bytes));
    let (modules, data): (Vec<_>, Vec<_>) = files.partition(|(path, _)| path.ends_with(".py"));
    add_modules(&mut contents, compiler, &folder, modules, how, [Part::Sdk; 3])?;
    for (path, bytes) in data {
        contents.add(path, Part::Sdk, Entry::File(bytes));
    }
    Ok(contents)
}

/// Python files of a folder with their bytecode, and the parts that those belong to.
fn add_modules(
    contents: &mut Contents,
    compiler: &Interpreter,
    folder: &str,
    modules: Vec<(String, Vec<u8>)>,
    how: Bytecode,
    [source, file, archive]: [Part; 3],
) -> Result<(), Failure> {
    let sources: Vec<Source<'_>> =
        modules.iter().map(|(path, text)| Source { path: format!("{ROOT}/{path}"), text }).collect();
    let compiled = bytecode::compile(compiler, &sources, Check::Never)?;
    if how.has_archive() {
        let within = |path: &str| path.strip_prefix(folder).unwrap_or(path).trim_start_matches('/').to_owned();
        let below: Vec<_> = modules.iter().map(|(path, text)| (within(path), text.as_slice())).collect();
        let bytes = module_archive::write(&below, &compiled, compiler, Moment::EARLIEST)?;
        contents.add(format!("{folder}/{}", module_archive::PATH), archive, Entry::File(bytes));
    }
    for ((path, text), bytecode) in modules.into_iter().zip(compiled) {
        if let (Some(path), Some(bytecode), true) =
            (bytecode::path(&path, &compiler.cache_tag), bytecode, how.has_files())
        {
            contents.add(path, file, Entry::File(bytecode));
        }
        contents.add(path, source, Entry::File(text));
    }
    Ok(())
}

/// One zip, and what is published with it.
struct Product {
    file: String,
    layer: String,
    architectures: Vec<Architecture>,
    components: Vec<serde_json::Value>,
    libpython: Option<Kind>,
    contents: Contents,
}

impl Product {
    fn write(&self, folder: &Path) -> Result<(), Failure> {
        let name = format!("{}.zip", self.file);
        let file = folder.join(&name);
        sizes::check(self.contents.files(), MOST_UNPACKED)?;
        let zip = archive::write(&self.contents, Moment::EARLIEST)
            .map_err(|error| Failure::new(format!("writing the zip {}: {error}", file.display())))?;
        let bill = bill_of_materials::write(&self.components, &self.contents);
        let sum = archive::sha256(&zip);
        let report = Report {
            file: &file,
            zip: &zip,
            contents: &self.contents,
            layer: &self.layer,
            architectures: &self.architectures,
            libpython: self.libpython,
        };
        let report = report.to_string();
        let files = [
            (file, zip),
            // As sha256sum --check wants it.
            (folder.join(format!("{name}.sha256")), format!("{sum}  {name}\n").into_bytes()),
            (folder.join(format!("{}.cdx.json", self.file)), format!("{bill:#}\n").into_bytes()),
        ];
        fs::create_dir_all(folder).map_err(|error| Failure::new(format!("creating {}: {error}", folder.display())))?;
        for (file, bytes) in files {
            atomic_write::replace(&file, bytes)
                .map_err(|error| Failure::new(format!("writing {}: {error}", file.display())))?;
        }
        display::print(format_args!("{report}\n"))?;
        Ok(())
    }
}
