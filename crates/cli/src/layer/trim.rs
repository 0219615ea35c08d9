//! What of a standard library stays at home: the list in `layer/trim.json`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::failure::Failure;

const LIST: &str = include_str!("../../../../layer/trim.json");

/// Things that a function on Lambda has no use for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trim {
    name: String,
    /// Paths below the standard library's folder; `*` stands for any characters but a slash.
    #[serde(default)]
    paths: Vec<String>,
    /// Such paths, of files that stay and whose bytecode is left out: Python compiles them when they are imported.
    #[serde(default)]
    bytecode: Vec<String>,
    /// Paths with the module in C that makes each superfluous: left out where the Python has that.
    #[serde(default)]
    replaced: BTreeMap<String, String>,
    reason: String,
}

/// The list without what is to be kept.
pub fn list(keep: &[String]) -> Result<Vec<Trim>, Failure> {
    let list: Vec<Trim> = serde_json::from_str(LIST)
        .map_err(|error| Failure::new(format!("reading the list of what is left out, layer/trim.json: {error}")))?;
    if let Some(unknown) = keep.iter().find(|name| !list.iter().any(|trim| trim.name == **name)) {
        let known: Vec<String> = list.iter().map(|trim| format!("\n  {}: {}", trim.name, trim.reason)).collect();
        return Err(Failure::new(format!("nothing that is left out is called {unknown}; there is{}", known.concat())));
    }
    Ok(list.into_iter().filter(|trim| !keep.contains(&trim.name)).collect())
}

impl Trim {
    /// Keeps the files that this Python has no module in C for.
    pub fn spare_what_is_not_replaced(&mut self, extension_modules: &BTreeSet<String>) {
        self.replaced.retain(|_, module| extension_modules.contains(module));
    }

    /// Whether something is left out, by its path below the standard library's folder.
    pub fn covers(&self, path: &str) -> bool {
        self.replaced.contains_key(path) || self.paths.iter().any(|pattern| matches(pattern, path))
    }

    /// Whether a file's bytecode is left out.
    pub fn covers_bytecode_of(&self, path: &str) -> bool {
        self.bytecode.iter().any(|pattern| matches(pattern, path))
    }
}

fn matches(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((start, rest)) => path.strip_prefix(start).is_some_and(|path| {
            let end = path.find('/').unwrap_or(path.len());
            (0..=end).filter(|&at| path.is_char_boundary(at)).any(|at| matches(rest, &path[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{list, matches};

    #[test]
    fn a_star_stops_at_a_slash() {
        assert!(matches("config-*", "config-3.14-x86_64-linux-gnu"));
        assert!(matches("*/test", "unittest/test"));
        assert!(!matches("*/test", "a/b/test") && !matches("test", "test/x") && !matches("config-*", "config-a/b"));
    }

    #[test]
    fn what_is_kept_is_not_on_the_list() {
        let has_tests = |keep: &[String]| list(keep).expect("a good list").iter().any(|trim| trim.covers("test"));
        assert!(has_tests(&[]));
        assert!(!has_tests(&["tests".into()]));
    }

    #[test]
    fn what_stands_in_for_a_missing_module_stays() {
        let mut list = list(&[]).expect("a good list");
        let modules = ["_datetime", "_io"].map(str::to_owned).into();
        for trim in &mut list {
            trim.spare_what_is_not_replaced(&modules);
        }
        let is_left_out = |path: &str| list.iter().any(|trim| trim.covers(path));
        assert!(is_left_out("_pydatetime.py") && is_left_out("_pyio.py"));
        assert!(!is_left_out("_pydecimal.py"));
    }

    #[test]
    fn a_table_stays_without_its_bytecode() {
        let list = list(&[]).expect("a good list");
        let table = "encodings/mac_greek.py";
        assert!(list.iter().any(|trim| trim.covers_bytecode_of(table)) && !list.iter().any(|trim| trim.covers(table)));
        assert!(!list.iter().any(|trim| trim.covers_bytecode_of("encodings/cp1252.py")));
    }

    #[test]
    fn a_name_that_is_not_on_the_list_is_answered_with_those_that_are() {
        let said = list(&["curses".into()]).expect_err("no such name").to_string();
        assert!(said.starts_with("nothing that is left out is called curses; there is\n  tests: "), "{said}");
    }
}
