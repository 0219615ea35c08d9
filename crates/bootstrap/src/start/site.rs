//! Does what Python's `site` does when CPython starts, without importing it if there is nothing for it to find.
//!
//! `site` imports `os`, which takes a quarter of a start. In most processes its only effects are a folder or two at the end of `sys.path`,
//! and built-ins such as `exit` and `help`. The built-ins come from a stand-in, which the build script makes of the functions in `site`. If
//! there is more to do (`.pth` files, `sitecustomize`, folders that the environment names), CPython imports `site` as usual. A function
//! that imports `site` always gets the real module.

use crate::build_info::BUILD;
use crate::imported_modules::imported;
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

/// Whether the stand-in is enough.
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

/// The folder that Python uses for `~`. Lambda sets no `HOME`, and the C library would look for modules, sockets and settings before it
/// opens /etc/passwd, so that file is read here. A user who is not in the file has no home, and Python keeps the `~`.
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

/// Looks for the file names that such a module can have, because listing the standard library takes three times as long. A search path that
/// is a file, such as the standard library's zip, may contain anything.
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

/// `site` looks for `.pth` files in such a folder too.
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

/// Whether a folder has `.pth` files. `site.addsitedir` would find out too, but looks at all of `sys.path`.
pub fn has_path_files(folder: &str) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| has_path_file_suffix(Path::new(&entry.file_name()))))
    })
}

fn has_path_file_suffix(name: &Path) -> bool {
    name.extension().is_some_and(|suffix| suffix == "pth")
}

/// Whether `site` imports this module when it starts.
pub fn is_customisation(module: &str) -> bool {
    CUSTOMISATIONS.contains(&module)
}

/// Whether the function is importing `site` now.
pub fn is_starting(py: Python<'_>) -> PyResult<bool> {
    let Some(site) = imported(py, intern!(py, "site"))? else { return Ok(false) };
    site.getattr(intern!(py, "__spec__"))?.getattr("_initializing")?.is_truthy()
}

/// The error for `site` if it is imported when the function's folders are on `sys.path` already. Had CPython imported it, `site` would not
/// have seen a `sitecustomize` there.
pub fn no_customisation(py: Python<'_>, module: &str) -> PyResult<PyErr> {
    let arguments = [("name", module)].into_py_dict(py)?;
    let error =
        py.get_type::<PyModuleNotFoundError>().call((format!("No module named '{module}'"),), Some(&arguments))?;
    Ok(PyErr::from_value(error))
}

/// Completes a start with the stand-in, and removes the stand-in: an import of `site` finds the real module.
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
