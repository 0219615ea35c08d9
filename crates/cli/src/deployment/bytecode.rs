//! Bytecode made beforehand: nothing on Lambda but `/tmp` can be written, and compiling at a cold start takes long.

use std::{
    env,
    io::{Read, Write},
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
};

use crate::{cleanup::Program, failure::Failure, progress::Progress, python::Interpreter};

/// How bytecode is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Bytecode {
    /// In one file, which the bootstrap maps into memory.
    Archive,
    /// In a file for each module, as Python itself has it: for child processes too, and for the managed runtime.
    Files,
    /// In both ways.
    Both,
    /// Not at all.
    None,
}

impl Bytecode {
    /// Whether there is an archive.
    pub fn has_archive(self) -> bool {
        matches!(self, Self::Archive | Self::Both)
    }

    /// Whether there are Python's own files.
    pub fn has_files(self) -> bool {
        matches!(self, Self::Files | Self::Both)
    }
}

/// Reads sources from standard input, writes bytecode to standard output; what cannot be compiled becomes nothing.
const COMPILE: &str = "
import json, sys
from importlib._bootstrap_external import _code_to_hash_pyc as to_pyc
from importlib.util import source_hash
checked = sys.argv[1] == 'checked'
data, answer = sys.stdin.buffer, sys.stdout.buffer
pieces = [(path, data.read(size)) for path, size in json.loads(data.readline())]
import warnings
warnings.simplefilter('ignore')
for path, source in pieces:
    try:
        pyc = bytes(to_pyc(compile(source, path, 'exec', dont_inherit=True, optimize=0), source_hash(source), checked))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pyc = b''
    answer.write(len(pyc).to_bytes(8, 'little') + pyc)
";

/// A source, by the path under which it will be found.
pub struct Source<'a> {
    /// Shown in stack traces.
    pub path: String,
    /// Its text.
    pub text: &'a [u8],
}

/// Whether the bytecode's reader looks at the source, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Never: the source cannot change, and a hash or a time costs a look.
    Never,
    /// The source's hash is compared: somebody may change it before it comes to Lambda.
    Hash,
}

/// Compiles all of them, in order. None for what is no Python of this version.
pub fn compile(
    interpreter: &Interpreter,
    sources: &[Source<'_>],
    check: Check,
) -> Result<Vec<Option<Vec<u8>>>, Failure> {
    let name = interpreter.executable.display();
    let failed = |what: &str| Failure::new(format!("compiling modules with {name}: {what}"));
    let _shown = Progress::of(format!("compiling {} modules", sources.len()));
    let mut compiler = Command::new(&interpreter.executable);
    let set = env::vars_os().map(|(name, _)| name).filter(|name| name.as_encoded_bytes().starts_with(b"PYTHON"));
    for name in set {
        compiler.env_remove(name);
    }
    let mut compiler = compiler
        .args(["-S", "-s", "-P", "-c", COMPILE])
        .arg(if check == Check::Hash { "checked" } else { "unchecked" })
        // Anything that is ordered by hashes is to have one order.
        .env("PYTHONHASHSEED", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&error.to_string()))?;
    let _ends_on_signals = Program::started(&compiler);
    let written = compiler.stdin.take().ok_or_else(|| failed("no pipe to it")).and_then(|mut pipe| {
        let sizes: Vec<(&str, usize)> = sources.iter().map(|source| (&*source.path, source.text.len())).collect();
        let header = serde_json::to_vec(&sizes).map_err(|error| failed(&error.to_string()))?;
        pipe.write_all(&header)
            .and_then(|()| pipe.write_all(b"\n"))
            // It reads everything before it writes anything.
            .and_then(|()| sources.iter().try_for_each(|source| pipe.write_all(source.text)))
            .map_err(|error| failed(&error.to_string()))
    });
    let output = compiler.wait_with_output().map_err(|error| failed(&error.to_string()))?;
    if let Some(signal) = output.status.signal() {
        let largest = sources.iter().max_by_key(|source| source.text.len()).map_or("", |source| &source.path);
        return Err(failed(&format!(
            "it was killed by signal {signal}; if the memory was used up, the largest source is to blame: {largest}"
        )));
    }
    written?;
    let mut answer = output.stdout.as_slice();
    let mut compiled = Vec::with_capacity(sources.len());
    for _ in sources {
        let mut size = [0; 8];
        answer.read_exact(&mut size).map_err(|_| failed("it did not answer for every file"))?;
        let mut bytes = vec![0; usize::try_from(u64::from_le_bytes(size)).unwrap_or(0)];
        answer.read_exact(&mut bytes).map_err(|_| failed("it did not answer for every file"))?;
        compiled.push((!bytes.is_empty()).then_some(bytes));
    }
    Ok(compiled)
}

/// Where the bytecode of a source lies: `a/b.py` has `a/__pycache__/b.cpython-314.pyc`.
pub fn path(source: &str, cache_tag: &str) -> Option<String> {
    let (folder, name) = source.rsplit_once('/').unwrap_or(("", source));
    let module = name.strip_suffix(".py")?;
    let separator = if folder.is_empty() { "" } else { "/" };
    Some(format!("{folder}{separator}__pycache__/{module}.{cache_tag}.pyc"))
}
