//! Reads which file of a crate imports which. No compiler: paths that begin with `crate`, `super` or a module of the file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A module's path in its crate: `["invoke", "worker"]`. Empty for `main.rs` and `lib.rs`.
pub type Module = Vec<String>;

/// The sources of a crate, and what they import of each other.
pub struct Crate {
    sources: BTreeMap<Module, String>,
    imports: BTreeMap<Module, BTreeSet<Module>>,
}

impl Crate {
    /// Reads `crates/NAME/src`.
    pub fn read(name: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name).join("src");
        let mut sources = BTreeMap::new();
        read_folder(&root, &root, &mut sources);
        Self::new(sources)
    }

    /// A crate of these modules, each with its source.
    pub fn from_sources(sources: &[(&str, &str)]) -> Self {
        let module = |name: &str| name.split("::").filter(|name| !name.is_empty()).map(String::from).collect();
        Self::new(sources.iter().map(|(name, source)| (module(name), (*source).to_owned())).collect())
    }

    fn new(sources: BTreeMap<Module, String>) -> Self {
        let paths: BTreeMap<&Module, Vec<Found>> =
            sources.iter().map(|(module, source)| (module, found(source))).collect();
        let resolve = Resolver { paths: &paths };
        let imports = paths
            .iter()
            .map(|(&module, found)| {
                let imported = found.iter().filter_map(|found| resolve.module_of(module, &found.path, 8));
                // A file uses the modules that it declares, also where it names them without `use`.
                let declared =
                    sources.keys().filter(|other| other.len() == module.len() + 1 && other.starts_with(module));
                (module.clone(), imported.chain(declared.cloned()).filter(|imported| imported != module).collect())
            })
            .collect();
        Self { sources, imports }
    }

    /// Each file with its source.
    pub fn sources(&self) -> impl Iterator<Item = (&Module, &String)> {
        self.sources.iter()
    }

    /// Pairs of files of which the first imports the second.
    pub fn imports(&self) -> impl Iterator<Item = (&Module, &Module)> {
        self.imports.iter().flat_map(|(from, to)| to.iter().map(move |to| (from, to)))
    }

    /// Files of which each imports the next, and the last the first.
    pub fn circle(&self) -> Option<Vec<&Module>> {
        let mut done = BTreeSet::new();
        self.imports.keys().find_map(|start| self.circle_from(start, &mut Vec::new(), &mut done))
    }

    fn circle_from<'a>(
        &'a self,
        module: &'a Module,
        path: &mut Vec<&'a Module>,
        done: &mut BTreeSet<&'a Module>,
    ) -> Option<Vec<&'a Module>> {
        if let Some(start) = path.iter().position(|&earlier| earlier == module) {
            return Some(path[start..].to_vec());
        }
        if !done.insert(module) {
            return None;
        }
        path.push(module);
        let circle = self.imports.get(module)?.iter().find_map(|next| self.circle_from(next, path, done));
        path.pop();
        circle
    }
}

fn read_folder(root: &Path, folder: &Path, sources: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            read_folder(root, &path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let names = path.strip_prefix(root).expect("below the root").with_extension("");
            let mut module: Module = names.iter().map(|name| name.to_string_lossy().into_owned()).collect();
            if module.last().is_some_and(|name| matches!(name.as_str(), "main" | "lib" | "mod")) {
                module.pop();
            }
            sources.insert(
                module,
                fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
            );
        }
    }
}

/// A path in a source. Those in a module within the file begin with `self` instead of its `super`.
struct Found {
    path: Vec<String>,
    is_public_use: bool,
}

struct Resolver<'a> {
    paths: &'a BTreeMap<&'a Module, Vec<Found>>,
}

impl Resolver<'_> {
    /// The file that has what `path` means in `module`. None for other crates. `depth`: how many re-exports are followed.
    fn module_of(&self, module: &Module, path: &[String], depth: usize) -> Option<Module> {
        let (mut found, mut rest) = match path.split_first()? {
            (first, rest) if first == "crate" => (Module::new(), rest),
            (first, rest) if first == "self" => (module.clone(), rest),
            (first, _) if first == "super" => {
                let supers = path.iter().take_while(|name| *name == "super").count();
                (module[..module.len().checked_sub(supers)?].to_vec(), &path[supers..])
            }
            (first, rest) => {
                let child = [module.as_slice(), std::slice::from_ref(first)].concat();
                self.paths.contains_key(&child).then_some((child, rest))?
            }
        };
        while let Some((name, further)) = rest.split_first() {
            let child = [found.as_slice(), std::slice::from_ref(name)].concat();
            if !self.paths.contains_key(&child) {
                break;
            }
            (found, rest) = (child, further);
        }
        let re_exported = rest.first().filter(|_| depth > 0).and_then(|name| {
            let is_export = |path: &&Found| path.is_public_use && path.path.last() == Some(name);
            let export = self.paths.get(&found)?.iter().find(is_export)?;
            self.module_of(&found, &export.path, depth - 1)
        });
        Some(re_exported.unwrap_or(found))
    }
}

/// All paths of a source that may lead to other files, without those of its tests.
fn found(source: &str) -> Vec<Found> {
    let code: Vec<&str> = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let code = code.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let tokens = tokens(code);
    let (mut found, mut position, mut depth, mut inner) = (Vec::new(), 0, 0_usize, Vec::new());
    while position < tokens.len() {
        let before = position.checked_sub(1).map_or("", |before| tokens[before]);
        let next = |ahead: usize| tokens.get(position + ahead).copied().unwrap_or_default();
        match tokens[position] {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                inner.retain(|&opened| opened <= depth);
            }
            "mod" if next(2) == "{" => inner.push(depth + 1),
            start if start == "use" || (matches!(start, "crate" | "super") && next(1) == "::" && before != "::") => {
                let first = position + usize::from(start == "use");
                let mut paths = Vec::new();
                position = tree(&tokens, first, &[], &mut paths);
                found.extend(paths.into_iter().map(|mut path| {
                    if path[0] == "super" && !inner.is_empty() {
                        path[0] = "self".into();
                    }
                    Found { path, is_public_use: start == "use" && (before == "pub" || before == ")") }
                }));
                continue;
            }
            _ => {}
        }
        position += 1;
    }
    found
}

/// Reads `a::b`, `a::{b, c::d}` or `a::*` from a position on, into one path each. Returns the position behind it.
fn tree(tokens: &[&str], mut position: usize, prefix: &[String], paths: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    loop {
        match tokens.get(position).copied() {
            Some("{") => {
                position += 1;
                while tokens.get(position).is_some_and(|&token| token != "}") {
                    let behind = tree(tokens, position, &path, paths);
                    position = behind.max(position + 1);
                    while tokens
                        .get(position)
                        .is_some_and(|token| matches!(*token, "," | "as") || (tokens[position - 1] == "as"))
                    {
                        position += 1;
                    }
                }
                return position + 1;
            }
            Some("self") if !prefix.is_empty() => position += 1,
            Some(name) if is_name(name) => {
                path.push(name.to_owned());
                position += 1;
            }
            Some("*") => position += 1,
            _ => break,
        }
        if tokens.get(position) != Some(&"::") {
            break;
        }
        position += 1;
    }
    if !path.is_empty() {
        paths.push(path);
    }
    position
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let length = if is_name(rest) {
            rest.find(|character: char| !character.is_alphanumeric() && character != '_').unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let (token, further) = rest.split_at(length);
        if !first.is_whitespace() {
            tokens.push(token);
        }
        rest = further;
    }
    tokens
}
