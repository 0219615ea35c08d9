//! The layers of the bootstrap, and no circles of imports between the files of a crate (docs/architecture.md).

mod imports;

use imports::{Crate, Module};

/// The layers of `crates/bootstrap/src`, lowest first. A file imports from its own layer and from lower ones.
const LAYERS: &[&[&str]] = &[
    &["build_info", "imported_modules", "older_functions"],
    &["start"],
    &["report"],
    &["shutdown"],
    &["init"],
    &["invoke"],
    &["concurrency"],
    &["checkpoint"],
    &["main"],
];

/// Crates in which no file imports, directly or through others, a file that imports it.
const WITHOUT_CIRCLES: &[&str] = &["runtime-api", "marshal", "emulator", "bootstrap"];

/// The most lines that a file of the bootstrap may have.
const LONGEST_FILE: usize = 400;

fn layer(module: &Module) -> usize {
    let folder = module.first().map_or("main", String::as_str);
    LAYERS
        .iter()
        .position(|names| names.contains(&folder))
        .unwrap_or_else(|| panic!("{folder} is in no layer: add it to LAYERS in {}", file!()))
}

#[test]
fn the_bootstrap_imports_downward_only() {
    let upward: Vec<String> = Crate::read("bootstrap")
        .imports()
        .filter(|(from, to)| layer(to) > layer(from))
        .map(|(from, to)| format!("{} imports {}", from.join("::"), to.join("::")))
        .collect();
    assert!(upward.is_empty(), "a lower layer imports from a higher one: {upward:#?}");
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    for &name in WITHOUT_CIRCLES {
        let read = Crate::read(name);
        let circle: Vec<String> = read.circle().into_iter().flatten().map(|module| module.join("::")).collect();
        assert!(circle.is_empty(), "files of crates/{name} import each other in a circle: {circle:?}");
    }
}

#[test]
fn no_file_of_the_bootstrap_is_too_long() {
    for (module, source) in Crate::read("bootstrap").sources() {
        let (name, lines) = (module.join("/"), source.lines().count());
        assert!(lines <= LONGEST_FILE, "{name} has {lines} lines, more than {LONGEST_FILE}: split it");
    }
}

#[test]
fn a_circle_is_found_through_re_exports_and_lists() {
    let circular = Crate::from_sources(&[
        ("", "mod a;\nmod b;\npub use b::Thing;\n"),
        ("a", "use crate::Thing;\n"),
        ("b", "use std::fmt;\nuse super::{a::{self, Other}};\npub struct Thing;\n"),
    ]);
    assert_eq!(circular.circle().map(|circle| circle.len()), Some(2));
    let straight = Crate::from_sources(&[
        ("", "mod a;\nmod b;\nuse a::Thing;\n"),
        (
            "a",
            "// use crate::b::Thing;\npub struct Thing;\nmod inner { use super::Thing; }\n#[cfg(test)]\nmod tests { use crate::b; }\n",
        ),
        ("b", "fn b() -> crate::a::Thing { crate::a::Thing }\n"),
    ]);
    assert!(straight.circle().is_none());
    let imports: Vec<_> = straight.imports().map(|(from, to)| (from.join("::"), to.join("::"))).collect();
    assert!(imports.contains(&("b".into(), "a".into())), "{imports:?}");
}
