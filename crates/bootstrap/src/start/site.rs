//! What Python's `site` does when CPython starts, without `site` where it has nothing to find.
//!
//! It imports `os`, and that takes a quarter of a start. What it leaves behind in most processes is a folder or two at the end of
//! `sys.path`, and `exit`, `help` and their like among the built-ins: those come from a stand-in, which is made of its own
//! functions by the build script. Where there is more to do (`.pth` files, `sitecustomize`, folders that the environment names)
//! it runs as ever. A function that imports it meets the real one in any case.

use crate::build_info::BUILD;
use crate::modules::imported;
use crate::start::environment::Environment;
use crate::start::frozen_modules;
use crate::start::proofs::BeforeImports;
use pyo3::exceptions::PyModuleNotFoundError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict, PyList};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules that `site` imports if they are there.
const CUSTOMISATIONS: [&str; 2] = ["sitecustomize", "usercustomize"];

/// Whether the stand-in will do.
pub fn is_spared(environment: &Environment) -> bool {
    BUILD.stands_in_for_site
        && environment.python_home.is_none()
        && environment.whipsnake_python.is_none()
        && environment.python_path.is_none()
        && env::var_os("PYTHONUSERBASE").is_none()
        && !home_folder().join(BUILD.user_site).exists()
        && environment.runtime_dir.iter().all(|folder| holds_no_customisation(folder))
        && BUILD.search_paths.iter().all(|folder| holds_no_customisation(folder))
        && BUILD.site_folders.iter().all(|folder| holds_nothing_for_site(folder))
}

/// What Python makes of `~`. Lambda sets no `HOME`, and the C library would look for modules, sockets and settings of its own before
/// it opens the file of users: that file is read here. Who is in no such file has no home, and Python leaves the `~` as it is.
fn home_folder() -> PathBuf {
    if let Some(home) = env::var_os("HOME") {
        return if home.is_empty() { "/".into() } else { home.into() };
    }
    // SAFETY: getuid has no precondition and cannot fail.
    let user = unsafe { libc::getuid() }.to_string();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let home = users.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.get(2) == Some(&&*user)).then(|| fields.get(5).copied()).flatten()
    });
    home.unwrap_or("~").into()
}

/// Asks for the names that such a module can have: to list the standard library takes three times as long. A search path that is no
/// folder can hold anything: the standard library's zip.
fn holds_no_customisation(search_path: &str) -> bool {
    let folder = Path::new(search_path);
    match fs::metadata(folder) {
        Ok(found) if found.is_dir() => !CUSTOMISATIONS.iter().any(|module| {
            let is_file = |suffix| folder.join(format!("{module}.{suffix}")).exists();
            folder.join(module).exists() || BUILD.module_suffixes.iter().any(is_file)
        }),
        Ok(_) => false,
        Err(_) => !folder.exists(),
    }
}

/// `site` looks into such a folder for `.pth` files, too.
fn holds_nothing_for_site(search_path: &str) -> bool {
    match fs::read_dir(search_path) {
        Ok(mut entries) => entries.all(|entry| {
            entry.is_ok_and(|entry| {
                let name = entry.file_name();
                let stem = name.to_string_lossy();
                !has_path_file_suffix(Path::new(&name)) && !CUSTOMISATIONS.iter().any(|module| stem.starts_with(module))
            })
        }),
        Err(_) => !Path::new(search_path).exists(),
    }
}

/// Whether a folder has `.pth` files. `site.addsitedir` would find out too, at the price of looking at all of `sys.path`.
pub fn has_path_files(folder: &str) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| has_path_file_suffix(Path::new(&entry.file_name()))))
    })
}

fn has_path_file_suffix(name: &Path) -> bool {
    name.extension().is_some_and(|suffix| suffix == "pth")
}

/// Whether `site` asks for this module when it starts.
pub fn is_customisation(module: &str) -> bool {
    CUSTOMISATIONS.contains(&module)
}

/// Whether the function is importing `site` just now.
pub fn is_starting(py: Python<'_>) -> PyResult<bool> {
    let Some(site) = imported(py, intern!(py, "site"))? else { return Ok(false) };
    site.getattr(intern!(py, "__spec__"))?.getattr("_initializing")?.is_truthy()
}

/// What `site` is to meet that starts when the function's folders are on `sys.path` already: had it started with CPython, a
/// `sitecustomize` in there would not have been seen.
pub fn no_customisation(py: Python<'_>, module: &str) -> PyResult<PyErr> {
    let arguments = [("name", module)].into_py_dict(py)?;
    let error =
        py.get_type::<PyModuleNotFoundError>().call((format!("No module named '{module}'"),), Some(&arguments))?;
    Ok(PyErr::from_value(error))
}

/// Does the rest after a start with the stand-in, which is forgotten: whoever imports `site` means the real one.
pub fn complete(py: Python<'_>, before: &BeforeImports) -> PyResult<()> {
    let sys = py.import("sys")?;
    sys.getattr("modules")?.cast_into::<PyDict>()?.del_item("site")?;
    let path = sys.getattr("path")?.cast_into::<PyList>()?;
    for folder in BUILD.site_folders.iter().filter(|folder| Path::new(folder).is_dir()) {
        path.append(folder)?;
    }
    if frozen_modules::forget_zipimport(before) {
        sys.getattr("path_hooks")?.get_item(0)?.call_method0("wait")?;
    }
    Ok(())
}
