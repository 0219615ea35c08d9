//! Ties the bootstrap to one CPython: links its library, notes where its standard library lies, and freezes the Python side
//! (python/src) into bytecode of that version.

#![allow(
    deprecated,
    reason = "what replaces the fields of pyo3's configuration came after 0.28, the last that embeds 3.13t"
)]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Set where the bootstrap is to be part of a layer: the folder that Lambda unpacks it into, `/opt`. Its Python then lies in
/// `whipsnake` in there, and `bin/python3.X` beside that is the bootstrap under another name. `whipsnake layer` packs it so.
/// Without it the bootstrap uses the Python where that was found.
const LAYER: &str = "WHIPSNAKE_LAYER";

/// Set where the bootstrap is to be part of a wheel: where that is installed, the Python lies anywhere, and is named by
/// `WHIPSNAKE_PYTHON` and found by the loader in `LD_LIBRARY_PATH`.
const WHEEL: &str = "WHIPSNAKE_WHEEL";

/// Modules of python/src that no function imports: they are for the machine of a developer, and go into the wheel alone.
const NOT_OF_FUNCTIONS: &[&str] =
    &["whipsnake.__main__", "whipsnake._command", "whipsnake._context", "whipsnake._events", "whipsnake.testing"];

/// What CPython imports from files before it can run anything, in every process. The rest of what it needs is frozen already.
const STANDARD_LIBRARY: &[(&str, bool)] =
    &[("encodings", true), ("encodings.aliases", false), ("encodings.utf_8", false)];

/// A linker script: where the code goes that runs until an event is answered.
const ORDER: &str = "start.ld";

/// Compiles modules to marshalled code, and tells about the interpreter.
const FREEZE: &str = include_str!("freeze.py");

/// The name of the frozen stand-in for `site`, if that can be had; crates/bootstrap/src/start/site.rs says what it is for.
const SITE: &str = "site";

fn main() {
    let python = pyo3_build_config::get();
    let version = python.version;
    assert!(
        version >= pyo3_build_config::PythonVersion { major: 3, minor: 12 },
        "whipsnake needs CPython 3.12 or newer, and this is {version}: run `make build PYTHON=/path/to/python3.14`"
    );
    pyo3_build_config::use_pyo3_cfgs();
    let place = Place::asked_for();
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut modules = python_modules(Path::new("../../python/src"));
    modules.extend(STANDARD_LIBRARY.iter().map(|&(name, is_package)| Module {
        name: name.into(),
        path: PathBuf::new(),
        is_package,
    }));
    let executable =
        python.executable.as_deref().expect("the pyo3 configuration names no interpreter: run `make build`");
    let told = Command::new(executable)
        .args(["-I", "-S", "-c", FREEZE])
        .arg(&out)
        .args(modules.iter().map(|module| format!("{}={}", module.name, module.path.display())))
        .output()
        .unwrap_or_else(|error| panic!("could not run {executable}: {error}"));
    assert!(
        told.status.success(),
        "{executable} could not compile python/src:\n{}",
        String::from_utf8_lossy(&told.stderr)
    );
    let facts: Value = serde_json::from_slice(&told.stdout).expect("FREEZE prints JSON");

    if facts["stand_in_for_site"] == true {
        // The first, so that it can be left out.
        modules.insert(0, Module { name: SITE.into(), path: PathBuf::new(), is_package: false });
    }
    link(library_folder(python, &facts, &place).as_deref(), python.shared);
    fs::write(out.join("frozen.rs"), frozen_table(&modules, &out)).expect("OUT_DIR can be written");
    fs::write(out.join("build.rs"), constants(&facts, &place)).expect("OUT_DIR can be written");
}

/// Where the Python will be when the bootstrap runs.
enum Place {
    Here,
    /// In the layer that Lambda unpacks there.
    Layer(String),
    Anywhere,
}

impl Place {
    fn asked_for() -> Self {
        let asked = |name: &str| {
            println!("cargo:rerun-if-env-changed={name}");
            env::var(name).ok().filter(|value| !value.is_empty())
        };
        match (asked(LAYER), asked(WHEEL)) {
            (Some(layer), _) => Self::Layer(layer),
            (None, Some(_)) => Self::Anywhere,
            (None, None) => Self::Here,
        }
    }
}

/// Where CPython's library lies when the bootstrap runs, or, with that inside the bootstrap, the libraries it needs.
fn library_folder(python: &pyo3_build_config::InterpreterConfig, facts: &Value, place: &Place) -> Option<String> {
    match (place, python.lib_dir.as_deref()) {
        (Place::Layer(layer), _) => Some(format!("{}/lib", home(layer))),
        (Place::Here, Some(folder)) if python.shared => Some(folder.to_owned()),
        (Place::Here, _) => Some(format!("{}/lib", facts["prefix"].as_str().unwrap_or_default())),
        (Place::Anywhere, _) => None,
    }
}

/// DT_RPATH, not DT_RUNPATH: Lambda sets LD_LIBRARY_PATH, and another libpython in there must not win.
fn link(library_folder: Option<&str>, is_shared: bool) {
    if let Some(folder) = library_folder {
        println!("cargo:rustc-link-arg-bins=-Wl,--disable-new-dtags,-rpath,{folder}");
    }
    if !is_shared {
        // Extension modules look for CPython's symbols in the executable.
        println!("cargo:rustc-link-arg-bins=-rdynamic");
        // At a fixed place there are no 23,000 addresses to correct at each start, and code that is made for that is shorter. Tests
        // are linked with the same code.
        println!("cargo:rustc-link-arg=-no-pie");
        println!("cargo:rustc-link-arg=-Wl,--wrap=fmod,--wrap=hypot");
        println!("cargo:rustc-cfg=libpython_static");
    }
    order_code();
    println!("cargo:rustc-check-cfg=cfg(libpython_static)");
}

/// Puts the code that a start runs beside each other: the kernel maps a file in pieces of 64 KB, of which nearly every one has such
/// code in it otherwise. `make order` writes the script anew; what is in it and not in the bootstrap does no harm.
fn order_code() {
    let script = fs::canonicalize(ORDER).expect("the file is beside this one");
    println!("cargo:rerun-if-changed={}", script.display());
    let option = format!("-Wl,-T,{}", script.display());
    if linker_takes(&option) {
        println!("cargo:rustc-link-arg-bins={option}");
    }
}

/// LLVM's linker, which Rust brings for x86_64, and the GNU one do; others may not.
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

/// Every module below `root`, packages before what is in them.
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
        if NOT_OF_FUNCTIONS.contains(&name.as_str()) {
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

/// Where a layer has its Python.
fn home(layer: &str) -> String {
    format!("{layer}/whipsnake")
}

fn constants(facts: &Value, place: &Place) -> String {
    let text = |key: &str| facts[key].as_str().unwrap_or_else(|| panic!("FREEZE did not tell {key}")).to_owned();
    let texts = |key: &str| -> Vec<String> {
        serde_json::from_value(facts[key].clone()).unwrap_or_else(|_| panic!("FREEZE did not tell {key}"))
    };
    let (major, minor) = (&facts["version"][0], &facts["version"][1]);
    let prefixes = [text("exec_prefix"), text("prefix")];
    let placed = |path: String| match place {
        Place::Here => path,
        Place::Layer(layer) => {
            let rest = prefixes.iter().find_map(|prefix| path.strip_prefix(prefix.as_str()));
            home(layer) + rest.unwrap_or_else(|| panic!("{path} is not in {}: it cannot be packed", prefixes[1]))
        }
        Place::Anywhere => String::new(),
    };
    let standard_library = placed(text("stdlib"));
    let (home, executable, site_packages) = match place {
        Place::Here => (None, text("executable"), text("site_packages")),
        Place::Layer(layer) => {
            (Some(home(layer)), format!("{layer}/bin/{}", text("name")), format!("{standard_library}/site-packages"))
        }
        Place::Anywhere => (None, String::new(), String::new()),
    };
    let folders = |key: &str| texts(key).into_iter().map(&placed).collect::<Vec<_>>();
    format!(
        "Build {{ version: \"{major}.{minor}\", executable: c{executable:?}, home: {}, prefix: c{:?}, exec_prefix: c{:?}, \
         standard_library: c{standard_library:?}, site_packages: {site_packages:?}, search_paths: &{:?}, \
         site_folders: &{:?}, user_site: {:?}, stands_in_for_site: {}, built_in: &{:?}, \
         module_suffixes: &{:?} }}",
        home.as_ref().map_or("None".into(), |home| format!("Some(c{home:?})")),
        placed(text("prefix")),
        placed(text("exec_prefix")),
        folders("search_paths"),
        folders("site_folders"),
        text("user_site"),
        facts["stand_in_for_site"],
        texts("built_in"),
        texts("module_suffixes"),
    )
}
