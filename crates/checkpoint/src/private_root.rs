//! A root folder of its own for a process, with Lambda's places in it: `/opt` and `/var/task`. Needs no rights, where the system lets users
//! make user namespaces.

use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::process::{getgid, getuid};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

/// The user and the group that functions have on Lambda.
const LAMBDA_USER: u32 = 993;
const LAMBDA_GROUP: u32 = 990;

/// Folders of this machine that the process finds in its root as well, read-only: the C library, certificates, programs.
const OF_THIS_MACHINE: &[&str] = &[
    "usr",
    "lib",
    "lib64",
    "bin",
    "etc/alternatives",
    "etc/ssl",
    "etc/ld.so.cache",
    "etc/ld.so.conf",
    "etc/ld.so.conf.d",
    "etc/resolv.conf",
    "etc/hosts",
];

/// Files as Lambda has them. The C library reads them, and would load modules that this machine's name.
const OF_LAMBDA: &[(&str, &str)] = &[
    ("etc/passwd", "root:x:0:0:root:/root:/bin/bash\nsbx_user1051:x:993:990::/home/sbx_user1051:/sbin/nologin\n"),
    ("etc/group", "root:x:0:\nsbx_user1051:x:990:\n"),
    ("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
];

/// Where Amazon Linux has the certificates it trusts, and where other systems have theirs.
const CERTIFICATES: (&str, &[&str]) =
    ("etc/pki/tls/certs/ca-bundle.crt", &["/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt"]);

/// Kernel interfaces.
const KERNELS: &[&str] = &["proc", "dev"];

/// Why a process could not get a root of its own.
#[derive(Debug)]
pub struct NotPossible {
    doing: &'static str,
    reason: io::Error,
}

impl fmt::Display for NotPossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, self.reason)
    }
}

impl std::error::Error for NotPossible {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.reason)
    }
}

fn doing<E: Into<io::Error>>(doing: &'static str) -> impl Fn(E) -> NotPossible {
    move |reason| NotPossible { doing, reason: reason.into() }
}

/// Makes `root` this process's `/` and `/var/task` its working directory. The folder has `opt`, `var/task` and `tmp`; the rest is put there.
/// Call this in a process with one thread.
///
/// # Errors
///
/// Fails where the system forbids user namespaces and the process has no rights of its own.
pub fn enter(root: &Path) -> Result<(), NotPossible> {
    let root = fs::canonicalize(root).map_err(doing("finding the folder"))?;
    become_own_user()?;
    let private = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
    rustix::mount::mount_change("/", private).map_err(doing("making mounts private"))?;
    rustix::mount::mount_bind_recursive(&root, &root).map_err(doing("mounting the folder"))?;
    for name in OF_THIS_MACHINE {
        bring(&root, name, true)?;
    }
    for name in KERNELS {
        bring(&root, name, false)?;
    }
    std::env::set_current_dir(&root).map_err(doing("entering the folder"))?;
    rustix::process::pivot_root(".", ".").map_err(doing("changing the root"))?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(doing("removing the old root"))?;
    std::env::set_current_dir("/var/task").map_err(doing("entering /var/task"))
}

/// User and mount namespaces: in a namespace of its own, a user may mount. A process with all rights may without.
fn become_own_user() -> Result<(), NotPossible> {
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    // SAFETY: one thread, and no file descriptors are unshared.
    let unshared = unsafe { unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNS) };
    match unshared {
        Ok(()) => {
            fs::write("/proc/self/setgroups", "deny").map_err(doing("giving up supplementary groups"))?;
            fs::write("/proc/self/uid_map", format!("{LAMBDA_USER} {user} 1"))
                .map_err(doing("taking Lambda's user id"))?;
            fs::write("/proc/self/gid_map", format!("{LAMBDA_GROUP} {group} 1"))
                .map_err(doing("taking Lambda's group id"))
        }
        Err(_) if user == 0 => {
            // SAFETY: as above.
            unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.map_err(doing("making a mount namespace"))
        }
        Err(error) => Err(doing("making a user namespace")(error)),
    }
}

/// Puts a folder of this machine into the root: its link where it is one, else a mount.
fn bring(root: &Path, name: &str, read_only: bool) -> Result<(), NotPossible> {
    let (source, target) = (Path::new("/").join(name), root.join(name));
    let Ok(metadata) = fs::symlink_metadata(&source) else { return Ok(()) };
    if metadata.is_symlink() {
        let link = fs::read_link(&source).map_err(doing("reading a link"))?;
        fs::create_dir_all(target.parent().unwrap_or(root)).map_err(doing("making a folder"))?;
        return match std::os::unix::fs::symlink(link, &target) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(doing("making a link")(error)),
            _ => Ok(()),
        };
    }
    let parent = target.parent().unwrap_or(root);
    fs::create_dir_all(if metadata.is_dir() { &target } else { parent }).map_err(doing("making a folder"))?;
    if !metadata.is_dir() {
        fs::write(&target, "").map_err(doing("making a file"))?;
    }
    rustix::mount::mount_bind_recursive(&source, &target).map_err(doing("mounting a folder of this machine"))?;
    if read_only {
        // A mount that came with flags of its own keeps them in a user namespace; then it stays as it is.
        let flags = MountFlags::BIND | MountFlags::RDONLY;
        match rustix::mount::mount_remount(&target, flags, c"") {
            Ok(()) | Err(Errno::PERM) => {}
            Err(error) => return Err(doing("protecting a folder of this machine")(error)),
        }
    }
    Ok(())
}

/// Makes the folders that [`enter`] needs.
///
/// # Errors
///
/// Fails if a folder cannot be made.
pub fn prepare(root: &Path) -> io::Result<PathBuf> {
    for folder in ["opt", "var/task", "tmp", "etc"] {
        fs::create_dir_all(root.join(folder))?;
    }
    for (file, contents) in OF_LAMBDA {
        fs::write(root.join(file), contents)?;
    }
    let (file, candidates) = CERTIFICATES;
    if let Some(certificates) = candidates.iter().find_map(|candidate| fs::read(candidate).ok()) {
        fs::create_dir_all(root.join(file).parent().unwrap_or(root))?;
        fs::write(root.join(file), certificates)?;
    }
    fs::canonicalize(root)
}
