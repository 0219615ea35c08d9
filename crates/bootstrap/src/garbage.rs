//! Garbage collections, put off while the process prepares and while the function is imported: nearly all that is made then is
//! there to stay, and looking at it again and again is up to a fifth of an import.

use pyo3::prelude::*;

/// So many new containers bring on a collection while it is put off. Few imports make as many; where one makes garbage all along,
/// memory stays bounded. A function that multiplies what it reads from `gc.get_threshold` still has a number that C can hold.
const PUT_OFF: i32 = 100_000;

/// `gc.get_threshold()`: the first number is that of new containers, the others are for CPython to interpret.
type Thresholds = (i32, i32, i32);

/// Collections that are put off, until [`Self::resume`]. `gc.isenabled()` tells all along what it would tell otherwise.
pub struct PutOff {
    usual: Thresholds,
}

impl PutOff {
    /// Raises the threshold.
    pub fn new(py: Python<'_>) -> PyResult<Self> {
        let gc = py.import("gc")?;
        let usual: Thresholds = gc.call_method0("get_threshold")?.extract()?;
        gc.call_method1("set_threshold", (PUT_OFF, usual.1, usual.2))?;
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
