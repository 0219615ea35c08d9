//! What was installed, by the records that installers leave: see "Recording installed projects" of the packaging specifications.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Component, Path},
};

use serde::Deserialize;

/// One installed distribution.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Distribution {
    /// As its `.dist-info` folder has it.
    pub name: String,
    version: String,
    /// Where it came from, if not from an index.
    url: Option<String>,
}

impl Distribution {
    /// This very distribution, as an argument for an installer.
    pub fn requirement(&self) -> String {
        match &self.url {
            Some(url) => format!("{} @ {url}", self.name),
            None => format!("{}=={}", self.name, self.version),
        }
    }
}

/// Files that several distributions bring, with different contents.
#[derive(Debug, PartialEq, Eq)]
pub struct Shared {
    /// The last of them by name.
    pub winner: Distribution,
    /// The names of the others.
    pub others: Vec<String>,
    /// Where the files are; never empty.
    pub paths: Vec<String>,
}

/// The files below a folder that more than one distribution claims, by the one that is to have its files there.
pub fn shared_files(installed: &Path) -> io::Result<Vec<Shared>> {
    let mut claims: BTreeMap<String, Vec<(Distribution, String)>> = BTreeMap::new();
    for entry in fs::read_dir(installed)? {
        let folder = entry?.path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let Some((name, version)) = name.strip_suffix(".dist-info").and_then(|name| name.split_once('-')) else {
            continue;
        };
        let url = fs::read(folder.join("direct_url.json")).ok().and_then(|json| url(&json));
        let distribution = Distribution { name: name.to_owned(), version: version.to_owned(), url };
        let Ok(record) = fs::read_to_string(folder.join("RECORD")) else { continue };
        // A record may list a file twice.
        for (path, sum) in record.lines().filter_map(recorded).collect::<BTreeMap<_, _>>() {
            // Scripts may have been put elsewhere, and a record may say anything: nothing outside the folder is touched.
            let is_below = Path::new(&path).components().all(|part| matches!(part, Component::Normal(_)));
            if is_below && installed.join(&path).is_file() {
                claims.entry(path).or_default().push((distribution.clone(), sum));
            }
        }
    }
    let mut shared: BTreeMap<Distribution, (BTreeSet<String>, Vec<String>)> = BTreeMap::new();
    for (path, mut claimed) in claims {
        claimed.sort();
        let Some((winner, sum)) = claimed.pop() else { continue };
        // Without a sum nobody knows.
        if claimed.is_empty() || (!sum.is_empty() && claimed.iter().all(|(_, other)| *other == sum)) {
            continue;
        }
        let (others, paths) = shared.entry(winner).or_default();
        others.extend(claimed.into_iter().map(|(other, _)| other.name));
        paths.push(path);
    }
    let shared = shared.into_iter();
    Ok(shared.map(|(winner, (others, paths))| Shared { winner, others: others.into_iter().collect(), paths }).collect())
}

/// A line of a RECORD, which is CSV: a path, a checksum that may be empty, a size.
fn recorded(line: &str) -> Option<(String, String)> {
    let (rest, _size) = line.rsplit_once(',')?;
    let (path, sum) = rest.rsplit_once(',')?;
    let quoted = path.strip_prefix('"').and_then(|path| path.strip_suffix('"'));
    Some((quoted.map_or_else(|| path.to_owned(), |path| path.replace("\"\"", "\"")), sum.to_owned()))
}

/// What PEP 610 says about where a distribution came from.
#[derive(Deserialize)]
struct DirectUrl {
    url: String,
    subdirectory: Option<String>,
    vcs_info: Option<VersionControl>,
}

#[derive(Deserialize)]
struct VersionControl {
    vcs: String,
    commit_id: String,
}

fn url(json: &[u8]) -> Option<String> {
    let DirectUrl { mut url, subdirectory, vcs_info } = serde_json::from_slice(json).ok()?;
    if let Some(VersionControl { vcs, commit_id }) = vcs_info {
        url = format!("{vcs}+{url}@{commit_id}");
    }
    Some(subdirectory.map_or(url.clone(), |subdirectory| format!("{url}#subdirectory={subdirectory}")))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Distribution, recorded, shared_files, url};

    #[test]
    fn the_last_distribution_by_name_has_its_file() {
        let installed = tempfile::tempdir().expect("a temporary folder");
        let records = [
            (
                "zebra-1.0",
                "a.py,sha256=z,1\nsame.py,sha256=s,1\nunknown.py,,\n../../bin/x,sha256=z,1\n/etc/hostname,sha256=z,1\n\"a,b.py\",sha256=z,1\n",
            ),
            (
                "ant-2.0",
                "a.py,sha256=a,1\nsame.py,sha256=s,1\nunknown.py,,\n../../bin/x,sha256=a,1\n/etc/hostname,sha256=a,1\n\"a,b.py\",sha256=a,1\n",
            ),
            ("mole-3.0", "mole.py,sha256=m,1\nant.py,sha256=m,1\n"),
        ];
        for (name, record) in records {
            let folder = installed.path().join(format!("{name}.dist-info"));
            fs::create_dir(&folder).expect("a folder");
            fs::write(folder.join("RECORD"), record).expect("a file");
        }
        for file in ["a.py", "same.py", "unknown.py", "a,b.py", "mole.py", "ant.py"] {
            fs::write(installed.path().join(file), "").expect("a file");
        }
        let [shared] = &shared_files(installed.path()).expect("readable")[..] else { panic!("one winner") };
        assert_eq!(shared.winner, Distribution { name: "zebra".into(), version: "1.0".into(), url: None });
        assert_eq!(shared.winner.requirement(), "zebra==1.0");
        assert_eq!(
            (&shared.others[..], &shared.paths[..]),
            (&["ant".to_owned()][..], &["a,b.py".to_owned(), "a.py".into(), "unknown.py".into()][..])
        );
    }

    #[test]
    fn lines_of_records_are_csv() {
        assert_eq!(recorded("a.py,sha256=x,10"), Some(("a.py".into(), "sha256=x".into())));
        assert_eq!(recorded("\"a,\"\"b\"\".py\",,"), Some(("a,\"b\".py".into(), String::new())));
        assert_eq!(recorded(""), None);
    }

    #[test]
    fn where_a_distribution_came_from_is_part_of_the_requirement() {
        let of_archive = br#"{"url": "https://example.org/a-1.whl", "archive_info": {}}"#;
        assert_eq!(url(of_archive).as_deref(), Some("https://example.org/a-1.whl"));
        let of_commit =
            br#"{"url": "https://example.org/a", "subdirectory": "b", "vcs_info": {"vcs": "git", "commit_id": "c0"}}"#;
        assert_eq!(url(of_commit).as_deref(), Some("git+https://example.org/a@c0#subdirectory=b"));
    }
}
