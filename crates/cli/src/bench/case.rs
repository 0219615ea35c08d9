//! What is measured: functions, from one that costs nothing to those that import much.

use std::path::PathBuf;

/// The module of every function here, and the handler in it.
pub const MODULE: &str = "function";
pub const HANDLER: &str = "function.handler";
/// The handler of [`Case::measured`], and the variable with the descriptor it writes to.
pub const MEASURED: &str = "measured.handler";
pub const PIPE: &str = "MEASURED";

/// A function whose start is measured.
#[derive(Clone, Debug)]
pub struct Case {
    /// As on the command line and in the results.
    pub name: String,
    /// What it shows.
    pub about: &'static str,
    /// Where its code comes from.
    pub code: Code,
    /// The handler, as in Lambda's configuration.
    pub handler: String,
    /// The event of its first invocation.
    pub event: String,
}

/// Where a function's code comes from.
#[derive(Clone, Debug)]
pub enum Code {
    /// One module, and the packages beside it.
    Module(&'static str, Option<Packages>),
    /// A folder of somebody's own.
    Folder(PathBuf),
}

/// Packages that lie beside a function.
#[derive(Clone, Copy, Debug)]
pub struct Packages {
    /// The folder among those of `--packages`.
    pub folder: &'static str,
    /// What of it the function needs; empty for all.
    pub only: &'static [&'static str],
    /// Whether the function is started without bytecode as well. With the largest packages that takes seconds and shows nothing new.
    pub bare: bool,
}

/// Those that come with the harness.
pub fn known() -> Vec<Case> {
    let api_gateway = include_str!("../../events/apigateway-v2.json");
    let case = |name: &str, about, code, event: &str| Case {
        name: name.to_owned(),
        about,
        code,
        handler: HANDLER.to_owned(),
        event: event.to_owned(),
    };
    let packages = |folder, only| Some(Packages { folder, only, bare: true });
    let large = |folder, only| Some(Packages { folder, only, bare: false });
    vec![
        case("empty", "a handler and nothing else", Code::Module(include_str!("functions/empty.py"), None), "{}"),
        case("imports", "imports json, logging and os", Code::Module(include_str!("functions/imports.py"), None), "{}"),
        case(
            "api",
            "a small HTTP API on the standard library",
            Code::Module(include_str!("functions/api.py"), None),
            api_gateway,
        ),
        case(
            "boto3",
            "a boto3 s3 client in the module",
            Code::Module(include_str!("functions/boto3_client.py"), packages("boto3", &[])),
            "{}",
        ),
        case(
            "pydantic",
            "two pydantic models",
            Code::Module(
                include_str!("functions/pydantic_model.py"),
                packages(
                    "extension_modules",
                    &["pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"],
                ),
            ),
            "{}",
        ),
        case(
            "numpy",
            "a numpy array",
            Code::Module(include_str!("functions/numpy_array.py"), packages("extension_modules", &["numpy"])),
            "{}",
        ),
        case(
            "fastapi",
            "a FastAPI application",
            Code::Module(include_str!("functions/fastapi_app.py"), large("httpx", &[])),
            api_gateway,
        ),
        case(
            "trio",
            "FastAPI, Pydantic and httpx",
            Code::Module(include_str!("functions/fastapi_httpx_app.py"), large("httpx", &[])),
            api_gateway,
        ),
        case(
            "pandas",
            "a pandas frame",
            Code::Module(
                include_str!("functions/pandas_frame.py"),
                large("extension_modules", &["pandas", "numpy", "dateutil", "python_dateutil", "six", "tzdata"]),
            ),
            "{}",
        ),
        case(
            "scikit-learn",
            "a fitted scikit-learn model",
            Code::Module(include_str!("functions/scikit_learn_model.py"), large("scikit_learn", &[])),
            "{}",
        ),
    ]
}

/// A function of somebody's own.
pub fn own(folder: PathBuf, handler: String, event: String) -> Case {
    Case { name: "own".to_owned(), about: "the function of --task", code: Code::Folder(folder), handler, event }
}

impl Case {
    /// The module that stands before the function when its start is looked into; its handler is `measured.handler`.
    pub fn measured(&self) -> String {
        let (module, function) = self.handler.rsplit_once('.').unwrap_or((&self.handler, "handler"));
        include_str!("functions/measured.py").replace("MODULE", &module.replace('/', ".")).replace("FUNCTION", function)
    }

    /// Whether packages come with the code.
    pub fn has_packages(&self) -> bool {
        matches!(self.code, Code::Module(_, Some(_)) | Code::Folder(_))
    }

    /// Whether the function is started without bytecode as well, which only matters where packages come with the code.
    pub fn is_started_bare(&self) -> bool {
        matches!(self.code, Code::Module(_, Some(Packages { bare: true, .. })) | Code::Folder(_))
    }
}

impl Packages {
    /// Whether `entry` of the folder belongs to what the function needs, with its metadata and its libraries.
    pub fn includes(&self, entry: &str) -> bool {
        self.only.is_empty()
            || self.only.iter().any(|name| {
                entry.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::Packages;

    #[test]
    fn a_package_comes_with_its_metadata_and_its_libraries() {
        let packages = Packages { folder: "f", only: &["numpy", "six"], bare: true };
        for entry in ["numpy", "numpy.libs", "numpy-2.5.5.dist-info", "six.py"] {
            assert!(packages.includes(entry), "{entry}");
        }
        for entry in ["numpydoc", "pandas", "num"] {
            assert!(!packages.includes(entry), "{entry}");
        }
    }
}
