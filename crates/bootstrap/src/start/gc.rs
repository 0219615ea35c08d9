//! Garbage collections, put off while the process prepares and while the function is imported: nearly all that is made then is
//! there to stay, and looking at it again and again is up to a fifth of an import.

use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::CStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

type InitFunction = unsafe extern "C" fn() -> *mut ffi::PyObject;

/// What makes the module `_imp`, the first of the built-in ones that CPython imports, where collections are off while it starts.
static IMP: OnceLock<InitFunction> = OnceLock::new();

/// Whether this CPython has been told.
static WAS_TOLD: AtomicBool = AtomicBool::new(false);

/// Whether they are off.
static IS_OFF: AtomicBool = AtomicBool::new(false);

/// Has CPython start without collections, until the first [`DeferredCollections`]. Its configuration cannot ask for that, so the first module of
/// its own does. To be called before it starts, and not where code of anybody's runs in the start: `gc.isenabled()` says that they
/// are off.
pub fn off_while_starting() {
    // SAFETY: CPython does not run yet, so nobody else reads the table; it ends with an entry without a name.
    unsafe {
        let mut entry = ffi::PyImport_Inittab;
        while !(*entry).name.is_null() && CStr::from_ptr((*entry).name) != c"_imp" {
            entry = entry.add(1);
        }
        if let Some(make) = (*entry).initfunc {
            IMP.get_or_init(|| make);
            (*entry).initfunc = Some(imp_without_collections);
        }
    }
}

/// CPython keeps a copy of the table, and calls this again for each interpreter that a function makes: that must disable nothing.
unsafe extern "C" fn imp_without_collections() -> *mut ffi::PyObject {
    let make = IMP.get().expect("set before this function was put in the table");
    // SAFETY: CPython calls this where it would call the other, attached.
    unsafe {
        if !WAS_TOLD.swap(true, Ordering::Relaxed) {
            ffi::PyGC_Disable();
            IS_OFF.store(true, Ordering::Relaxed);
        }
        make()
    }
}

/// So many new containers bring on a collection while it is put off. Few imports make as many; where one makes garbage all along,
/// memory stays bounded. A function that multiplies what it reads from `gc.get_threshold` still has a number that C can hold.
const PUT_OFF: i32 = 100_000;

/// `gc.get_threshold()`: the first number is that of new containers, the others are for CPython to interpret.
type Thresholds = (i32, i32, i32);

/// Collections that are put off, until [`Self::resume`]. `gc.isenabled()` tells all along what it would tell otherwise.
pub struct DeferredCollections {
    usual: Thresholds,
}

impl DeferredCollections {
    /// Raises the threshold.
    pub fn new(py: Python<'_>) -> PyResult<Self> {
        let gc = py.import("gc")?;
        let usual: Thresholds = gc.call_method0("get_threshold")?.extract()?;
        gc.call_method1("set_threshold", (PUT_OFF, usual.1, usual.2))?;
        if IS_OFF.swap(false, Ordering::Relaxed) {
            // SAFETY: attached.
            unsafe { ffi::PyGC_Enable() };
        }
        Ok(Self { usual })
    }

    /// Puts the threshold back, unless the function has chosen its own, and all that was made among the old objects, as
    /// collections would have done by now.
    pub fn resume(self, py: Python<'_>) -> PyResult<()> {
        let gc = py.import("gc")?;
        let (new, second, third): Thresholds = gc.call_method0("get_threshold")?.extract()?;
        if new == PUT_OFF {
            gc.call_method1("set_threshold", (self.usual.0, second, third))?;
        }
        // Unless the function keeps objects frozen itself.
        if gc.call_method0("get_freeze_count")?.extract::<usize>()? == 0 {
            gc.call_method0("freeze")?;
            gc.call_method0("unfreeze")?;
        }
        Ok(())
    }
}
