//! The installation of a CPython, as far as it goes into a layer.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::Deserialize;

use crate::{failure::Failure, python::Interpreter};

/// Run by the interpreter. What a module does not know, or cannot be imported, is left out.
const QUESTIONS: &str = "
import _imp, json, os, sys, sysconfig
def told(module, name):
    try:
        return str(getattr(__import__(module, fromlist=['']), name))
    except (ImportError, AttributeError):
        return ''
paths = sysconfig.get_paths()
modules = paths['platstdlib'] + '/lib-dynload'
versions = {
    'openssl': told('ssl', 'OPENSSL_VERSION').split(' ')[1:2],
    'sqlite': [told('sqlite3', 'sqlite_version')],
    'zlib': [told('zlib', 'ZLIB_RUNTIME_VERSION')],
    'expat': told('pyexpat', 'EXPAT_VERSION').split('_')[1:2],
    'zstd': [told('_zstd', 'zstd_version')],
    'mpdecimal': [told('_decimal', '__libmpdec_version__')],
}
print(json.dumps({
    'name': 'python%d.%d%s' % (sys.version_info[0], sys.version_info[1], sys.abiflags),
    'version': sys.version.split(' ')[0].rstrip('+'),
    'prefixes': [sys.base_prefix, sys.base_exec_prefix],
    'standard_library': paths['stdlib'],
    'extension_modules': modules,
    'extension_module_names': [
        *sys.builtin_module_names,
        *(name.split('.')[0] for name in (os.listdir(modules) if os.path.isdir(modules) else [])),
    ],
    # The names of the first two are others there.
    'frozen': ['importlib._bootstrap', 'importlib._bootstrap_external', *_imp._frozen_module_names()],
    'versions': {name: version[0] for name, version in versions.items() if version and version[0]},
}))
";

/// What an interpreter says about its installation.
#[derive(Debug, Deserialize)]
pub struct Prefix {
    /// Such as `python3.14` and `python3.14t`.
    pub name: String,
    /// Such as `3.14.2` and `3.15.0rc1`.
    pub version: String,
    prefixes: [PathBuf; 2],
    /// The folder of its standard library.
    pub standard_library: PathBuf,
    /// The folder of its extension modules, often one in that.
    pub extension_modules: PathBuf,
    /// The modules that are written in C, wherever they are.
    pub extension_module_names: BTreeSet<String>,
    /// The modules whose bytecode is in the interpreter itself.
    frozen: BTreeSet<String>,
    /// The versions of the libraries it uses, by their names.
    pub versions: BTreeMap<String, String>,
}

impl Prefix {
    /// Asks the interpreter.
    pub fn ask(interpreter: &Interpreter) -> Result<Prefix, Failure> {
        let name = interpreter.executable.display();
        let output = Command::new(&interpreter.executable)
            .args(["-I", "-S", "-c", QUESTIONS])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Failure::new(format!("asking {name} about its installation: {error}")))?;
        let prefix: Prefix = serde_json::from_slice(&output.stdout).map_err(|error| {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.trim().lines().last().map_or_else(|| error.to_string(), str::to_owned);
            Failure::new(format!("asking {name} about its installation: {said}"))
        })?;
        // A bootstrap looks for its modules where they lie here, seen from the prefix.
        if prefix.within(&prefix.standard_library).is_none() || !prefix.standard_library.join("os.py").is_file() {
            return Err(Failure::new(format!(
                "{name} has no standard library in its prefix {}: there is no {}; if it was moved, install it anew",
                prefix.prefixes[0].display(),
                prefix.standard_library.join("os.py").display()
            )));
        }
        Ok(prefix)
    }

    /// Where a path of the standard library's lies below the prefix.
    pub fn within(&self, path: &Path) -> Option<String> {
        let mut prefixes = self.prefixes.iter().rev();
        prefixes.find_map(|prefix| path.strip_prefix(prefix).ok()).map(|path| path.display().to_string())
    }

    /// Whether bytecode of this source, by its path below the prefix, would never be read.
    pub fn has_frozen(&self, source: &str) -> bool {
        let module = self.within_library(source).and_then(|path| path.strip_suffix(".py"));
        let module = module.map(|path| path.trim_end_matches("/__init__").replace('/', "."));
        module.is_some_and(|module| self.frozen.contains(&module))
    }

    /// The path below the standard library's folder of a file, by its path below the prefix.
    pub fn within_library<'a>(&self, source: &'a str) -> Option<&'a str> {
        let folder = self.within(&self.standard_library).unwrap_or_default();
        source.strip_prefix(&folder).map(|path| path.trim_start_matches('/'))
    }

    /// The folders it is installed in: mostly one.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.prefixes.iter().map(PathBuf::as_path)
    }

    /// What wheels call it: `cp314`, `cp314t`.
    pub fn tag(&self) -> String {
        self.name.replace("python", "cp").replace('.', "")
    }
}
