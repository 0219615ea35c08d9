//! Garbage collections, deferred while the process prepares and while the function is imported. Nearly all objects that are made then
//! stay, and collections would take up to a fifth of the time of an import.

use crate::start::proofs::BeforePython;
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::CStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

type InitFunction = unsafe extern "C" fn() -> *mut ffi::PyObject;

/// The original init function of the module `_imp`. CPython imports that module before all other built-in ones.
static IMP: OnceLock<InitFunction> = OnceLock::new();

/// Whether collections have been disabled once.
static WAS_DISABLED: AtomicBool = AtomicBool::new(false);

/// Whether collections are off now.
static IS_OFF: AtomicBool = AtomicBool::new(false);

/// Makes CPython start without collections, until the first [`DeferredCollections`]. CPython's configuration has no such option, so the
/// init function of its first module turns them off. Call this only if no user code runs during the start: `gc.isenabled()` is false
/// there.
pub fn off_while_starting(_: &BeforePython) {
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

/// CPython keeps a copy of the table and calls this again for each subinterpreter. Only the first call turns collections off.
unsafe extern "C" fn imp_without_collections() -> *mut ffi::PyObject {
    let make = IMP.get().expect("off_while_starting sets it before CPython can call this");
    // SAFETY: CPython calls this where it would call the other, attached.
    unsafe {
        if !WAS_DISABLED.swap(true, Ordering::Relaxed) {
            ffi::PyGC_Disable();
            IS_OFF.store(true, Ordering::Relaxed);
        }
        make()
    }
}

/// Whether the objects of a checkpoint are frozen: in a process that is dumped, and in its copies.
static IS_FROZEN: AtomicBool = AtomicBool::new(false);

/// Collects the garbage, then excludes all objects from later collections. A collection writes to every object that it looks at. In a
/// restored process it would copy each page with objects.
pub fn freeze(py: Python<'_>) -> PyResult<()> {
    let gc = py.import("gc")?;
    gc.call_method0("collect")?;
    gc.call_method0("freeze")?;
    IS_FROZEN.store(true, Ordering::Relaxed);
    Ok(())
}

/// Lets the last collection find the objects of a checkpoint, so that CPython's end runs their finalizers. Call this before CPython ends.
pub fn unfreeze(py: Python<'_>) {
    if IS_FROZEN.swap(false, Ordering::Relaxed)
        && let Err(error) = py.import("gc").and_then(|gc| gc.call_method0("unfreeze"))
    {
        error.write_unraisable(py, None);
    }
}

/// The threshold while collections are deferred, in new containers. Few imports make as many. If an import makes garbage all the time,
/// memory stays bounded. A function can multiply this number by a thousand and still get one that fits a C int.
const DEFERRED_THRESHOLD: i32 = 100_000;

/// The result of `gc.get_threshold()`. The first number counts new containers.
type Thresholds = (i32, i32, i32);

/// Collections are deferred until [`Self::resume`]. `gc.isenabled()` returns what it would return without that.
pub struct DeferredCollections {
    usual: Thresholds,
}

impl DeferredCollections {
    /// Raises the threshold.
    pub fn new(py: Python<'_>) -> PyResult<Self> {
        let gc = py.import("gc")?;
        let usual: Thresholds = gc.call_method0("get_threshold")?.extract()?;
        gc.call_method1("set_threshold", (DEFERRED_THRESHOLD, usual.1, usual.2))?;
        if IS_OFF.swap(false, Ordering::Relaxed) {
            // SAFETY: attached.
            unsafe { ffi::PyGC_Enable() };
        }
        Ok(Self { usual })
    }

    /// Restores the threshold, unless the function has set its own. Moves all objects to the oldest generation, as collections would have
    /// done by now.
    pub fn resume(self, py: Python<'_>) -> PyResult<()> {
        let gc = py.import("gc")?;
        let (new, second, third): Thresholds = gc.call_method0("get_threshold")?.extract()?;
        if new == DEFERRED_THRESHOLD {
            gc.call_method1("set_threshold", (self.usual.0, second, third))?;
        }
        if IS_FROZEN.load(Ordering::Relaxed) {
            // The count below would read every object, and `unfreeze` would return all of them to the next collection.
            gc.call_method0("freeze")?;
            return Ok(());
        }
        // A function that has frozen objects itself keeps them frozen.
        if gc.call_method0("get_freeze_count")?.extract::<usize>()? == 0 {
            gc.call_method0("freeze")?;
            gc.call_method0("unfreeze")?;
        }
        Ok(())
    }
}
