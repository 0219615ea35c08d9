//! The AWS SDK for Python: boto3, botocore and what they need, at the versions in `layer/sdk.txt`.

use std::{collections::BTreeMap, fs, io, path::Path, process::Command};

use crate::{
    cleanup::TemporaryFolder,
    failure::Failure,
    progress,
    python::{Interpreter, on_path},
};

const REQUIREMENTS: &str = include_str!("../../../../layer/sdk.txt");

/// How the SDK is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Packing {
    /// In the same zip as the runtime.
    Inside,
    /// In a zip of its own, which a function takes as a second layer.
    Apart,
}

/// Services whose data the SDK needs for its own: how it gets credentials.
const ALWAYS_NEEDED: &[&str] = &["signin", "sso", "sso-oidc", "sts"];

/// Files by their paths below site-packages.
#[derive(Debug)]
pub struct Sdk {
    /// Everything that is imported or read.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Sdk {
    /// Has uv install it, and keeps the services that are asked for; all of them where none is.
    pub fn install(interpreter: &Interpreter, services: &[String]) -> Result<Sdk, Failure> {
        let temporary = TemporaryFolder::new("sdk")?;
        let folder = temporary.path();
        install(interpreter, folder)?;
        let mut files = BTreeMap::new();
        read(folder, "", &mut files)
            .map_err(|error| Failure::new(format!("reading the SDK in {}: {error}", folder.display())))?;
        let mut sdk = Sdk { files };
        sdk.files.retain(|path, _| is_used(path));
        sdk.keep(services)?;
        Ok(sdk)
    }

    /// The packages and their versions.
    pub fn packages() -> BTreeMap<String, String> {
        let lines = REQUIREMENTS.lines().filter_map(|line| line.split(' ').next()?.split_once("=="));
        lines.map(|(name, version)| (name.to_owned(), version.to_owned())).collect()
    }

    /// The version of boto3.
    pub fn version() -> String {
        Self::packages().remove("boto3").unwrap_or_default()
    }

    fn keep(&mut self, services: &[String]) -> Result<(), Failure> {
        if services.is_empty() {
            return Ok(());
        }
        if let Some(unknown) = services
            .iter()
            .find(|name| !self.files.keys().any(|path| path.starts_with(&format!("botocore/data/{name}/"))))
        {
            return Err(Failure::new(format!(
                "boto3 {} knows no service {unknown}: names are those of boto3.client(), such as s3 and dynamodb",
                Self::version()
            )));
        }
        self.files.retain(|path, _| {
            service(path).is_none_or(|name| ALWAYS_NEEDED.contains(&name) || services.iter().any(|kept| kept == name))
        });
        Ok(())
    }
}

/// The service whose data a file is.
fn service(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("botocore/data/").or_else(|| path.strip_prefix("boto3/data/"))?;
    rest.split_once('/').map(|(name, _)| name)
}

/// Tests, command line tools, examples for the documentation, and what an installer notes for itself are not.
fn is_used(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_installers = path.contains(".dist-info/") && matches!(name, "RECORD" | "REQUESTED" | "INSTALLER");
    let is_for_documentation = name.starts_with("examples-1.json") || path.starts_with("boto3/examples/");
    !(is_installers || is_for_documentation || name == ".lock" || path.starts_with("bin/") || path.contains("/tests/"))
}

fn install(interpreter: &Interpreter, folder: &Path) -> Result<(), Failure> {
    let uv = on_path("uv").ok_or_else(|| {
        Failure::new("uv is needed to fetch the SDK: see https://docs.astral.sh/uv, or use `make layer SDK=1`")
    })?;
    let failed = |what: &str| Failure::new(format!("installing the SDK (layer/sdk.txt) with {}: {what}", uv.display()));
    let mut installing = Command::new(&uv);
    installing
        .args(["pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"])
        .args(["--no-compile-bytecode", "--requirement", "-", "--python"])
        .arg(&interpreter.executable)
        .arg("--target")
        .arg(folder);
    let status = progress::run("fetching the SDK", &mut installing, REQUIREMENTS.as_bytes())
        .map_err(|error| failed(&error.to_string()))?;
    if status.success() { Ok(()) } else { Err(failed("see above")) }
}

fn read(folder: &Path, within: &str, files: &mut BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let within = if within.is_empty() { name.into_owned() } else { format!("{within}/{name}") };
        if path.is_dir() {
            read(&path, &within, files)?;
        } else {
            files.insert(within, fs::read(&path)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Sdk, is_used};

    fn sdk() -> Sdk {
        let paths =
            ["boto3/session.py", "botocore/data/endpoints.json", "botocore/data/s3/2006-03-01/service-2.json.gz"];
        let more = ["botocore/data/sts/2011-06-15/service-2.json.gz", "botocore/data/ec2/2016-11-15/service-2.json.gz"];
        let more = more.iter().chain(&["boto3/data/ec2/2016-11-15/resources-1.json"]);
        Sdk { files: paths.iter().chain(more).map(|path| ((*path).to_owned(), Vec::new())).collect() }
    }

    #[test]
    fn only_the_data_of_other_services_goes() {
        let mut kept = sdk();
        kept.keep(&["s3".into()]).expect("s3 is there");
        assert_eq!(kept.files.keys().filter(|path| path.contains("ec2")).count(), 0);
        assert_eq!(kept.files.len(), sdk().files.len() - 2);
    }

    #[test]
    fn an_unknown_service_is_named() {
        let said = sdk().keep(&["s3".into(), "s4".into()]).expect_err("no such service").to_string();
        assert!(said.contains("knows no service s4: "), "{said}");
    }

    #[test]
    fn what_nothing_reads_is_left_out() {
        for path in ["simplejson/tests/test_x.py", "bin/jp.py", "six-1.17.0.dist-info/RECORD", "boto3/examples/s3.rst"]
        {
            assert!(!is_used(path), "{path}");
        }
        assert!(is_used("six-1.17.0.dist-info/METADATA") && is_used("botocore/data/s3/2006-03-01/service-2.json.gz"));
    }

    #[test]
    fn versions_are_those_of_the_list() {
        assert_eq!(Sdk::packages()["boto3"], Sdk::version());
        assert!(Sdk::packages().contains_key("simplejson"));
    }
}
