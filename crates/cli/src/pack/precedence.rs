//! The function's files win over those of its requirements: also where import would choose otherwise.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    deployment::contents::{Contents, Entry, Part},
    failure::Failure,
};

/// What is packed of both, and a sentence for each module of a requirement that is left out.
pub fn merge(
    mut requirements: Vec<(String, Entry)>,
    function: Vec<(String, Entry)>,
) -> Result<(Contents, Vec<String>), Failure> {
    let notices = leave_out_shadowing(&mut requirements, &function);
    refuse_files_in_the_place_of_folders(&requirements, &function)?;
    let mut contents = Contents::default();
    for (path, entry) in requirements {
        contents.add(path, Part::Requirements, entry);
    }
    for (path, entry) in function {
        contents.add(path, Part::Function, entry);
    }
    Ok((contents, notices))
}

/// The place of a module: its folder, and its name. `__init__` is the module of its folder.
type Place<'a> = (&'a str, &'a str);

/// Where a file would be imported, and how early import looks for such a file: an extension module, then a source, then bytecode.
fn module(path: &str) -> Option<(Place<'_>, u8)> {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let (name, suffix) = file.split_once('.')?;
    let rank = match suffix {
        "so" | "abi3.so" => 0,
        "py" => 1,
        "pyc" => 2,
        tagged if tagged.starts_with("cpython-") && tagged.ends_with(".so") => 0,
        _ => return None,
    };
    Some(((folder, name), rank))
}

/// Removes modules of requirements that import would prefer to the function's: a package to a module, an extension module to a
/// source.
fn leave_out_shadowing(requirements: &mut Vec<(String, Entry)>, function: &[(String, Entry)]) -> Vec<String> {
    let mut own: BTreeMap<Place<'_>, (u8, &str)> = BTreeMap::new();
    for (path, _) in function {
        if let Some((place, rank)) = module(path) {
            let first = own.entry(place).or_insert((rank, path));
            *first = (*first).min((rank, path));
        }
    }
    let mut packages = BTreeMap::new();
    for (path, _) in &*requirements {
        let Some(((folder, "__init__"), _)) = module(path) else { continue };
        let place = folder.rsplit_once('/').unwrap_or(("", folder));
        if let (Some((_, file)), None) = (own.get(&place), own.get(&(folder, "__init__"))) {
            packages.insert(folder.to_owned(), (*file).to_owned());
        }
    }
    let mut notices: BTreeSet<String> = packages
        .iter()
        .map(|(folder, file)| format!("the function's {file} replaces {folder}/ of its requirements"))
        .collect();
    requirements.retain(|(path, _)| {
        let folders = path.match_indices('/').map(|(end, _)| &path[..end]);
        if folders.into_iter().any(|folder| packages.contains_key(folder)) {
            return false;
        }
        let Some((place, rank)) = module(path) else { return true };
        match own.get(&place) {
            Some((own_rank, file)) if rank < *own_rank => {
                notices.insert(format!("the function's {file} replaces {path} of its requirements"));
                false
            }
            _ => true,
        }
    });
    notices.into_iter().collect()
}

/// No folder can have both, so no zip with both can be unpacked.
fn refuse_files_in_the_place_of_folders(
    requirements: &[(String, Entry)],
    function: &[(String, Entry)],
) -> Result<(), Failure> {
    let first_in = |files: &[(String, Entry)]| -> BTreeMap<String, String> {
        let mut folders = BTreeMap::new();
        for (path, _) in files {
            for (end, _) in path.match_indices('/') {
                folders.entry(path[..end].to_owned()).or_insert_with(|| path.clone());
            }
        }
        folders
    };
    let theirs = first_in(requirements);
    let ours = first_in(function);
    let refused = |file: &str, of_file: &str, below: &str, of_folder: &str| {
        Failure::new(format!(
            "{file} is a file of {of_file} and a folder of {of_folder} ({below}): rename the function's, since both cannot be \
             unpacked"
        ))
    };
    if let Some((file, below)) = function.iter().find_map(|(path, _)| Some((path, theirs.get(path)?))) {
        return Err(refused(file, "the function", below, "its requirements"));
    }
    if let Some((file, below)) = requirements.iter().find_map(|(path, _)| Some((path, ours.get(path)?))) {
        return Err(refused(file, "the requirements", below, "the function"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Entry, merge};

    fn files(paths: &[&str]) -> Vec<(String, Entry)> {
        paths.iter().map(|path| ((*path).to_owned(), Entry::File(path.as_bytes().to_vec()))).collect()
    }

    fn merged(requirements: &[&str], function: &[&str]) -> (Vec<String>, usize) {
        let (contents, notices) = merge(files(requirements), files(function)).expect("no conflict");
        (contents.0.into_keys().collect(), notices.len())
    }

    #[test]
    fn a_package_of_a_requirement_does_not_hide_the_functions_module() {
        let requirements = ["yaml/__init__.py", "yaml/reader.py", "yaml-6.dist-info/METADATA", "yamls/__init__.py"];
        let kept = ["yaml-6.dist-info/METADATA", "yaml.py", "yamls/__init__.py"];
        assert_eq!(merged(&requirements, &["yaml.py"]), (kept.map(str::to_owned).to_vec(), 1));
        let requirements = ["google/yaml/__init__.py", "google/yaml/a/b.py", "yaml/__init__.py"];
        let kept = ["google/yaml.abi3.so", "yaml/__init__.py"];
        assert_eq!(merged(&requirements, &["google/yaml.abi3.so"]), (kept.map(str::to_owned).to_vec(), 1));
    }

    #[test]
    fn an_extension_module_of_a_requirement_does_not_hide_the_functions_source() {
        let requirements = ["fast.cpython-314-x86_64-linux-gnu.so", "fast.so", "faster.so", "p/__init__.abi3.so"];
        let kept = ["fast.py", "faster.so", "p/__init__.py"];
        assert_eq!(merged(&requirements, &["fast.py", "p/__init__.py"]), (kept.map(str::to_owned).to_vec(), 3));
    }

    #[test]
    fn files_that_hide_nothing_stay() {
        // The function adds to a package, replaces one, has a namespace package in its place, or data of the same name.
        for function in [&["yaml/more.py"][..], &["yaml/__init__.py", "yaml.py"], &["yaml/data.txt"], &["yaml.txt"]] {
            let mut all: Vec<_> = ["yaml/__init__.py", "yaml/reader.py"].iter().chain(function).copied().collect();
            all.sort_unstable();
            all.dedup();
            assert_eq!(
                merged(&["yaml/__init__.py", "yaml/reader.py"], function),
                (all.iter().map(|path| (*path).to_owned()).collect(), 0)
            );
        }
    }

    #[test]
    fn a_file_in_the_place_of_a_folder_is_refused() {
        let refused = |requirements: &[&str], function: &[&str]| {
            merge(files(requirements), files(function)).expect_err("both cannot be unpacked").to_string()
        };
        let said = refused(&["yaml/__init__.py"], &["yaml"]);
        assert!(
            said.starts_with("yaml is a file of the function and a folder of its requirements (yaml/__init__.py): "),
            "{said}"
        );
        let said = refused(&["a/data"], &["a/data/x", "b"]);
        assert!(
            said.starts_with("a/data is a file of the requirements and a folder of the function (a/data/x): "),
            "{said}"
        );
    }
}
