//! The Python side, frozen into this executable: no files to find, no path to add, nothing that can be of another version.

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
