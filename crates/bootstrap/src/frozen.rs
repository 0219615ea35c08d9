//! The Python side, frozen into this executable: no files to find, no path to add, nothing that can be of another version.

use crate::interpreter::BUILD;
use pyo3::ffi;
use std::ffi::{CStr, c_int};

struct Module {
    name: &'static CStr,
    code: &'static [u8],
    is_package: bool,
}

const MODULES: &[Module] = include!(concat!(env!("OUT_DIR"), "/frozen.rs"));

/// Adds the modules to those that CPython has frozen in itself. To be called before CPython starts.
pub fn register() {
    let mut table: Vec<ffi::_frozen> = MODULES.iter().map(entry).collect();
    // CPython reads up to an entry without a name.
    // SAFETY: all zeros are null pointers, zero sizes and no function.
    table.push(unsafe { std::mem::zeroed() });
    // SAFETY: CPython does not run yet, so nobody else reads the variable; the table lives as long as the process.
    unsafe { ffi::PyImport_FrozenModules = table.leak().as_ptr() };
}

/// Leaves out the first module where that is the stand-in for `site`: whoever imports `site` gets CPython's own. To be called
/// while nobody imports anything.
pub fn forget_site() {
    if BUILD.stands_in_for_site {
        // SAFETY: the table has this entry and another one behind it. Nobody else writes the variable, and only imports read it.
        unsafe { ffi::PyImport_FrozenModules = ffi::PyImport_FrozenModules.add(1) };
    }
}

fn entry(module: &Module) -> ffi::_frozen {
    ffi::_frozen {
        name: module.name.as_ptr(),
        code: module.code.as_ptr(),
        size: c_int::try_from(module.code.len()).expect("our modules are small"),
        is_package: c_int::from(module.is_package),
        #[cfg(not(Py_3_13))]
        get_code: None,
    }
}
