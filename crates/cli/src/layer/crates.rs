//! The crates that a bootstrap is made of, by cargo's own account.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::Deserialize;

use super::architecture::Architecture;
use crate::failure::Failure;

/// The crate of the bootstrap.
pub const BOOTSTRAP: &str = "whipsnake-bootstrap";

/// A crate, at the version that is built in.
#[derive(Clone, Debug, Deserialize)]
pub struct Crate {
    id: String,
    /// Its name on crates.io.
    pub name: String,
    /// Its version.
    pub version: String,
    /// An SPDX expression, where it names one.
    pub license: Option<String>,
    /// None for what is part of this project.
    pub source: Option<String>,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Clone, Debug, Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Crate>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

/// Null for an ordinary dependency, else `dev` or `build`.
#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

impl Crate {
    /// The folder of its sources.
    pub fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(Path::new(""))
    }

    /// Whether it runs when the bootstrap is compiled, and is not in there.
    fn is_for_the_compiler(&self) -> bool {
        self.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "proc-macro"))
    }
}

/// Everything that is linked into the bootstrap, sorted by name.
pub fn of_bootstrap(source: &Path, architecture: Architecture) -> Result<Vec<Crate>, Failure> {
    let failed = |what: &str| Failure::new(format!("asking cargo for the crates of {}: {what}", source.display()));
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", architecture.target()])
        .current_dir(source)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(&error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim()));
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout).map_err(|error| failed(&error.to_string()))?;
    let crates: BTreeMap<&str, &Crate> = metadata.packages.iter().map(|found| (found.id.as_str(), found)).collect();
    let nodes: BTreeMap<&str, &Node> = metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let bootstrap =
        crates.values().find(|found| found.name == BOOTSTRAP).ok_or_else(|| failed("no bootstrap in there"))?;
    let (mut waiting, mut seen) = (vec![bootstrap.id.as_str()], BTreeSet::new());
    while let Some(id) = waiting.pop() {
        if crates.get(id).is_none_or(|found| found.is_for_the_compiler()) || !seen.insert(id) {
            continue;
        }
        for dependency in nodes.get(id).map_or(&[][..], |node| &node.deps) {
            if dependency.dep_kinds.iter().any(|kind| kind.kind.is_none()) {
                waiting.push(&dependency.pkg);
            }
        }
    }
    let mut linked: Vec<Crate> = seen.into_iter().map(|id| crates[id].clone()).collect();
    linked.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    Ok(linked)
}
