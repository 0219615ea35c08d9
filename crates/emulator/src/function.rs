//! A function's configuration, and the environment Lambda makes of it.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::identifiers;

/// The account every local function belongs to; it is RIE's.
const ACCOUNT: &str = "012345678912";

/// What would be in `CreateFunction`.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// `module.function`.
    pub handler: String,
    /// The directory with the function's code, absolute.
    pub task: PathBuf,
    /// The program to run, absolute.
    pub bootstrap: PathBuf,
    /// Megabytes.
    pub memory: u32,
    /// Longest duration of the init phase. None: Lambda's.
    pub init_timeout: Option<Duration>,
    /// Longest duration of one invocation.
    pub timeout: Duration,
    /// The region it claims to be in.
    pub region: String,
    /// The function's own variables.
    pub environment: BTreeMap<String, String>,
    /// A folder with libraries that the bootstrap needs to start: first in `LD_LIBRARY_PATH`.
    pub library_folder: Option<PathBuf>,
}

impl Function {
    /// The function's name in full.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("arn:aws:lambda:{}:{ACCOUNT}:function:{}", self.region, self.name)
    }

    /// The process's whole environment, as an OS-only runtime has it on Lambda, with this machine's task root.
    pub(crate) fn process_environment(&self, runtime_api: SocketAddr) -> io::Result<BTreeMap<String, OsString>> {
        let stream = format!("{}/[$LATEST]{}", today(), identifiers::digits()?);
        let mut environment = self.environment_of_process(Some(runtime_api));
        environment.insert("AWS_LAMBDA_LOG_STREAM_NAME".to_owned(), stream.into());
        Ok(environment)
    }

    /// The same for a process whose log nobody reads. Without a Runtime API it can only be initialized.
    #[must_use]
    pub fn environment_of_process(&self, runtime_api: Option<SocketAddr>) -> BTreeMap<String, OsString> {
        let task = self.task.display();
        let library_path =
            format!("/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:{task}:{task}/lib:/opt/lib");
        let fixed = [
            ("LAMBDA_TASK_ROOT", task.to_string()),
            ("LAMBDA_RUNTIME_DIR", "/var/runtime".to_owned()),
            ("LANG", "en_US.UTF-8".to_owned()),
            ("TZ", ":UTC".to_owned()),
            ("PATH", "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin".to_owned()),
            ("LD_LIBRARY_PATH", library_path),
            ("_HANDLER", self.handler.clone()),
            ("AWS_LAMBDA_FUNCTION_NAME", self.name.clone()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", self.memory.to_string()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", self.name)),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
            ("AWS_REGION", self.region.clone()),
            ("AWS_DEFAULT_REGION", self.region.clone()),
            // Never the caller's: a function on a laptop gets real ones only when told so.
            ("AWS_ACCESS_KEY_ID", "whipsnake".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "whipsnake".to_owned()),
            ("AWS_SESSION_TOKEN", "whipsnake".to_owned()),
            ("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR".to_owned()),
            ("AWS_XRAY_DAEMON_ADDRESS", "169.254.100.1:2000".to_owned()),
            ("_AWS_XRAY_DAEMON_ADDRESS", "169.254.100.1".to_owned()),
            ("_AWS_XRAY_DAEMON_PORT", "2000".to_owned()),
        ];
        let mut environment: BTreeMap<String, OsString> =
            fixed.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        environment.insert("LAMBDA_TASK_ROOT".to_owned(), self.task.clone().into());
        environment.extend(self.environment.iter().map(|(name, value)| (name.clone(), value.into())));
        if let Some(folder) = &self.library_folder {
            let mut path = folder.clone().into_os_string();
            if let Some(others) = environment.remove("LD_LIBRARY_PATH") {
                path.push(":");
                path.push(others);
            }
            environment.insert("LD_LIBRARY_PATH".to_owned(), path);
        }
        if let Some(runtime_api) = runtime_api {
            environment.insert("AWS_LAMBDA_RUNTIME_API".to_owned(), runtime_api.to_string().into());
        }
        environment
    }
}

/// The date as log streams begin with it.
fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (year, month, day) = civil_date(seconds / 86_400);
    format!("{year:04}/{month:02}/{day:02}")
}

/// The Gregorian date of a day counted from 1970-01-01, in years that begin in March so that leap days come last.
pub(crate) fn civil_date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // 0000-03-01
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::civil_date;

    #[test]
    fn days_become_dates() {
        assert_eq!(civil_date(0), (1970, 1, 1));
        assert_eq!(civil_date(11_016), (2000, 2, 29));
        assert_eq!(civil_date(20_778), (2026, 11, 21));
    }
}
