//! Reads and writes JSON with ours and with Python's libraries, in one interpreter, and prints how long each takes.
//!
//! `compare MILLISECONDS FILE..` prints a line of JSON for each file: nanoseconds by library. `whipsnake bench` runs it.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::ffi::CStr;
use std::hint::black_box;
use std::time::{Duration, Instant};
use whipsnake_marshal::{decode, encode};

/// How often each figure is measured; the median counts.
const ROUNDS: usize = 5;

/// What reads and writes JSON.
enum Library<'py> {
    /// whipsnake-marshal.
    Ours,
    /// A function that reads bytes, and one that writes bytes.
    Python { name: &'static str, loads: Bound<'py, PyAny>, dumps: Bound<'py, PyAny> },
}

/// What of Python's is compared; a library that is not installed is left out. The managed runtime's writer gives text, which its
/// client then encodes.
const LIBRARIES: &[(&str, &CStr, &CStr)] = &[
    (
        "awslambdaric",
        c"__import__('awslambdaric.lambda_runtime_marshaller').lambda_runtime_marshaller.LambdaMarshaller().unmarshal_request",
        c"lambda value, marshal=__import__('awslambdaric.lambda_runtime_marshaller').lambda_runtime_marshaller\
         .LambdaMarshaller().marshal_response: marshal(value)[0].encode()",
    ),
    (
        "simplejson",
        c"__import__('simplejson').loads",
        c"lambda value, dumps=__import__('simplejson').dumps: dumps(value).encode()",
    ),
    ("json", c"__import__('json').loads", c"lambda value, dumps=__import__('json').dumps: dumps(value).encode()"),
    ("orjson", c"__import__('orjson').loads", c"__import__('orjson').dumps"),
];

impl<'py> Library<'py> {
    fn all(py: Python<'py>) -> PyResult<Vec<Self>> {
        let evaluated = |text: &CStr| py.eval(text, None, None);
        let found = LIBRARIES.iter().filter_map(|&(name, loads, dumps)| {
            Some(Self::Python { name, loads: evaluated(loads).ok()?, dumps: evaluated(dumps).ok()? })
        });
        Ok([Self::Ours].into_iter().chain(found).collect())
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Ours => "whipsnake",
            Self::Python { name, .. } => name,
        }
    }

    fn read(&self, payload: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Ours => decode(payload.py(), payload.as_bytes()),
            Self::Python { loads, .. } => loads.call1((payload,)),
        }
    }

    fn write(&self, value: &Bound<'py, PyAny>) -> PyResult<()> {
        match self {
            Self::Ours => encode(value, None).map(|bytes| drop(black_box(bytes))),
            Self::Python { dumps, .. } => dumps.call1((value,)).map(|bytes| drop(black_box(bytes))),
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let milliseconds =
        arguments.next().ok_or("the first argument is missing: milliseconds for each figure")?.parse()?;
    Python::initialize();
    Python::attach(|py| {
        let libraries = Library::all(py)?;
        for file in arguments {
            let payload = PyBytes::new(py, &std::fs::read(file)?);
            let value = decode(py, payload.as_bytes())?;
            let span = Duration::from_millis(milliseconds);
            let read = compare(&libraries, span, |library| library.read(&payload).map(drop))?;
            let written = compare(&libraries, span, |library| library.write(&value))?;
            println!("{{\"decode\":{{{read}}},\"encode\":{{{written}}}}}");
        }
        Ok(())
    })
}

/// The libraries' figures as members of a JSON object, measured in turn.
fn compare(libraries: &[Library<'_>], span: Duration, work: impl Fn(&Library<'_>) -> PyResult<()>) -> PyResult<String> {
    let mut figures = vec![Vec::new(); libraries.len()];
    for _ in 0..ROUNDS {
        for (library, figures) in libraries.iter().zip(&mut figures) {
            let begun = Instant::now();
            work(library)?;
            // Looking at the clock takes as long as some of the work.
            let batch = (100_000 / begun.elapsed().as_nanos().max(1)).clamp(1, 1000) as u32;
            let begun = Instant::now();
            let mut done = 0;
            while begun.elapsed() < span {
                for _ in 0..batch {
                    work(library)?;
                }
                done += batch;
            }
            figures.push(begun.elapsed().as_nanos() as f64 / f64::from(done.max(1)));
        }
    }
    let members = libraries.iter().zip(&mut figures).map(|(library, figures)| {
        figures.sort_by(f64::total_cmp);
        format!("\"{}\":{:.1}", library.name(), figures[ROUNDS / 2])
    });
    Ok(members.collect::<Vec<_>>().join(","))
}
