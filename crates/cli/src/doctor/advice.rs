//! What to do about a slow start.

use std::{collections::BTreeSet, env, path::PathBuf};

use whipsnake_emulator::Function;

use super::{imports::Import, source_of};

/// An import is slow from this many microseconds on, if it is a tenth of the whole as well.
const SLOW: u64 = 20_000;

/// What is known of packages that take long.
const KNOWN: &[(&str, &str)] = &[
    (
        "boto3",
        "import it, or create its clients, where they are used; `import botocore.session` alone is quicker where no resources are needed",
    ),
    (
        "botocore",
        "create clients where they are used, each reads its service's description; leave services out with `whipsnake layer --services`",
    ),
    ("pkg_resources", "ask importlib.metadata instead: this one looks at every package that is installed"),
    ("pandas", "import it where it is used, or do without: csv and json are in the standard library"),
    ("numpy", "import it where it is used"),
    ("matplotlib", "set MPLBACKEND=Agg and MPLCONFIGDIR to a folder in /tmp, and import it where it is used"),
    ("aws_xray_sdk", "import it only where tracing is on"),
    ("ddtrace", "switch off the integrations that are not used with DD_TRACE_<NAME>_ENABLED=false"),
    ("openai", "import it where it is used: it brings pydantic and httpx along"),
    ("pydantic", "declare models only for what is used; version 2 is quicker than version 1"),
    ("sqlalchemy", "import the dialect that is used, and the rest where it is used"),
    ("pytest", "a function does not need it: leave the tests out of the package"),
];

/// Sentences about a function's imports.
pub fn on(root: &Import, function: &Function, embedded: Option<&str>) -> Vec<String> {
    let mut folders = vec![function.task.clone()];
    folders.extend(env::split_paths(function.environment.get("PYTHONPATH").map_or("", String::as_str)));
    let mut advice = Vec::new();
    advice.extend(on_bytecode(root, &folders, embedded));
    advice.extend(on_environments(&folders, embedded));
    advice.extend(on_slow_packages(root, &folders));
    if advice.is_empty() {
        advice.push("nothing stands out".to_owned());
    }
    advice
}

fn on_bytecode(root: &Import, folders: &[PathBuf], embedded: Option<&str>) -> Option<String> {
    let tag = format!("cpython-{}", embedded?.replace('.', ""));
    let mut compiled = Vec::new();
    for import in root.all() {
        let Some(source) = source_of(&import.module, folders) else { continue };
        let stem = source.file_stem().unwrap_or_default().to_string_lossy();
        let bytecode = source.with_file_name("__pycache__").join(format!("{stem}.{tag}.pyc"));
        if !bytecode.is_file() {
            compiled.push(import.module.as_str());
        }
    }
    let (count, first) = (compiled.len(), compiled.iter().take(3).copied().collect::<Vec<_>>().join(", "));
    let (have, they) = if count == 1 { ("1 module has", "it is") } else { ("modules have", "they are") };
    let have = if count == 1 { have.to_owned() } else { format!("{count} {have}") };
    let version = embedded?;
    (count > 0).then(|| {
        format!(
            "{have} no bytecode ({first}): {they} compiled at each cold start, /var/task cannot be written. Before packing: \
             `python{version} -m compileall -q --invalidation-mode unchecked-hash FOLDER`, or `uv pip install --compile-bytecode`"
        )
    })
}

fn on_environments(folders: &[PathBuf], embedded: Option<&str>) -> Option<String> {
    let version = format!("python{}", embedded?);
    let foreign = folders.iter().find(|folder| {
        let python =
            folder.parent().filter(|_| folder.ends_with("site-packages")).and_then(|parent| parent.file_name());
        python.is_some_and(|python| python != version.as_str())
    })?;
    let folder = foreign.display();
    Some(format!(
        "{folder} is another Python's than the bootstrap's {version}: what is compiled in it cannot be imported"
    ))
}

/// The slow packages, each once, and not those that it brings along.
fn on_slow_packages(root: &Import, folders: &[PathBuf]) -> Vec<String> {
    let least = SLOW.max(root.whole / 10);
    let (mut told, mut advice) = (BTreeSet::new(), Vec::new());
    let mut waiting = vec![root];
    while let Some(import) = waiting.pop() {
        for import in import.imports.iter().filter(|import| import.whole >= least) {
            let package = import.module.split('.').next().unwrap_or_default();
            let known = KNOWN.iter().find(|(name, _)| *name == package).map(|(_, what)| *what);
            // The standard library and the function's own modules are looked into, packages are not.
            let is_package = known.is_some() || source_of(package, &folders[1..]).is_some();
            if !is_package {
                waiting.push(import);
            } else if told.insert(package) {
                let what = known.unwrap_or("import it in the function that uses it, if not every invocation does");
                advice.push((import.whole, format!("{package} takes {} ms: {what}", import.whole / 1_000)));
            }
        }
    }
    advice.sort_by_key(|(whole, _)| std::cmp::Reverse(*whole));
    advice.into_iter().map(|(_, sentence)| sentence).collect()
}
