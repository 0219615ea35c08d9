//! The licences of what a layer is made of: they travel with it.

use std::{collections::BTreeMap, fmt::Write, fs, io, path::Path};

use super::crates::Crate;

/// Each text once, below the names of the crates it is for.
pub fn of_crates(source: &Path, crates: &[Crate]) -> io::Result<String> {
    let mut names_by_text: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for linked in crates {
        let folder = if linked.source.is_none() { source } else { linked.folder() };
        let name =
            format!("{} {} ({})", linked.name, linked.version, linked.license.as_deref().unwrap_or("no expression"));
        for text in texts(folder)? {
            names_by_text.entry(text).or_default().push(name.clone());
        }
    }
    let mut sorted: Vec<(Vec<String>, String)> = names_by_text.into_iter().map(|(text, names)| (names, text)).collect();
    sorted.sort();
    let mut all = String::from("The bootstrap is made of these crates, under these licences.\n");
    for (names, text) in sorted {
        let line = "-".repeat(80);
        write!(all, "\n{line}\n{}\n{line}\n\n{}\n", names.join("\n"), text.trim_end()).map_err(io::Error::other)?;
    }
    Ok(all)
}

fn texts(folder: &Path) -> io::Result<Vec<String>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().to_uppercase()).unwrap_or_default();
        if ["LICENSE", "LICENCE", "NOTICE", "COPYING"].iter().any(|start| name.starts_with(start)) && path.is_file() {
            texts.push(String::from_utf8_lossy(&fs::read(&path)?).replace('\r', ""));
        }
    }
    Ok(texts)
}
