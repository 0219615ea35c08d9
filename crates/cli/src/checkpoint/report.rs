//! What is printed of a checkpoint.

use std::{collections::BTreeSet, fmt};

use whipsnake_checkpoint::{
    compose::Summary,
    process::{Kind, Process, What},
};

/// Beginnings of variables that the runtime and CPython read in every start.
const READ_ALWAYS: &[&str] = &[
    "PYTHON",
    "LC_",
    "LD_",
    "LANG",
    "TZ",
    "WHIPSNAKE_",
    "LAMBDA_",
    "AWS_LAMBDA_LOG",
    "AWS_LAMBDA_EXEC",
    "AWS_EXECUTION_ENV",
    "SSL_CERT_FILE",
    "_HANDLER",
    "__PYVENV",
    "MALLOC_",
    "GLIBC_",
    "PATH",
];

/// How many names are printed of a long list.
const SHOWN: usize = 8;

/// A checkpoint that was made.
pub struct Report {
    pub kind: Kind,
    /// The processors that it runs on.
    pub processors: String,
    pub process: Process,
    pub summary: Summary,
    /// From the start of the process to its first request, in milliseconds.
    pub restored: f64,
    /// The same without the checkpoint.
    pub ordinary: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let holds = match self.kind {
            Kind::Imports => "the third-party modules that the function imports",
            Kind::Init => "the whole init phase",
        };
        writeln!(f, "checkpoint        {holds}")?;
        writeln!(f, "  size            {:.1} MB", self.summary.file as f64 / 1e6)?;
        writeln!(f, "  processors      {}", self.processors)?;
        let (restored, ordinary) = (self.restored, self.ordinary);
        writeln!(f, "  start here      {restored:.1} ms, without the checkpoint {ordinary:.1} ms")?;
        let packages: BTreeSet<&str> = self.process.modules.iter().filter_map(|name| name.split('.').next()).collect();
        if !packages.is_empty() {
            writeln!(f, "  packages        {}", list(packages.iter().map(|name| (*name).to_owned())))?;
        }
        let read =
            self.process.variables.iter().filter(|(name, _)| !READ_ALWAYS.iter().any(|known| name.starts_with(known)));
        let (set, unset): (Vec<_>, Vec<_>) = read.partition(|(_, value)| value.is_some());
        let set: Vec<String> =
            set.into_iter().map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or_default())).collect();
        if !set.is_empty() {
            writeln!(f, "  variables read  {}", list(set.into_iter()))?;
        }
        if !unset.is_empty() {
            let names: Vec<String> = unset.into_iter().map(|(name, _)| name.clone()).collect();
            writeln!(f, "  and not set     {}", list(names.into_iter()))?;
            writeln!(
                f,
                "                  Where one of them is different, the function starts without the checkpoint: set it with --env."
            )?;
        }
        for place in &self.process.looked_at_all_variables {
            writeln!(f, "  reads all variables: {place}")?;
        }
        for descriptor in &self.process.descriptors {
            if let What::Connection { peer } = &descriptor.what {
                writeln!(f, "  left out        the connection to {peer}: code that uses it sees it closed")?;
            }
        }
        for left_out in &self.process.left_out {
            writeln!(f, "  left out        {left_out}")?;
        }
        Ok(())
    }
}

pub fn list(names: impl ExactSizeIterator<Item = String>) -> String {
    let count = names.len();
    let shown: Vec<String> = names.take(SHOWN).collect();
    let more = count.saturating_sub(SHOWN);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &rest
}
