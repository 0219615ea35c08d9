//! `whipsnake pack`: a function and what it requires, packed for Lambda.

mod distributions;
mod extension_modules;
mod folder;
mod handler;
mod modules;
mod precedence;
mod requirements;
mod secrets;
mod unpacked;

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    atomic_write,
    checkpoint::{self, CheckpointArguments, Wanted},
    cleanup,
    deployment::{
        architecture::Architecture,
        archive,
        bytecode::Bytecode,
        contents::{Contents, Entry, TASK_ROOT},
        sizes::{self, MOST_IN_IMAGE, MOST_UNPACKED, MOST_ZIPPED, Sizes},
    },
    display,
    failure::Failure,
    python::{self, Interpreter},
};
use folder::{Bounds, Files};
use requirements::Installer;
use unpacked::Unpacked;

pub use unpacked::LIST;

/// How a zip begins: with a file, or with the end of an empty one.
const ZIP: [&[u8; 4]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

/// Packs a function, what it requires and the bytecode of both into a zip for `aws lambda update-function-code`.
///
/// The bytecode is for one version of CPython, that of the layer which the function runs on. Sources stay in the zip, and what was
/// changed after packing is noticed. The same inputs give the same bytes.
#[derive(clap::Args)]
pub struct Pack {
    /// The folder with the function's code
    folder: PathBuf,
    /// Packages to install for it [default: FOLDER/requirements.txt, where there is one]
    #[arg(long, value_name = "FILE")]
    requirements: Option<PathBuf>,
    /// Where the zip is written [default: dist/FOLDER.zip]
    #[arg(long, value_name = "FILE", conflicts_with = "unpacked")]
    output: Option<PathBuf>,
    /// Writes a folder as Lambda will unpack it, and no zip
    #[arg(long, value_name = "DIR")]
    unpacked: Option<PathBuf>,
    /// A folder beside FOLDER that symbolic links in FOLDER may lead to; may be repeated
    #[arg(long, value_name = "DIR")]
    allow_links: Vec<PathBuf>,
    /// The handler, as in Lambda's configuration: packing fails where its module is missing
    #[arg(long, value_name = "MODULE.FUNCTION")]
    handler: Option<String>,
    /// An interpreter, or a version such as 3.14 or 3.14t; as for `whipsnake layer`
    #[arg(long, value_name = "PATH|VERSION")]
    python: Option<String>,
    /// The processor that the function runs on [default: this machine's]
    #[arg(long, value_name = "ARCH")]
    arch: Option<Architecture>,
    /// How the bytecode is packed
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Bytecode::Archive)]
    bytecode: Bytecode,
    /// The folder that the function will find itself in
    #[arg(long, value_name = "DIR", default_value = TASK_ROOT)]
    task_root: String,
    #[command(flatten)]
    checkpoint: CheckpointArguments,
}

impl Pack {
    /// Packs the function, and prints what is in the package.
    pub fn run(self) -> Result<ExitCode, Failure> {
        cleanup::on_signals()?;
        let architecture = self.arch.map_or_else(Architecture::of_this_machine, Ok)?;
        let wanted = self.checkpoint.possible(architecture)?;
        let folder = folder::find(&self.folder)?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        // What is to be replaced is looked at before anything takes time.
        let target = match self.unpacked {
            Some(named) => Target::Folder(Unpacked::prepare(named, &folder)?),
            None => Target::zip(self.output.unwrap_or_else(|| Path::new("dist").join(format!("{name}.zip"))))?,
        };
        let bounds = Bounds {
            allowed: self.allow_links.iter().map(|folder| allowed(folder)).collect::<Result<_, _>>()?,
            left_out: target.real_path().into_iter().collect(),
        };
        let own = Files::below(&folder, &bounds)?;
        sizes::check(own.sizes(), target.limit())?;
        if !own.left_out.is_empty() {
            display::say(&format!("left out, because they are no files: {}", own.left_out.join(", ")));
        }
        let requirements = self.requirements.or_else(|| {
            let usual = folder.join("requirements.txt");
            usual.is_file().then_some(usual)
        });
        let interpreter = python::find(self.python)?;
        display::note(&interpreter);

        let mut installed = Vec::new();
        if let Some(file) = requirements {
            let packages = Installer::new(&file, &interpreter, architecture)?.install()?;
            // What the function has as well, or hides, is not packed: only what no memory holds is refused here.
            sizes::check(packages.sizes(), MOST_IN_IMAGE)?;
            installed = packages.read()?;
        }
        let own = own.read()?;
        secrets::warn(&own);
        let (mut contents, notices) = precedence::merge(installed, own)?;
        for notice in &notices {
            display::say(notice);
        }
        sizes::check(contents.files(), target.limit())?;
        if let Some(handler) = &self.handler {
            handler::check(handler, &contents, &folder)?;
        }
        extension_modules::check(&contents, architecture)?;
        let here = match &target {
            Target::Folder(unpacked) if self.checkpoint.here => Some(unpacked),
            _ => None,
        };
        // Bytecode names the folder that its source is in.
        let task_root = here.map_or_else(|| self.task_root.clone(), |unpacked| unpacked.folder().display().to_string());
        let modified = modules::add(&mut contents, &interpreter, self.bytecode, &task_root)?;
        if let (Some(wanted), Some(handler)) = (wanted, &self.handler) {
            let write = |contents: &Contents, folder: &Path| match here {
                Some(unpacked) => unpacked.write(contents, modified),
                None => unpacked::fill(folder, contents, modified)
                    .map_err(|error| Failure::new(format!("writing {}: {error}", folder.display()))),
            };
            let folder = here.map(Unpacked::folder);
            match checkpoint::add(&mut contents, &self.checkpoint, wanted, handler, folder, write) {
                Ok(report) => display::print(report)?,
                Err(failure) if wanted == Wanted::Try => display::say(&failure.to_string()),
                Err(failure) => return Err(failure),
            }
        }
        sizes::check(contents.files(), target.limit())?;
        match target {
            Target::Folder(unpacked) => {
                unpacked.write(&contents, modified)?;
                let sizes = Sizes { contents: &contents, zipped: None };
                display::print(format_args!("{sizes}\n{}\n", unpacked.named().display()))?;
            }
            Target::Zip(output) => {
                let zip = archive::write(&contents, modified)
                    .map_err(|error| Failure::new(format!("writing the zip {}: {error}", output.display())))?;
                write(&output, &zip)?;
                let size = zip.len() as u64;
                let sizes = Sizes { contents: &contents, zipped: Some(size) };
                let (sum, advice) = (archive::sha256(&zip), advice(&interpreter, architecture, &output, size));
                display::print(format_args!("{sizes}\nsha256 {sum}\n{}\n\n{advice}\n", output.display()))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A folder that links may lead to, by its real path.
fn allowed(folder: &Path) -> Result<PathBuf, Failure> {
    fs::canonicalize(folder)
        .map_err(|error| Failure::new(format!("finding {}, which --allow-links names: {error}", folder.display())))
}

/// What is written.
enum Target {
    Zip(PathBuf),
    Folder(Unpacked),
}

impl Target {
    /// A zip that is not there yet, or the place of an older one.
    fn zip(output: PathBuf) -> Result<Target, Failure> {
        let refused = |why: &str| Failure::new(format!("{} {why}: name another file with --output", output.display()));
        match fs::metadata(&output) {
            Ok(metadata) if metadata.is_dir() => return Err(refused("is a folder")),
            Ok(metadata) if metadata.is_file() && metadata.len() > 0 => {
                let mut start = [0; 4];
                let mut file =
                    fs::File::open(&output).map_err(|error| refused(&format!("cannot be read ({error})")))?;
                if file.read_exact(&mut start).is_err() || !ZIP.contains(&&start) {
                    return Err(refused("exists and is no zip"));
                }
            }
            _ => {}
        }
        Ok(Target::Zip(output))
    }

    fn real_path(&self) -> Option<PathBuf> {
        match self {
            Target::Zip(output) => fs::canonicalize(output).ok(),
            Target::Folder(unpacked) => Some(unpacked.folder().to_path_buf()),
        }
    }

    /// How large the package may be when it is unpacked. A folder may go into a container image.
    fn limit(&self) -> u64 {
        match self {
            Target::Zip(_) => MOST_UNPACKED,
            Target::Folder(_) => MOST_IN_IMAGE,
        }
    }
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let folder = atomic_write::folder_of(file);
    fs::create_dir_all(folder).map_err(|error| Failure::new(format!("creating {}: {error}", folder.display())))?;
    atomic_write::replace(file, bytes).map_err(|error| Failure::new(format!("writing {}: {error}", file.display())))
}

fn advice(interpreter: &Interpreter, architecture: Architecture, zip: &Path, size: u64) -> String {
    let update = format!("aws lambda update-function-code --function-name NAME --architectures {architecture}");
    let file = zip.display();
    let name = zip.file_name().unwrap_or_default().to_string_lossy();
    let upload = if size > MOST_ZIPPED {
        format!("aws s3 cp {file} s3://BUCKET/{name}\n{update} --s3-bucket BUCKET --s3-key {name}")
    } else {
        format!("{update} --zip-file fileb://{file}")
    };
    format!("for functions of {architecture} with a layer of CPython {}:\n{upload}", interpreter.minor_version())
}

/// What a file is to be in a package: something to run where its mode says so.
fn entry(metadata: &fs::Metadata, bytes: Vec<u8>) -> Entry {
    use std::os::unix::fs::PermissionsExt;
    if metadata.permissions().mode() & 0o111 == 0 { Entry::File(bytes) } else { Entry::Program(bytes) }
}
