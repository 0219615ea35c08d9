//! The Python side, frozen into this executable. It needs no files and no path, and cannot be of another version.

use crate::build_info::BUILD;
use crate::start::proofs::{BeforeImports, BeforePython};
use pyo3::ffi;
use std::ffi::{CStr, c_int};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

struct Module {
    name: &'static CStr,
    code: &'static [u8],
    is_package: bool,
}

const MODULES: &[Module] = include!(concat!(env!("OUT_DIR"), "/frozen.rs"));

/// Adds the modules to those that CPython has frozen in itself. `with_site`: with the stand-in for `site`, if there is one.
pub fn register(with_site: bool, _: &BeforePython) {
    let left_out = usize::from(BUILD.stands_in_for_site && !with_site);
    let mut table: Vec<ffi::_frozen> = MODULES.iter().skip(left_out).map(entry).collect();
    // CPython reads up to an entry without a name.
    // SAFETY: all zeros are null pointers, zero sizes and no function.
    table.push(unsafe { std::mem::zeroed() });
    // SAFETY: CPython does not run yet, so nobody else reads the variable; the table lives as long as the process.
    unsafe { ffi::PyImport_FrozenModules = table.leak().as_ptr() };
}

/// The marshalled code of one of our modules.
pub fn code(name: &CStr) -> Option<&'static [u8]> {
    MODULES.iter().find(|module| module.name == name).map(|module| module.code)
}

/// Leaves out the stand-in for `site`, which is the first module: an import of `site` finds CPython's own.
pub fn forget_site(_: &BeforeImports) {
    if BUILD.stands_in_for_site {
        // SAFETY: the table has this entry and another one behind it. Nobody else writes the variable, only imports read it,
        // and none is going on.
        unsafe { ffi::PyImport_FrozenModules = ffi::PyImport_FrozenModules.add(1) };
    }
}

/// The address of CPython's variable for the table of modules that it starts with. No other table is searched before that one. Null if our
/// stand-in is not in the table.
static START_TABLE: AtomicPtr<*const ffi::_frozen> = AtomicPtr::new(ptr::null_mut());

/// Makes CPython start with our stand-in for `zipimport` (python/src/whipsnake/_zipimport.py), if this CPython has the variable for it.
pub fn stand_in_for_zipimport(_: &BeforePython) {
    // SAFETY: a name of C's; what it finds is the variable of CPython's that has this name.
    let place: *mut *const ffi::_frozen =
        unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_PyImport_FrozenBootstrap".as_ptr()) }.cast();
    let Some(stand_in) = MODULES.iter().find(|module| module.name == c"whipsnake._zipimport") else { return };
    if place.is_null() {
        return;
    }
    let mut table = vec![ffi::_frozen { name: c"zipimport".as_ptr(), ..entry(stand_in) }];
    // SAFETY: CPython does not run yet, so nobody else reads the variable. Its table ends with an entry without a name, and ours lives
    // as long as the process.
    unsafe {
        let mut next = *place;
        while !(*next).name.is_null() {
            table.push(ptr::read(next));
            next = next.add(1);
        }
        table.push(ptr::read(next));
        *place = table.leak().as_ptr();
    }
    START_TABLE.store(place, Ordering::Relaxed);
}

/// Removes the stand-in, so that `zipimport` means CPython's own again. Returns whether there was a stand-in.
pub fn forget_zipimport(_: &BeforeImports) -> bool {
    let place = START_TABLE.swap(ptr::null_mut(), Ordering::Relaxed);
    if !place.is_null() {
        // SAFETY: the table has this entry and others behind it. Nobody else writes the variable, only imports read it,
        // and none is going on.
        unsafe { *place = (*place).add(1) };
    }
    !place.is_null()
}

fn entry(module: &Module) -> ffi::_frozen {
    ffi::_frozen {
        name: module.name.as_ptr(),
        code: module.code.as_ptr(),
        size: c_int::try_from(module.code.len()).expect("modules are smaller than 2 GB"),
        is_package: c_int::from(module.is_package),
        #[cfg(not(Py_3_13))]
        get_code: None,
    }
}
