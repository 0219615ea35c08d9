//! What CPython's build recorded about itself names folders of the machine that built it: in a layer it names the layer's.

use super::{
    contents::{HOME, ROOT},
    prefix::Prefix,
};

/// What stands for folders that no other machine has, such as the one with CPython's sources.
const ELSEWHERE: &str = "/build";

/// Folders of which every machine has one: nothing in there tells machines apart.
const EVERYWHERE: &[&str] = &["bin", "dev", "etc", "lib", "lib64", "proc", "sbin", "sys", "usr"];

/// Options of compilers that a path follows without a space.
const OPTIONS: &[char] = &['B', 'F', 'I', 'L', 'R'];

/// Whether a file of the standard library holds such a record, by its path.
pub fn is_record(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let folder = folder.rsplit('/').next().unwrap_or(folder);
    ["_sysconfigdata", "_sysconfig_vars", "build-details"].iter().any(|start| name.starts_with(start))
        // Packed with `--keep build`.
        || folder.starts_with("config-") && (name == "Makefile" || name.starts_with("Setup") || name.ends_with(".py"))
}

/// The record as it is in a layer.
pub fn relocate(record: &[u8], prefix: &Prefix) -> Vec<u8> {
    let text = String::from_utf8_lossy(record);
    let mut prefixes: Vec<String> = prefix.folders().map(|folder| folder.display().to_string()).collect();
    // A Python that was moved still has the folder that it was installed in.
    prefixes.extend(["prefix", "exec_prefix"].iter().filter_map(|name| value(&text, name)).map(str::to_owned));
    relocate_text(&text, prefixes).into_bytes()
}

fn relocate_text(text: &str, mut prefixes: Vec<String>) -> String {
    prefixes.retain(|prefix| prefix.starts_with('/') && prefix.len() > 1);
    // The longest first: one may lie in another.
    prefixes.sort_by_key(|prefix| std::cmp::Reverse(prefix.len()));
    let home = format!("{ROOT}/{HOME}");
    let mut relocated = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('/') {
        let (before, path) = rest.split_at(at);
        relocated.push_str(before);
        let known = prefixes
            .iter()
            .find(|prefix| path.strip_prefix(prefix.as_str()).is_some_and(|after| !after.starts_with(is_in_name)));
        let replaced = match known {
            _ if is_time_zones(path) => None,
            Some(prefix) if begins_path(&relocated) || is_after_a_dot(&relocated) => {
                Some((home.as_str(), prefix.len()))
            }
            None if begins_path(&relocated) => elsewhere(path).map(|length| (ELSEWHERE, length)),
            _ => None,
        };
        if let Some((new, length)) = replaced {
            relocated.push_str(new);
            rest = &path[length..];
            // What follows belongs to the same path.
            let end = rest.find(|character| !is_in_path(character)).unwrap_or(rest.len());
            relocated.push_str(&rest[..end]);
            rest = &rest[end..];
        } else {
            let end = path.find(|character| !is_in_path(character)).unwrap_or(path.len());
            relocated.push_str(&path[..end]);
            rest = &path[end..];
        }
    }
    relocated.push_str(rest);
    relocated
}

/// Whether a path is that of the system's time zones: Lambda has them where they are here, and not in the layer.
fn is_time_zones(path: &str) -> bool {
    let end = path.find(|character| !is_in_path(character)).unwrap_or(path.len());
    path[..end].ends_with("/zoneinfo")
}

/// How long an absolute path is that names a folder of one machine.
fn elsewhere(path: &str) -> Option<usize> {
    let length = path.find(|character| !is_in_path(character)).unwrap_or(path.len());
    let top = path[1..length].split('/').next().unwrap_or_default();
    // None at the top: the root, and what follows the colon of a URL.
    (!top.is_empty() && !EVERYWHERE.contains(&top)).then_some(length)
}

/// Whether an absolute path may begin behind this text. A slash in the middle of a relative path begins none.
fn begins_path(before: &str) -> bool {
    let mut characters = before.chars().rev();
    match characters.next() {
        None => true,
        Some(option) if OPTIONS.contains(&option) => {
            characters.next() == Some('-') && characters.next().is_none_or(|before| !is_in_path(before))
        }
        Some(character) => !is_in_path(character) && !matches!(character, '}' | ')' | '*'),
    }
}

/// Whether the text ends with a dot that is a path of its own: CPython's Makefile has paths such as `./$(prefix)/lib`.
fn is_after_a_dot(before: &str) -> bool {
    before.strip_suffix('.').is_some_and(|before| !before.ends_with(is_in_path))
}

fn is_in_name(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-' | '.' | '+' | '~' | '@' | '%')
}

fn is_in_path(character: char) -> bool {
    is_in_name(character) || character == '/'
}

/// The value of a variable, in Python's or in JSON's words.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    ['\'', '"'].iter().find_map(|quote| {
        let (_, rest) = text.split_once(&format!("{quote}{name}{quote}: {quote}"))?;
        rest.split_once(*quote).map(|(value, _)| value)
    })
}

#[cfg(test)]
mod tests {
    use super::{is_record, relocate_text, value};

    fn relocated(text: &str) -> String {
        relocate_text(text, vec!["/home/ann/python".into(), "/home/ann/python/exec".into(), "/".into()])
    }

    #[test]
    fn the_prefix_becomes_the_layers() {
        for (before, after) in [
            ("'LIBDIR': '/home/ann/python/lib',", "'LIBDIR': '/opt/whipsnake/lib',"),
            ("'prefix': '/home/ann/python'", "'prefix': '/opt/whipsnake'"),
            ("-I/home/ann/python/include -L/home/ann/python/lib", "-I/opt/whipsnake/include -L/opt/whipsnake/lib"),
            ("-Wl,-rpath,/home/ann/python/exec/lib", "-Wl,-rpath,/opt/whipsnake/lib"),
            ("A=/home/ann/python:/home/ann/python/bin", "A=/opt/whipsnake:/opt/whipsnake/bin"),
            ("'WASM_STDLIB': './home/ann/python/lib/os.py'", "'WASM_STDLIB': './opt/whipsnake/lib/os.py'"),
        ] {
            assert_eq!(relocated(before), after);
        }
    }

    #[test]
    fn folders_of_one_machine_are_not_named() {
        for (before, after) in [
            ("'abs_srcdir': '/home/ann/Python-3.14/..'", "'abs_srcdir': '/build'"),
            ("-I/root/deps/include/ssl -O2", "-I/build -O2"),
            ("'/home/ann/python-2/lib'", "'/build'"),
            ("LD_LIBRARY_PATH=/tmp/x ./python", "LD_LIBRARY_PATH=/build ./python"),
            ("-ffile-prefix-map=/work/a=. -g", "-ffile-prefix-map=/build=. -g"),
        ] {
            assert_eq!(relocated(before), after);
        }
    }

    #[test]
    fn what_every_machine_has_stays() {
        for text in [
            "'TZPATH': '/usr/share/zoneinfo:/usr/lib/zoneinfo'",
            "'SHELL': '/bin/sh -e'",
            "'../Modules/_hacl -I../Modules/_hacl/include Modules/home/ann'",
            "https://home/ann/python/x",
            "./tmp/x",
            "'n/a' '/' -DX=a/b $(srcdir)/tmp/x ${prefix}/lib s/tmp/x/",
        ] {
            assert_eq!(relocated(text), text);
        }
    }

    #[test]
    fn a_systems_own_python_keeps_the_systems_time_zones() {
        let text = "'LIBDIR': '/usr/lib', 'TZPATH': '/usr/share/zoneinfo:/usr/lib/zoneinfo'";
        let expected = "'LIBDIR': '/opt/whipsnake/lib', 'TZPATH': '/usr/share/zoneinfo:/usr/lib/zoneinfo'";
        assert_eq!(relocate_text(text, vec!["/usr".into()]), expected);
    }

    #[test]
    fn records_are_known_by_their_names() {
        for path in ["lib/python3.14/_sysconfigdata__linux_x86_64-linux-gnu.py", "a/config-3.14-x/Makefile"] {
            assert!(is_record(path), "{path}");
        }
        for path in ["lib/python3.14/sysconfig/__init__.py", "lib/python3.14/Makefile", "config-3.14/libpython3.14.a"] {
            assert!(!is_record(path), "{path}");
        }
    }

    #[test]
    fn variables_are_read_from_both_forms() {
        assert_eq!(value("build_time_vars = {'prefix': '/a',\n 'exec_prefix': '/b'}", "exec_prefix"), Some("/b"));
        assert_eq!(value("{\n  \"prefix\": \"/a\"\n}", "prefix"), Some("/a"));
        assert_eq!(value("prefix: /a", "prefix"), None);
    }
}
