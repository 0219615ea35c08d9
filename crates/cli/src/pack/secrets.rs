//! Files that are packed and look as if nobody meant that.

use crate::{deployment::contents::Entry, display};

/// Files that tools read passwords and tokens from.
const NAMES: &[&str] = &[".env", ".envrc", ".git-credentials", ".netrc", ".npmrc", ".pypirc"];

/// How the names end of copies of `.env` that everybody may read.
const TEMPLATES: &[&str] = &["dist", "example", "sample", "template"];

/// No file with a key is larger.
const LARGEST_KEY: usize = 64 << 10;

/// Names the files of a function that may hold secrets. They are packed all the same.
pub fn warn(files: &[(String, Entry)]) {
    let found: Vec<_> =
        files.iter().filter(|(path, entry)| may_be_secret(path, entry)).map(|(path, _)| path.as_str()).collect();
    if !found.is_empty() {
        display::say(&format!(
            "packed, but may hold secrets that everybody with access to the function's code can read: {}",
            found.join(", ")
        ));
    }
}

fn may_be_secret(path: &str, entry: &Entry) -> bool {
    let (Entry::File(bytes) | Entry::Program(bytes)) = entry else { return false };
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_environment = name.strip_prefix(".env.").is_some_and(|stage| !TEMPLATES.contains(&stage));
    NAMES.contains(&name)
        || is_environment
        || path == ".aws/credentials"
        || path.ends_with("/.aws/credentials")
        || bytes.len() <= LARGEST_KEY && has_private_key(bytes)
}

/// As PEM files have one: at the beginning of a line, of any kind.
fn has_private_key(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| matches!(byte, b'\n' | b'\r'));
    lines.any(|line| line.starts_with(b"-----BEGIN ") && line.trim_ascii_end().ends_with(b"PRIVATE KEY-----"))
}

#[cfg(test)]
mod tests {
    use super::{Entry, may_be_secret};

    #[test]
    fn secrets_are_found_by_name_and_by_content() {
        let is_secret = |path: &str, content: &str| may_be_secret(path, &Entry::File(content.into()));
        for path in [".env", "config/.env.production", ".netrc", "home/.aws/credentials", ".aws/credentials"] {
            assert!(is_secret(path, ""), "{path}");
        }
        for path in [".env.example", "env", "app.env.py", "aws/credentials", "credentials"] {
            assert!(!is_secret(path, ""), "{path}");
        }
        assert!(is_secret("key", "x\n-----BEGIN RSA PRIVATE KEY-----\r\nMII\n"));
        assert!(!is_secret("roots.pem", "-----BEGIN CERTIFICATE-----\nMII\n"));
        assert!(!is_secret("app.py", "x = '-----BEGIN PRIVATE KEY-----'\n"));
    }
}
