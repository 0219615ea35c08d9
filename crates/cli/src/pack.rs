//! `whipsnake pack`: a function and what it requires, packed for Lambda.

mod extension_modules;
mod folder;
mod handler;
mod modules;
mod requirements;
mod unpacked;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    deployment::{
        architecture::Architecture,
        archive,
        bytecode::Bytecode,
        contents::{Contents, Entry, Part, TASK_ROOT},
        sizes::Sizes,
    },
    failure::Failure,
    python::{self, Interpreter},
};

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
}

impl Pack {
    /// Packs the function, and tells about it.
    pub fn run(self) -> Result<ExitCode, Failure> {
        let architecture = self.arch.map_or_else(Architecture::of_this_machine, Ok)?;
        let folder = folder::find(&self.folder)?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let output = self.output.unwrap_or_else(|| Path::new("dist").join(format!("{name}.zip")));
        let requirements = self.requirements.or_else(|| {
            let usual = folder.join("requirements.txt");
            usual.is_file().then_some(usual)
        });
        let interpreter = python::find(self.python)?;
        eprintln!("{interpreter}");

        let mut contents = Contents::default();
        if let Some(file) = requirements {
            for (path, entry) in requirements::install(&file, &interpreter, architecture)? {
                contents.add(path, Part::Requirements, entry);
            }
        }
        // What the function has itself wins. Not what this command wrote the last time.
        let left_out = [Some(&output), self.unpacked.as_ref()];
        for (path, entry) in
            folder::read(&folder, &left_out.map(|path| path.and_then(|path| fs::canonicalize(path).ok())))?
        {
            contents.add(path, Part::Function, entry);
        }
        if let Some(handler) = &self.handler {
            handler::check(handler, &contents, &folder)?;
        }
        extension_modules::check(&contents, architecture)?;
        let modified = modules::add(&mut contents, &interpreter, self.bytecode, &self.task_root)?;
        match self.unpacked {
            Some(target) => {
                unpacked::write(&contents, &target, modified)?;
                print!("{}", Sizes { contents: &contents, zipped: None });
                println!("\n{}", target.display());
            }
            None => {
                let zip = archive::write(&contents, modified)
                    .map_err(|error| Failure::new(format!("writing the zip {}: {error}", output.display())))?;
                write(&output, &zip)?;
                print!("{}", Sizes { contents: &contents, zipped: Some(zip.len() as u64) });
                println!("\nsha256 {}\n{}", archive::sha256(&zip), output.display());
                println!("\n{}", advice(&interpreter, architecture, &output));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let folder = file.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder).map_err(|error| Failure::new(format!("creating {}: {error}", folder.display())))?;
    fs::write(file, bytes).map_err(|error| Failure::new(format!("writing {}: {error}", file.display())))
}

fn advice(interpreter: &Interpreter, architecture: Architecture, zip: &Path) -> String {
    format!(
        "for functions of {architecture} with a layer of CPython {}:\n\
         aws lambda update-function-code --function-name NAME --architectures {architecture} --zip-file fileb://{}",
        interpreter.minor_version(),
        zip.display()
    )
}

/// What a file is to be in a package: something to run where its mode says so.
fn entry(metadata: &fs::Metadata, bytes: Vec<u8>) -> Entry {
    use std::os::unix::fs::PermissionsExt;
    if metadata.permissions().mode() & 0o111 == 0 { Entry::File(bytes) } else { Entry::Program(bytes) }
}
