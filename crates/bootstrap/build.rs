//! Ties the bootstrap to one CPython: links its library, notes where its standard library lies, and freezes the Python side
//! (python/src) into bytecode of that version.

// The methods that replace the configuration's fields came after 0.28, the last that embeds 3.13t.
#![allow(deprecated)]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Set where the bootstrap is to be part of a layer: the folder that Lambda unpacks it into, `/opt`. Its Python then lies in
/// `whipsnake` in there, and `bin/python3.X` beside that is the bootstrap under another name. `whipsnake layer` packs it so.
/// Without it the bootstrap uses the Python where that was found.
const LAYER: &str = "WHIPSNAKE_LAYER";

/// What CPython imports from files before it can run anything, in every process. The rest of what it needs is frozen already.
const STANDARD_LIBRARY: &[(&str, bool)] =
    &[("encodings", true), ("encodings.aliases", false), ("encodings.utf_8", false)];

/// Compiles modules to marshalled code, and tells about the interpreter. Arguments: the output folder, then `module=file`; a
/// module of the standard library has no file here and is found there.
const FREEZE: &str = r#"
import json, marshal, sys, sysconfig
out, *modules = sys.argv[1:]
for name, path in (module.split("=", 1) for module in modules):
    with open(path or sys.modules[name].__file__, encoding="utf-8") as source:
        code = compile(source.read(), f"<frozen {name}>", "exec", dont_inherit=True, optimize=0)
    with open(f"{out}/{name}.code", "wb") as target:
        target.write(marshal.dumps(code))
paths = sysconfig.get_paths()
print(json.dumps({
    "version": list(sys.version_info[:2]),
    "executable": sys.executable,
    "name": "python%d.%d%s" % (*sys.version_info[:2], sys.abiflags),
    "prefix": sys.base_prefix,
    "exec_prefix": sys.base_exec_prefix,
    "search_paths": [path for path in sys.path if path],
    "stdlib": paths["stdlib"],
    "site_packages": paths["purelib"],
    "built_in": sys.builtin_module_names,
}))
"#;

fn main() {
    let python = pyo3_build_config::get();
    let version = python.version;
    assert!(
        version >= pyo3_build_config::PythonVersion { major: 3, minor: 12 },
        "whipsnake needs CPython 3.12 or newer, and this is {version}: run `make build PYTHON=/path/to/python3.14`"
    );
    pyo3_build_config::use_pyo3_cfgs();
    println!("cargo:rerun-if-env-changed={LAYER}");
    let layer = env::var(LAYER).ok().filter(|layer| !layer.is_empty());
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

    link(&library_folder(python, &facts, layer.as_deref()), python.shared);
    fs::write(out.join("frozen.rs"), frozen_table(&modules, &out)).expect("OUT_DIR can be written");
    fs::write(out.join("build.rs"), constants(&facts, layer.as_deref())).expect("OUT_DIR can be written");
}

/// Where CPython's library lies when the bootstrap runs, or, with that inside the bootstrap, the libraries it needs.
fn library_folder(python: &pyo3_build_config::InterpreterConfig, facts: &Value, layer: Option<&str>) -> String {
    match (layer, python.lib_dir.as_deref()) {
        (Some(layer), _) => format!("{}/lib", home(layer)),
        (None, Some(folder)) if python.shared => folder.to_owned(),
        (None, _) => format!("{}/lib", facts["prefix"].as_str().unwrap_or_default()),
    }
}

/// DT_RPATH, not DT_RUNPATH: Lambda sets LD_LIBRARY_PATH, and another libpython in there must not win.
fn link(library_folder: &str, is_shared: bool) {
    println!("cargo:rustc-link-arg-bins=-Wl,--disable-new-dtags,-rpath,{library_folder}");
    if !is_shared {
        // Extension modules look for CPython's symbols in the executable.
        println!("cargo:rustc-link-arg-bins=-rdynamic");
        // At a fixed place there are no 23,000 addresses to correct at each start, and code that is made for that is shorter. Tests
        // are linked with the same code.
        println!("cargo:rustc-link-arg=-no-pie");
        println!("cargo:rustc-link-arg=-Wl,--wrap=fmod,--wrap=hypot");
        println!("cargo:rustc-cfg=libpython_static");
    }
    println!("cargo:rustc-check-cfg=cfg(libpython_static)");
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
        println!("cargo:rerun-if-changed={}", path.display());
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        if path.join("__init__.py").is_file() {
            let name = format!("{prefix}{stem}");
            collect(&path, &format!("{name}."), modules);
            modules.push(Module { name, path: path.join("__init__.py"), is_package: true });
        } else if path.extension().is_some_and(|extension| extension == "py") && stem != "__init__" {
            modules.push(Module { name: format!("{prefix}{stem}"), path, is_package: false });
        }
    }
}

fn frozen_table(modules: &[Module], out: &Path) -> String {
    let mut table = String::from("&[\n");
    for Module { name, is_package, .. } in modules {
        let code = out.join(format!("{name}.code"));
        table +=
            &format!("    Module {{ name: c{name:?}, code: include_bytes!({code:?}), is_package: {is_package} }},\n");
    }
    table + "]\n"
}

/// Where a layer has its Python.
fn home(layer: &str) -> String {
    format!("{layer}/whipsnake")
}

fn constants(facts: &Value, layer: Option<&str>) -> String {
    let text = |key: &str| facts[key].as_str().unwrap_or_else(|| panic!("FREEZE did not tell {key}")).to_owned();
    let texts = |key: &str| -> Vec<String> {
        serde_json::from_value(facts[key].clone()).unwrap_or_else(|_| panic!("FREEZE did not tell {key}"))
    };
    let (major, minor) = (&facts["version"][0], &facts["version"][1]);
    let prefixes = [text("exec_prefix"), text("prefix")];
    let home = layer.map(home);
    let placed = |path: String| match &home {
        Some(home) => {
            let rest = prefixes.iter().find_map(|prefix| path.strip_prefix(prefix.as_str()));
            home.clone() + rest.unwrap_or_else(|| panic!("{path} is not in {}: it cannot be packed", prefixes[1]))
        }
        None => path,
    };
    let standard_library = placed(text("stdlib"));
    let (executable, site_packages) = match layer {
        Some(layer) => (format!("{layer}/bin/{}", text("name")), format!("{standard_library}/site-packages")),
        None => (text("executable"), text("site_packages")),
    };
    format!(
        "Build {{ version: \"{major}.{minor}\", executable: c{executable:?}, home: {}, prefix: c{:?}, exec_prefix: c{:?}, \
         standard_library: c{standard_library:?}, site_packages: {site_packages:?}, search_paths: &{:?}, built_in: &{:?} }}",
        home.as_ref().map_or("None".into(), |home| format!("Some(c{home:?})")),
        placed(text("prefix")),
        placed(text("exec_prefix")),
        texts("search_paths").into_iter().map(placed).collect::<Vec<_>>(),
        texts("built_in"),
    )
}
