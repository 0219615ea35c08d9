//! What is printed of a checkpoint.

use std::{collections::BTreeSet, fmt};

use whipsnake_checkpoint::process::{Kind, Process, What};

/// Variables that the runtime and CPython read in every start. One that ends with `_` stands for all that begin so.
const READ_ALWAYS: &[&str] = &[
    "LC_",
    "LD_",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TZDIR",
    "HOME",
    "PATH",
    "WHIPSNAKE_",
    "LAMBDA_",
    "AWS_LAMBDA_LOG_",
    "AWS_LAMBDA_EXEC_",
    "AWS_EXECUTION_ENV",
    "SSL_CERT_FILE",
    "_HANDLER",
    "_LAMBDA_",
    "_PYTHON_",
    "__PYVENV_",
    "MALLOC_",
    "GLIBC_",
];

/// Variables that a library reads in every function, as people call one and several of them.
const SDK: [&str; 2] = ["setting of the AWS SDK", "settings of the AWS SDK"];
const OPENSSL: [&str; 2] = ["setting of OpenSSL", "settings of OpenSSL"];
const PROXIES: [&str; 2] = ["variable for proxies", "variables for proxies"];

/// How many names are printed of a long list.
const SHOWN: usize = 8;

/// A checkpoint that was made.
pub struct Report {
    pub kind: Kind,
    /// The processors that it runs on.
    pub processors: String,
    pub process: Process,
    /// From the start of the process to its first request, in milliseconds.
    pub restored: f64,
    /// The same without the checkpoint.
    pub ordinary: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (restored, ordinary) = (self.restored, self.ordinary);
        writeln!(f, "checkpoint        {}", contents(self.kind))?;
        writeln!(f, "  cold start here {restored:.1} ms with the checkpoint, {ordinary:.1} ms without it")?;
        let packages: BTreeSet<&str> = self.process.modules.iter().filter_map(|name| name.split('.').next()).collect();
        writeln!(f, "  processors      {}", self.processors)?;
        if !packages.is_empty() {
            writeln!(f, "  packages        {}", list(packages.into_iter().map(str::to_owned).collect()))?;
        }
        let read = self.process.variables.iter().filter(|(name, _)| !is_read_always(name));
        let (set, unset): (Vec<_>, Vec<_>) = read.partition(|(_, value)| value.is_some());
        let set: Vec<String> =
            set.into_iter().map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or_default())).collect();
        if !set.is_empty() {
            writeln!(f, "  variables read  {}", list(set.clone()))?;
        }
        let unset: Vec<&str> = unset.into_iter().map(|(name, _)| name.as_str()).collect();
        if !unset.is_empty() {
            writeln!(f, "  and not set     {}", summary(&unset))?;
        }
        for place in &self.process.looked_at_all_variables {
            writeln!(f, "  reads all variables: {place}")?;
        }
        if !(set.is_empty() && unset.is_empty() && self.process.looked_at_all_variables.is_empty()) {
            writeln!(
                f,
                "                  If one differs on Lambda, the function starts without the checkpoint: set it with --env."
            )?;
        }
        for descriptor in &self.process.descriptors {
            if let What::Connection { peer } = &descriptor.what {
                writeln!(f, "  left out        the connection to {peer}: code that uses it sees it closed")?;
            }
        }
        for left_out in &self.process.left_out {
            writeln!(f, "  left out        {left_out}")?;
        }
        writeln!(f)
    }
}

/// What is in a checkpoint of this kind.
pub fn contents(kind: Kind) -> &'static str {
    match kind {
        Kind::Imports => "the third-party modules that the function imports",
        Kind::Init => "the whole init phase",
    }
}

/// Whether every start reads the variable.
pub fn is_read_always(name: &str) -> bool {
    // CPython's own have no underscore: PYTHONPATH.
    let is_pythons = name.starts_with("PYTHON");
    is_pythons
        || READ_ALWAYS.iter().any(|known| if known.ends_with('_') { name.starts_with(known) } else { name == *known })
}

/// Names variables that only this function reads, and counts those that a library reads in every function.
fn summary(names: &[&str]) -> String {
    let own = names.iter().filter(|name| library(name).is_none()).map(|name| (*name).to_owned()).collect();
    let counted = [SDK, OPENSSL, PROXIES].into_iter().filter_map(|what| {
        let count = names.iter().filter(|name| library(name) == Some(what)).count();
        (count > 0).then(|| format!("{count} {}", what[usize::from(count > 1)]))
    });
    let parts: Vec<String> = Some(list(own)).filter(|own| !own.is_empty()).into_iter().chain(counted).collect();
    parts.join(", ")
}

fn library(name: &str) -> Option<[&'static str; 2]> {
    match name {
        // urllib believes no proxy that a CGI program's client could have named.
        "REQUEST_METHOD" => Some(PROXIES),
        _ if name.starts_with("AWS_") || name.starts_with("BOTO") => Some(SDK),
        _ if name.starts_with("OPENSSL_") || name.starts_with("SSLKEY") => Some(OPENSSL),
        _ if name.to_ascii_lowercase().ends_with("_proxy") => Some(PROXIES),
        _ => None,
    }
}

/// The first of the names, and how many more there are.
pub fn list(names: Vec<String>) -> String {
    let more = names.len().saturating_sub(SHOWN);
    let shown: Vec<String> = names.into_iter().take(SHOWN).collect();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &rest
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn variables_that_a_library_reads_in_every_function_are_counted() {
        let names = ["AWS_CA_BUNDLE", "BOTO_CONFIG", "DEBUG", "HTTP_PROXY", "TABLE"];
        assert_eq!(summary(&names), "DEBUG, TABLE, 2 settings of the AWS SDK, 1 variable for proxies");
        assert_eq!(summary(&["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"]), "A, B, C, D, E, F, G, H and 2 more");
    }
}
