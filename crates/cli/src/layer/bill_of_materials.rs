//! What is in a layer, for machines that look for known holes: CycloneDX, as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    archive::sha256,
    c_library::Package,
    contents::{Contents, Entry, Part},
    crates::Crate,
    prefix::Prefix,
};

/// Who publishes each of CPython's libraries, as vulnerability databases have it.
const PUBLISHERS: &[(&str, &str)] = &[
    ("openssl", "openssl"),
    ("sqlite", "sqlite"),
    ("zlib", "zlib"),
    ("expat", "libexpat_project"),
    ("zstd", "facebook"),
];

/// CPython, the libraries whose version it tells, the packages of the C library if the layer has its own, and every crate.
pub fn of_runtime(prefix: &Prefix, crates: &[Crate], packages: &[Package]) -> Vec<Value> {
    let mut components = vec![library("cpython", &prefix.version, Some("python"), "python")];
    for (name, version) in &prefix.versions {
        let publisher = PUBLISHERS.iter().find(|(library, _)| library == name).map(|(_, publisher)| *publisher);
        let product = if name == "expat" { "libexpat" } else { name };
        components.push(library(name, version, publisher, product));
    }
    components.extend(packages.iter().map(|package| {
        let Package { name, version, .. } = package;
        json!({"type": "library", "name": name, "version": version, "purl": package.url()})
    }));
    components.extend(crates.iter().filter(|linked| linked.source.is_some()).map(of_crate));
    components
}

/// Packages of PyPI.
pub fn of_packages(packages: &BTreeMap<String, String>) -> Vec<Value> {
    let package = |(name, version): (&String, &String)| json!({"type": "library", "name": name, "version": version, "purl": format!("pkg:pypi/{name}@{version}")});
    packages.iter().map(package).collect()
}

/// The components, and each shared library as a file with its fingerprint.
pub fn write(components: &[Value], contents: &Contents) -> Value {
    let files = contents.0.iter().filter_map(|(path, (part, entry))| match entry {
        Entry::File(bytes) | Entry::Program(bytes) if *part == Part::SharedLibraries => Some(json!({
            "type": "file", "name": path, "hashes": [{"alg": "SHA-256", "content": sha256(bytes)}],
        })),
        _ => None,
    });
    let components: Vec<Value> = components.iter().cloned().chain(files).collect();
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {
            "type": "application",
            "name": "whipsnake",
            "version": env!("CARGO_PKG_VERSION"),
            "licenses": [{"expression": env!("CARGO_PKG_LICENSE")}],
        }},
        "components": components,
    })
}

fn library(name: &str, version: &str, publisher: Option<&str>, product: &str) -> Value {
    let mut component =
        json!({"type": "library", "name": name, "version": version, "purl": format!("pkg:generic/{name}@{version}")});
    if let Some(publisher) = publisher {
        component["cpe"] = format!("cpe:2.3:a:{publisher}:{product}:{version}:*:*:*:*:*:*:*").into();
    }
    component
}

fn of_crate(linked: &Crate) -> Value {
    let (name, version) = (&linked.name, &linked.version);
    let mut component =
        json!({"type": "library", "name": name, "version": version, "purl": format!("pkg:cargo/{name}@{version}")});
    if let Some(license) = &linked.license {
        // Older crates write MIT/Apache-2.0.
        component["licenses"] = json!([{"expression": license.replace('/', " OR ")}]);
    }
    component
}
