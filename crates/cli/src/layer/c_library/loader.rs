//! The dynamic loader of a Python, and which libraries it finds.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::super::{architecture::Architecture, elf::Elf};
use crate::failure::Failure;

/// The loader of an interpreter, which is asked instead of searching as it would.
pub struct Loader {
    /// Where it lies on this machine.
    pub path: PathBuf,
    /// The folder that stands for `/` where its programs run: another one than this machine's for another processor.
    root: PathBuf,
    executable: PathBuf,
}

impl Loader {
    /// The loader that an executable asks for.
    pub fn of(executable: &Path, architecture: Architecture) -> Result<Self, Failure> {
        let name = executable.display();
        let cannot = |what: String| Failure::new(format!("no C library can be packed: {what}; take --libc system"));
        let file = fs::read(executable).map_err(|error| cannot(format!("reading {name}: {error}")))?;
        let elf = Elf::read(&file, architecture).map_err(|reason| cannot(format!("{name}: {reason}")))?;
        let Some(wanted) = elf.and_then(|elf| elf.interpreter) else {
            return Err(cannot(format!("{name} has no dynamic loader")));
        };
        if !wanted.rsplit('/').next().is_some_and(|name| name.starts_with("ld-linux")) {
            return Err(cannot(format!("{name} is not for glibc: its loader is {wanted}")));
        }
        let roots = roots(architecture);
        let is_it = |path: &PathBuf| {
            fs::read(path).is_ok_and(|file| Elf::read(&file, architecture).is_ok_and(|elf| elf.is_some()))
        };
        let found = roots.iter().find_map(|root| {
            let path = within(root, &wanted);
            is_it(&path).then(|| Self { path, root: root.clone(), executable: executable.to_owned() })
        });
        found.ok_or_else(|| {
            let searched: Vec<String> = roots.iter().map(|root| root.display().to_string()).collect();
            cannot(format!("the loader of {name}, {wanted} for {architecture}, is not in {}", searched.join(", ")))
        })
    }

    /// Where it finds these libraries for the executable. Those that it does not find are left out.
    pub fn find(&self, libraries: &[&str]) -> Result<BTreeMap<String, PathBuf>, Failure> {
        let failed = |what: &str| Failure::new(format!("asking {} for its libraries: {what}", self.path.display()));
        let output = Command::new(&self.path)
            .args(["--preload", &libraries.join(" "), "--list"])
            .arg(&self.executable)
            .env_remove("LD_LIBRARY_PATH")
            .env_remove("LD_PRELOAD")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| failed(&error.to_string()))?;
        let mut found = listed(&String::from_utf8_lossy(&output.stdout));
        found.retain(|name, _| libraries.contains(&name.as_str()));
        if found.is_empty() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(failed(said.trim().lines().last().unwrap_or("it lists none")));
        }
        Ok(found.into_iter().map(|(name, path)| (name, self.on_this_machine(&path))).collect())
    }

    /// An emulator shows files below the root as if they were below `/`.
    fn on_this_machine(&self, path: &str) -> PathBuf {
        let translated = within(&self.root, path);
        if translated.exists() { translated } else { PathBuf::from(path) }
    }
}

/// The folders that may stand for `/`: of another processor's programs, where emulators and cross compilers have their libraries.
fn roots(architecture: Architecture) -> Vec<PathBuf> {
    let here = PathBuf::from("/");
    if Architecture::of_this_machine().is_ok_and(|own| own == architecture) {
        return vec![here];
    }
    let triplet = architecture.triplet();
    let processor = triplet.split('-').next().unwrap_or(triplet);
    let named = env::var_os("QEMU_LD_PREFIX").map(PathBuf::from);
    let usual = [format!("/etc/qemu-binfmt/{processor}"), format!("/usr/{triplet}")].map(PathBuf::from);
    named.into_iter().chain(usual).chain([here]).collect()
}

fn within(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// Names and paths in what `ld.so --list` prints.
fn listed(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| line.trim().split_once(" => "));
    let found = lines.filter_map(|(name, rest)| {
        let path = rest.rsplit_once(" (0x").map_or(rest, |(path, _)| path);
        path.starts_with('/').then(|| (name.to_owned(), path.to_owned()))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn the_loaders_list_is_read() {
        let text = "\tlinux-vdso.so.1 (0x00007fd017a19000)\n\tlibm.so.6 => /usr/lib/libm.so.6 (0x00007fd017923000)\n\
                    \tlibpython3.14.so.1.0 => not found\n\tlibc.so.6 => /a folder/libc.so.6 (0x00007fd016c1e000)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007fd017a1b000)\n";
        let expected = [("libc.so.6", "/a folder/libc.so.6"), ("libm.so.6", "/usr/lib/libm.so.6")];
        let expected = expected.map(|(name, path)| (name.to_owned(), path.to_owned())).into();
        assert_eq!(listed(text), expected);
    }
}
