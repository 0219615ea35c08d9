//! What the build knows of its CPython.

use std::ffi::CStr;

/// The CPython that this executable was built against. All paths are empty if the executable is part of a wheel: `WHIPSNAKE_PYTHON` then
/// names another CPython of the same version.
pub struct Build {
    /// Such as `3.14`.
    pub version: &'static str,
    /// The interpreter.
    pub executable: &'static CStr,
    /// The folder of Python if this executable is part of a layer, where CPython would not find it by itself.
    pub home: Option<&'static CStr>,
    /// Where its files lie that are the same on every processor.
    pub prefix: &'static CStr,
    /// Where its other files lie.
    pub exec_prefix: &'static CStr,
    /// The standard library's folder.
    pub standard_library: &'static CStr,
    /// The standard library's zip, folder and extension modules.
    pub search_paths: &'static [&'static str],
    /// Where packages are installed for this Python.
    pub site_packages: &'static str,
    /// Where this Python's `site` looks for packages and `.pth` files.
    pub site_folders: &'static [&'static str],
    /// The same in a user's home.
    pub user_site: &'static str,
    /// Whether there is a frozen stand-in for `site`.
    pub stands_in_for_site: bool,
    /// Modules that are part of this interpreter itself.
    pub built_in: &'static [&'static str],
    /// Suffixes of module files, without the dot.
    pub module_suffixes: &'static [&'static str],
}

/// What the build script found out.
pub const BUILD: Build = include!(concat!(env!("OUT_DIR"), "/build.rs"));
