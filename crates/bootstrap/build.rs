//! Builds the bootstrap for one CPython: links its library, notes the folder of its standard library, and compiles the Python side
//! (python/src) to bytecode of that version.

#![allow(
    deprecated,
    reason = "what replaces the fields of pyo3's configuration came after 0.28, the last that embeds 3.13t"
)]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Set to build the bootstrap for a layer: the folder that Lambda unpacks the layer into, `/opt`. Its Python is in the folder `whipsnake`
/// there, and `bin/python3.X` is the bootstrap under another name. `whipsnake layer` packs it like that. Without the variable the bootstrap
/// uses the Python where the build has found it.
const LAYER: &str = "WHIPSNAKE_LAYER";

/// Set if that layer has its own C library: the path of the loader in the layer, and the libraries that the bootstrap names as needed, as paths on
/// this machine.
const LOADER: &str = "WHIPSNAKE_LAYER_LOADER";
const C_LIBRARY: &str = "WHIPSNAKE_LAYER_C_LIBRARY";

/// Set to build the bootstrap for a wheel. Its Python may be anywhere: `WHIPSNAKE_PYTHON` names it, and the loader finds its library by
/// `LD_LIBRARY_PATH`.
const WHEEL: &str = "WHIPSNAKE_WHEEL";

/// Modules of python/src that no function imports. They are for developers, and only the wheel has them.
const DEVELOPER_MODULES: &[&str] =
    &["whipsnake.__main__", "whipsnake._command", "whipsnake._context", "whipsnake._events", "whipsnake.testing"];

/// The modules that CPython imports from files at every start. The others that it needs are frozen already.
const STANDARD_LIBRARY: &[(&str, bool)] =
    &[("encodings", true), ("encodings.aliases", false), ("encodings.utf_8", false)];

/// A linker script with the order of the code that runs until the first response.
const ORDER: &str = "start.ld";

/// Compiles modules to marshalled code, and prints facts about the interpreter.
const FREEZE: &str = include_str!("freeze.py");

/// The name of the frozen stand-in for `site`, if there can be one: see crates/bootstrap/src/start/site.rs.
const SITE: &str = "site";

fn main() {
    let python = pyo3_build_config::get();
    let version = python.version;
    assert!(
        version >= pyo3_build_config::PythonVersion { major: 3, minor: 12 },
        "whipsnake needs CPython 3.12 or newer, and this is {version}: run `make build PYTHON=/path/to/python3.14`"
    );
    pyo3_build_config::use_pyo3_cfgs();
    let location = Location::asked_for();
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut modules = python_modules(Path::new("../../python/src"));
    modules.extend(STANDARD_LIBRARY.iter().map(|&(name, is_package)| Module {
        name: name.into(),
        path: PathBuf::new(),
        is_package,
    }));
    let executable =
        python.executable.as_deref().expect("the pyo3 configuration names no interpreter: run `make build`");
    let compiled = Command::new(executable)
        .args(["-I", "-S", "-c", FREEZE])
        .arg(&out)
        .args(modules.iter().map(|module| format!("{}={}", module.name, module.path.display())))
        .output()
        .unwrap_or_else(|error| panic!("could not run {executable}: {error}"));
    assert!(
        compiled.status.success(),
        "{executable} could not compile python/src:\n{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    let facts: Value = serde_json::from_slice(&compiled.stdout).expect("FREEZE prints JSON");

    if facts["stand_in_for_site"] == true {
        // It comes first, so that it can be left out.
        modules.insert(0, Module { name: SITE.into(), path: PathBuf::new(), is_package: false });
    }
    link(library_folder(python, &facts, &location).as_deref(), python.shared);
    fs::write(out.join("frozen.rs"), frozen_table(&modules, &out)).expect("OUT_DIR can be written");
    fs::write(out.join("build.rs"), constants(&facts, &location)).expect("OUT_DIR can be written");
}

/// Where the Python will be when the bootstrap runs.
enum Location {
    Here,
    /// In the layer that Lambda unpacks there.
    Layer(String),
    Anywhere,
}

impl Location {
    fn asked_for() -> Self {
        match (asked_for(LAYER), asked_for(WHEEL)) {
            (Some(layer), _) => Self::Layer(layer),
            (None, Some(_)) => Self::Anywhere,
            (None, None) => Self::Here,
        }
    }
}

/// The folder of CPython's library when the bootstrap runs. If the library is part of the bootstrap, the folder of the libraries it needs.
fn library_folder(python: &pyo3_build_config::InterpreterConfig, facts: &Value, location: &Location) -> Option<String> {
    match (location, python.lib_dir.as_deref()) {
        (Location::Layer(layer), _) => Some(format!("{}/lib", home(layer))),
        (Location::Here, Some(folder)) if python.shared => Some(folder.to_owned()),
        (Location::Here, _) => Some(format!("{}/lib", facts["prefix"].as_str().unwrap_or_default())),
        (Location::Anywhere, _) => None,
    }
}

/// Uses DT_RPATH and not DT_RUNPATH: Lambda sets LD_LIBRARY_PATH, and another libpython there must not have precedence.
fn link(library_folder: Option<&str>, is_shared: bool) {
    if let Some(folder) = library_folder {
        println!("cargo:rustc-link-arg-bins=-Wl,--disable-new-dtags,-rpath,{folder}");
    }
    if !is_shared {
        // Extension modules look for CPython's symbols in the executable.
        println!("cargo:rustc-link-arg-bins=-rdynamic");
        // At a fixed address no 23,000 addresses have to be relocated at each start, and the code is shorter. Tests are linked with the
        // same code.
        println!("cargo:rustc-link-arg=-no-pie");
        println!("cargo:rustc-link-arg=-Wl,--wrap=fmod,--wrap=hypot");
        println!("cargo:rustc-cfg=libpython_static");
    }
    link_own_c_library();
    order_code();
    println!("cargo:rustc-check-cfg=cfg(libpython_static)");
}

/// Names the layer's loader, and its whole C library as needed. Libraries that are loaded at the start are used for everything that asks for them by
/// name, so none comes from the system, wherever `LD_LIBRARY_PATH` leads.
fn link_own_c_library() {
    let (Some(loader), Some(libraries)) = (asked_for(LOADER), asked_for(C_LIBRARY)) else { return };
    // Libraries may need a newer C library than the linker's own, such as zig's.
    println!("cargo:rustc-link-arg-bins=-Wl,--dynamic-linker={loader},--allow-shlib-undefined,--no-as-needed");
    for library in env::split_paths(&libraries) {
        println!("cargo:rustc-link-arg-bins={}", library.display());
    }
    println!("cargo:rustc-link-arg-bins=-Wl,--as-needed");
}

fn asked_for(name: &str) -> Option<String> {
    println!("cargo:rerun-if-env-changed={name}");
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Places the code that a start runs together. The kernel maps a file in pieces of 64 KB, and otherwise nearly every piece has some of that
/// code. `make order` renews the script. Names in it that are not in the bootstrap do no harm.
fn order_code() {
    let script = fs::canonicalize(ORDER).expect("start.ld is in the folder of build.rs");
    println!("cargo:rerun-if-changed={}", script.display());
    let option = format!("-Wl,-T,{}", script.display());
    if linker_takes(&option) {
        println!("cargo:rustc-link-arg-bins={option}");
    }
}

/// Whether the linker accepts an option. LLVM's linker, which Rust uses on x86_64, and GNU's take scripts; others may not.
fn linker_takes(option: &str) -> bool {
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let out = Path::new(&variable("OUT_DIR")).join("linked");
    let source = out.with_extension("rs");
    fs::write(&source, "fn main() {}").expect("OUT_DIR can be written");
    let mut rustc = Command::new(variable("RUSTC"));
    rustc.args(["--target", &variable("TARGET"), "-C", &format!("link-arg={option}"), "-o"]).arg(out).arg(source);
    rustc.args(variable("CARGO_ENCODED_RUSTFLAGS").split('\x1f').filter(|flag| !flag.is_empty()));
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.args(["-C", &format!("linker={linker}")]);
    }
    rustc.output().is_ok_and(|linked| linked.status.success())
}

struct Module {
    name: String,
    path: PathBuf,
    is_package: bool,
}

/// All modules below `root`, packages before their modules.
fn python_modules(root: &Path) -> Vec<Module> {
    println!("cargo:rerun-if-changed={}", root.display());
    let mut modules = Vec::new();
    collect(root, "", &mut modules);
    modules.sort_by(|a, b| a.name.cmp(&b.name));
    modules
}

fn collect(folder: &Path, prefix: &str, modules: &mut Vec<Module>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a readable folder").path();
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let name = format!("{prefix}{stem}");
        if DEVELOPER_MODULES.contains(&name.as_str()) {
            continue;
        }
        println!("cargo:rerun-if-changed={}", path.display());
        if path.join("__init__.py").is_file() {
            collect(&path, &format!("{name}."), modules);
            modules.push(Module { name, path: path.join("__init__.py"), is_package: true });
        } else if path.extension().is_some_and(|extension| extension == "py") && stem != "__init__" {
            modules.push(Module { name, path, is_package: false });
        }
    }
}

fn frozen_table(modules: &[Module], out: &Path) -> String {
    let mut table = String::from("&[\n");
    for Module { name, is_package, .. } in modules {
        let code = out.join(format!("{name}.code")).display().to_string();
        table +=
            &format!("    Module {{ name: c{name:?}, code: include_bytes!({code:?}), is_package: {is_package} }},\n");
    }
    table + "]\n"
}

/// The folder of a layer's Python.
fn home(layer: &str) -> String {
    format!("{layer}/whipsnake")
}

fn constants(facts: &Value, location: &Location) -> String {
    let text = |key: &str| facts[key].as_str().unwrap_or_else(|| panic!("FREEZE did not print {key}")).to_owned();
    let texts = |key: &str| -> Vec<String> {
        serde_json::from_value(facts[key].clone()).unwrap_or_else(|_| panic!("FREEZE did not print {key}"))
    };
    let (major, minor) = (&facts["version"][0], &facts["version"][1]);
    let prefixes = [text("exec_prefix"), text("prefix")];
    let relocated = |path: String| match location {
        Location::Here => path,
        Location::Layer(layer) => {
            let rest = prefixes.iter().find_map(|prefix| path.strip_prefix(prefix.as_str()));
            home(layer) + rest.unwrap_or_else(|| panic!("{path} is not in {}: it cannot be packed", prefixes[1]))
        }
        Location::Anywhere => String::new(),
    };
    let standard_library = relocated(text("stdlib"));
    let (home, executable, site_packages) = match location {
        Location::Here => (None, text("executable"), text("site_packages")),
        Location::Layer(layer) => {
            (Some(home(layer)), format!("{layer}/bin/{}", text("name")), format!("{standard_library}/site-packages"))
        }
        Location::Anywhere => (None, String::new(), String::new()),
    };
    let folders = |key: &str| texts(key).into_iter().map(&relocated).collect::<Vec<_>>();
    format!(
        "Build {{ version: \"{major}.{minor}\", executable: c{executable:?}, home: {}, prefix: c{:?}, exec_prefix: c{:?}, \
         standard_library: c{standard_library:?}, site_packages: {site_packages:?}, search_paths: &{:?}, \
         site_folders: &{:?}, user_site: {:?}, stands_in_for_site: {}, built_in: &{:?}, \
         module_suffixes: &{:?} }}",
        home.as_ref().map_or("None".into(), |home| format!("Some(c{home:?})")),
        relocated(text("prefix")),
        relocated(text("exec_prefix")),
        folders("search_paths"),
        folders("site_folders"),
        text("user_site"),
        facts["stand_in_for_site"],
        texts("built_in"),
        texts("module_suffixes"),
    )
}
