//! The packages of this machine's distribution that files come from: their versions, and the licences that travel with a copy.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::failure::Failure;

/// Where Debian and its descendants have the texts that copyright files refer to.
const COMMON: &str = "/usr/share/common-licenses/";

/// A package of a distribution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// Such as `libc6` and `glibc`.
    pub name: String,
    /// As the distribution counts.
    pub version: String,
    /// `deb` or `rpm`.
    kind: &'static str,
    architecture: String,
    /// What it was built from.
    source: String,
    /// The files that were asked for.
    pub files: Vec<PathBuf>,
    /// The texts of its licences, by their paths in the layer's folder for these.
    pub licences: BTreeMap<String, Vec<u8>>,
}

impl Package {
    /// Its package URL, by which scanners look for known vulnerabilities.
    pub fn url(&self) -> String {
        let (distribution, version) = distribution(&fs::read_to_string("/etc/os-release").unwrap_or_default());
        let Package { name, kind, architecture, source, .. } = self;
        format!(
            "pkg:{kind}/{distribution}/{}@{}?arch={architecture}&distro={distribution}-{version}&upstream={}",
            encoded(name),
            encoded(&self.version),
            encoded(source),
        )
    }
}

/// The packages that these files belong to. Fails where that of a file is not known, because a copy needs its licence.
pub fn owners(files: &[&Path]) -> Result<Vec<Package>, Failure> {
    let mut packages: Vec<Package> = Vec::new();
    for file in files {
        let package = names_of(file).iter().find_map(|name| debian(name).or_else(|| rpm(name))).ok_or_else(|| {
            Failure::new(format!(
                "neither dpkg nor rpm knows the package of {}, whose licence has to travel with a copy: take --libc system",
                file.display()
            ))
        })?;
        match packages
            .iter_mut()
            .find(|known| (&known.name, &known.architecture) == (&package.name, &package.architecture))
        {
            Some(known) => known.files.push(file.to_path_buf()),
            None => packages.push(Package { files: vec![file.to_path_buf()], ..package }),
        }
    }
    for package in &mut packages {
        package.licences = if package.kind == "deb" { copyright(&package.name)? } else { licence_files(package)? };
    }
    // Packages of one source share a text: it lies with one of them.
    let has_none =
        |package: &&Package| !packages.iter().any(|other| other.source == package.source && !other.licences.is_empty());
    match packages.iter().find(has_none) {
        None => Ok(packages),
        Some(package) => Err(Failure::new(format!(
            "the licence of {} is not installed, and has to travel with a copy: install the package with its documentation, or take --libc system",
            package.name
        ))),
    }
}

/// The paths by which a package may have a file: some distributions list `/lib`, which is a link to `/usr/lib`.
fn names_of(file: &Path) -> Vec<PathBuf> {
    let mut names = vec![file.to_path_buf()];
    names.extend(fs::canonicalize(file));
    let others: Vec<PathBuf> = names
        .iter()
        .map(|name| match name.strip_prefix("/usr") {
            Ok(rest) => Path::new("/").join(rest),
            Err(_) => Path::new("/usr").join(name.strip_prefix("/").unwrap_or(name)),
        })
        .collect();
    names.extend(others);
    names
}

fn debian(file: &Path) -> Option<Package> {
    let said = told("dpkg-query", &["--search".as_ref(), file.as_os_str()])?;
    let name = owner(&said)?;
    let said = told(
        "dpkg-query",
        &[
            "--show".as_ref(),
            "--showformat=${Package}\\t${Version}\\t${Architecture}\\t${source:Package}\\n".as_ref(),
            name.as_ref(),
        ],
    )?;
    described("deb", &said)
}

fn rpm(file: &Path) -> Option<Package> {
    let format = "%{NAME}\\t%{VERSION}-%{RELEASE}\\t%{ARCH}\\t%{SOURCERPM}\\n";
    described(
        "rpm",
        &told(
            "rpm",
            &["--query".as_ref(), "--queryformat".as_ref(), format.as_ref(), "--file".as_ref(), file.as_os_str()],
        )?,
    )
}

/// The package in what dpkg says of a file: `libc6:amd64: /lib/x86_64-linux-gnu/libc.so.6`.
fn owner(said: &str) -> Option<&str> {
    let line = said.lines().find(|line| !line.starts_with("diversion by "))?;
    let (packages, _) = line.split_once(": ")?;
    packages.split(", ").next()
}

/// A line with name, version, architecture and source.
fn described(kind: &'static str, said: &str) -> Option<Package> {
    let mut fields = said.lines().next()?.split('\t').map(str::to_owned);
    let (name, version, architecture, source) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    Some(Package { name, version, kind, architecture, source, ..Package::default() })
}

/// What a program prints, if it succeeds.
fn told(program: &str, arguments: &[&std::ffi::OsStr]) -> Option<String> {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Debian's copyright file, and the common licences that it refers to.
fn copyright(package: &str) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let Ok(text) = fs::read(format!("/usr/share/doc/{package}/copyright")) else { return Ok(BTreeMap::new()) };
    let mut licences = BTreeMap::new();
    for name in common(&String::from_utf8_lossy(&text)) {
        licences.insert(format!("common-licenses/{name}"), read(&format!("{COMMON}{name}"))?);
    }
    licences.insert(format!("{package}/copyright"), text);
    Ok(licences)
}

/// The names of the common licences that a text refers to.
fn common(text: &str) -> Vec<&str> {
    let names = text.split(COMMON).skip(1).map(|rest| {
        let end = rest.find(|character: char| !character.is_ascii_alphanumeric() && !matches!(character, '-' | '.'));
        rest[..end.unwrap_or(rest.len())].trim_end_matches('.')
    });
    names.filter(|name| !name.is_empty()).collect()
}

fn licence_files(package: &Package) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let name = format!("{}.{}", package.name, package.architecture);
    let said = told("rpm", &["--query".as_ref(), "--licensefiles".as_ref(), name.as_ref()]).unwrap_or_default();
    let paths = said.lines().filter(|line| line.starts_with('/'));
    let in_layer = |path: &str| format!("{}/{}", package.name, path.rsplit('/').next().unwrap_or(path));
    paths.filter(|path| Path::new(path).is_file()).map(|path| Ok((in_layer(path), read(path)?))).collect()
}

fn read(path: &str) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::new(format!("reading the licence {path}: {error}")))
}

/// Name and version of a distribution, as `/etc/os-release` has them.
fn distribution(release: &str) -> (String, String) {
    let value = |key: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
    };
    (value("ID"), value("VERSION_ID"))
}

/// A part of a package URL.
fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte);
    text.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{common, described, distribution, encoded, names_of, owner};

    #[test]
    fn dpkgs_words_are_read() {
        assert_eq!(owner("libc6:amd64: /lib/x86_64-linux-gnu/libc.so.6\n"), Some("libc6:amd64"));
        assert_eq!(owner("diversion by a from: /lib/x\nb: /lib/x\n"), Some("b"));
        assert_eq!(owner(""), None);
        let package = described("deb", "libgcc-s1\t12.2.0-14+deb12u1\tamd64\tgcc-12\n").expect("four fields");
        assert_eq!((&*package.name, &*package.version, &*package.source), ("libgcc-s1", "12.2.0-14+deb12u1", "gcc-12"));
    }

    #[test]
    fn common_licences_are_found_in_sentences() {
        let text = "see `/usr/share/common-licenses/LGPL-2.1'.\n in /usr/share/common-licenses/GPL. /usr/share/common-licenses/";
        assert_eq!(common(text), ["LGPL-2.1", "GPL"]);
    }

    #[test]
    fn a_distribution_is_named() {
        assert_eq!(
            distribution("NAME=\"Amazon Linux\"\nID=\"amzn\"\nVERSION_ID=\"2023\"\n"),
            ("amzn".into(), "2023".into())
        );
        assert_eq!(encoded("1:2.36-9+deb12u14~a"), "1:2.36-9%2Bdeb12u14~a");
    }

    #[test]
    fn a_file_may_be_known_below_usr_or_not() {
        let names = names_of(Path::new("/lib/no such file"));
        assert_eq!(names, [Path::new("/lib/no such file"), Path::new("/usr/lib/no such file")]);
    }
}
