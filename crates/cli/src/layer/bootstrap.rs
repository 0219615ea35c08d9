//! Builds the bootstrap of a layer with cargo.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{architecture::Architecture, c_library::CLibrary, contents::ROOT, crates, elf::Elf, image, prefix::Prefix};
use crate::{
    display,
    failure::Failure,
    progress,
    python::{
        Interpreter,
        library::{Choice, Kind},
        pyo3_config,
    },
};

/// Tells the bootstrap's build which loader the bootstrap has, and which libraries it needs whether it uses them or not: `build.rs` of the
/// bootstrap reads both.
const LOADER: &str = "WHIPSNAKE_LAYER_LOADER";
const FAMILY: &str = "WHIPSNAKE_LAYER_C_LIBRARY";

/// The folder with the runtime's sources: the one that was named, or the first above the working directory.
pub fn find_source(named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let is_source = |folder: &Path| folder.join("crates/bootstrap/Cargo.toml").is_file();
    let here = env::current_dir().unwrap_or_default();
    let found = match named {
        Some(named) => Some(named).filter(|folder| is_source(folder)),
        None => here.ancestors().find(|folder| is_source(folder)).map(Path::to_path_buf),
    };
    let found = found.and_then(|folder| fs::canonicalize(folder).ok());
    found.ok_or_else(|| {
        Failure::new(
            "whipsnake's sources are not here: the bootstrap is built from them, name their folder with --source",
        )
    })
}

/// The library of CPython's to link. For another processor it is the shared one: zig, which links that, gives an archive's code an
/// environment of its own, because its C library has no aliases.
pub fn choose<'a>(
    interpreter: &'a Interpreter,
    wanted: Option<Kind>,
    architecture: Architecture,
    c_library: &CLibrary,
) -> Result<Choice<'a>, Failure> {
    if Architecture::of_this_machine().is_ok_and(|here| here != architecture) {
        if wanted == Some(Kind::Static) {
            return Err(Failure::new(format!(
                "a static libpython is linked where its processor is: leave --libpython out for {architecture}"
            )));
        }
        return Choice::make(interpreter, Some(Kind::Shared), |_| Ok(()));
    }
    Choice::make(interpreter, wanted, |program| {
        let file = fs::read(program).map_err(|error| error.to_string())?;
        let elf = Elf::read(&file, architecture)?.unwrap_or_default();
        match c_library.lacks(&elf) {
            Some(needed) => Err(format!("here it would need {needed}, which the C library of the layer does not have")),
            None => Ok(()),
        }
    })
}

/// Builds it for one interpreter, and returns where it lies.
pub fn build(
    source: &Path,
    choice: &Choice<'_>,
    prefix: &Prefix,
    architecture: Architecture,
    c_library: &CLibrary,
) -> Result<PathBuf, Failure> {
    let targets = env::var_os("CARGO_TARGET_DIR").map_or_else(|| source.join("target"), PathBuf::from);
    // Apart from the builds for this machine and for other Pythons: each would undo the other.
    let kind = if c_library.own().is_some() { "-own-libc" } else { "" };
    let target = source.join(targets).join(format!("layer/{}-{architecture}{kind}", prefix.tag()));
    let configuration = target.join("python.cfg");
    pyo3_config::write(&configuration, choice).map_err(|error| {
        Failure::new(format!("writing pyo3's configuration to {}: {error}", configuration.display()))
    })?;
    display::say(&format!("building the bootstrap in {}", target.display()));
    let (verb, built) = if Architecture::of_this_machine().is_ok_and(|here| here == architecture) {
        (vec!["build".to_owned()], "release/bootstrap".to_owned())
    } else {
        // Zig brings the C library of the other processor, at the age that Lambda has.
        let triple = architecture.target();
        let verb = vec!["zigbuild".to_owned(), "--target".into(), format!("{triple}.{}", image::GLIBC)];
        (verb, format!("{triple}/release/bootstrap"))
    };
    let mut cargo = Command::new("cargo");
    cargo
        .args(&verb)
        .args(["--quiet", "--locked", "--release", "--package", crates::BOOTSTRAP])
        .current_dir(source)
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(source, &target))
        .env("PYO3_CONFIG_FILE", &configuration)
        .env("WHIPSNAKE_LAYER", ROOT)
        .env_remove(LOADER)
        .env_remove(FAMILY);
    if let Some(family) = c_library.own() {
        let loader = family.loader_in_layer();
        // The linker notes each one's name.
        let libraries = env::join_paths(family.needed_by_programs().map(|(_, path)| path))
            .map_err(|error| Failure::new(format!("linking the bootstrap with {family}: {error}")))?;
        cargo.env(LOADER, loader).env(FAMILY, libraries);
    }
    let status = progress::run("building the bootstrap", &mut cargo, b"")
        .map_err(|error| Failure::new(format!("running cargo, see https://rustup.rs: {error}")))?;
    if !status.success() {
        let cross = if verb.len() > 1 {
            format!(
                "; for {architecture} it takes `rustup target add {}`, cargo-zigbuild and ziglang",
                architecture.target()
            )
        } else {
            String::new()
        };
        return Err(Failure::new(format!("the bootstrap could not be built, see above{cross}")));
    }
    let bootstrap = target.join(built);
    check(&bootstrap, architecture, c_library)?;
    Ok(bootstrap)
}

/// Checks what the linker did: a bootstrap that loads a part of Lambda's C library and a part of its own fails there.
fn check(bootstrap: &Path, architecture: Architecture, c_library: &CLibrary) -> Result<(), Failure> {
    let Some(family) = c_library.own() else { return Ok(()) };
    let wrong =
        |what: String| Failure::new(format!("the bootstrap {} was linked wrongly: {what}", bootstrap.display()));
    let file = fs::read(bootstrap).map_err(|error| wrong(error.to_string()))?;
    let elf = Elf::read(&file, architecture).map_err(wrong)?.unwrap_or_default();
    let (loader, told) = (elf.interpreter.unwrap_or_default(), family.loader_in_layer());
    if loader != told {
        return Err(wrong(format!("its loader is {loader} instead of {told}")));
    }
    match family.needed_by_programs().find(|(name, _)| !elf.needed.iter().any(|needed| needed == name)) {
        None => Ok(()),
        Some((name, _)) => Err(wrong(format!("it does not need {name}"))),
    }
}

/// The user's flags, and that panics are to name source files without the folders of this machine.
fn flags(source: &Path, target: &Path) -> String {
    let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let cargo = env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    let given = env::var("RUSTFLAGS").unwrap_or_default();
    let mut flags: Vec<String> = given.split_whitespace().map(str::to_owned).collect();
    flags.push(format!("--remap-path-prefix={}=/cargo", cargo.display()));
    // The last one that fits is used: what is built in the sources' folder lies in the folder of its own.
    flags.push(format!("--remap-path-prefix={}=/whipsnake", source.display()));
    flags.push(format!("--remap-path-prefix={}=/target", target.display()));
    flags.join("\x1f")
}
