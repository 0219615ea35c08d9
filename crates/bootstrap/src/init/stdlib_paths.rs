//! The folders of the standard library and of packages.

use crate::build_info::BUILD;
use crate::start::environment::Environment;
use pyo3::prelude::*;

/// The folders of the standard library and of packages. They do not change while the process lives.
pub struct StdlibPaths {
    /// The standard library's zip, folder and extension modules.
    pub search_paths: &'static [&'static str],
    /// Where packages are installed.
    pub site_packages: &'static [&'static str],
    /// Built-in modules.
    pub built_in: &'static [&'static str],
}

impl StdlibPaths {
    /// The folders that the build has noted, or that CPython has found from `WHIPSNAKE_PYTHON`. Call this before `sys.path` is changed.
    pub fn find(py: Python<'_>, environment: &Environment) -> PyResult<Self> {
        if environment.whipsnake_python.is_none() {
            let site_packages = const { &[BUILD.site_packages] };
            return Ok(Self { search_paths: BUILD.search_paths, site_packages, built_in: BUILD.built_in });
        }
        let sys = py.import("sys")?;
        let path: Vec<String> = sys.getattr("path")?.extract()?;
        let standard_library: String = sys.getattr("_stdlib_dir")?.extract()?;
        // The zip comes before the standard library's folder, and the extension modules after it. Then come the folders that `site` has
        // added.
        let zip = path.iter().position(|folder| *folder == standard_library).unwrap_or_default().saturating_sub(1);
        let (mut search_paths, mut site_packages) = (path, Vec::new());
        search_paths.drain(..zip);
        if search_paths.len() > 3 {
            site_packages = search_paths.split_off(3);
        }
        Ok(Self {
            search_paths: keep(search_paths),
            site_packages: keep(site_packages),
            built_in: keep(sys.getattr("builtin_module_names")?.extract()?),
        })
    }
}

fn keep(texts: Vec<String>) -> &'static [&'static str] {
    texts.into_iter().map(|text| &*text.leak()).collect::<Vec<_>>().leak()
}
