//! The descriptors that the initialized function has open: each is described so that the restorer can make it again, or refused.

use super::obstacle_origins;
use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::{fs, io, mem};
use whipsnake_checkpoint::process::{Descriptor, Watch, What};
use whipsnake_checkpoint_format::image::MAX_DESCRIPTOR;

/// Devices without a state of their own.
const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"];

/// The largest memory file that is kept, in bytes.
const LARGEST_MEMORY: u64 = 1 << 20;

/// Describes every descriptor above standard error but those in `own`. Fails with a sentence for each that cannot be made again.
pub fn find(own: &[RawFd]) -> Result<Vec<Descriptor>, String> {
    let open = open_descriptors(own).map_err(|error| format!("listing the open descriptors: {error}"))?;
    let mut found = Vec::new();
    let (mut refused, mut reasons) = (Vec::new(), Vec::new());
    let mut refuse = |number: RawFd, target: &Path, reason: &str| {
        refused.push(number);
        reasons.push(format!("descriptor {number} ({}) {reason}", target.display()));
    };
    for (&number, target) in &open {
        let described = describe(number, target, &open).and_then(|what| refuse_watched_connections(what, &open));
        match described {
            Ok(what) => found.push(Descriptor { number: number.cast_unsigned(), flags: flags(number), what }),
            Err(reason) => refuse(number, target, &reason),
        }
    }
    // The restorer makes each end once.
    let other_of = |number: u32| {
        found.iter().find(|one| one.number == number).and_then(|one| match one.what {
            What::Pair { other, .. } | What::Pipe { other, .. } => Some(other),
            _ => None,
        })
    };
    for number in found.iter().map(|one| one.number) {
        if other_of(number).is_some_and(|other| other_of(other) != Some(number)) {
            let number = number.cast_signed();
            let target = open.get(&number).map_or(Path::new(""), PathBuf::as_path);
            refuse(number, target, "is a second one of the same end of a pair");
        }
    }
    if refused.is_empty() { Ok(found) } else { Err(reasons.join("; ") + &obstacle_origins::of_descriptors(&refused)) }
}

/// Refuses an epoll instance that watches a connection. Its owner has requests or timers of that connection in memory, and sees it end at
/// once after the restore, in the middle of its first call. Connection pools look at a connection when they use it.
fn refuse_watched_connections(what: What, open: &Open) -> Result<What, String> {
    if let What::Epoll { watches } = &what {
        for watch in watches {
            let number = watch.descriptor.cast_signed();
            if let Some(target) = open.get(&number)
                && target.to_string_lossy().starts_with("socket:")
                && let Ok(What::Connection { peer }) = socket(number, open)
            {
                return Err(format!("watches the connection to {peer}"));
            }
        }
    }
    Ok(what)
}

type Open = BTreeMap<RawFd, PathBuf>;

fn open_descriptors(own: &[RawFd]) -> io::Result<Open> {
    let mut open = Open::new();
    let listing = fs::read_dir("/proc/self/fd")?;
    for entry in listing.flatten() {
        let number = entry.file_name().to_string_lossy().parse::<RawFd>().unwrap_or(-1);
        // The listing's own descriptor is gone by now, or leads to this folder.
        if let Ok(target) = fs::read_link(entry.path())
            && number > 2
            && !own.contains(&number)
            && !(target.starts_with("/proc") && target.ends_with("fd"))
        {
            open.insert(number, target);
        }
    }
    Ok(open)
}

fn describe(number: RawFd, target: &Path, open: &Open) -> Result<What, String> {
    if number.cast_unsigned() > MAX_DESCRIPTOR {
        return Err(format!("has a number above {MAX_DESCRIPTOR}"));
    }
    match target.to_string_lossy().as_ref() {
        "anon_inode:[eventfd]" => return Ok(What::Event { count: information(number, "eventfd-count:", 16)? }),
        "anon_inode:[eventpoll]" => return Ok(What::Epoll { watches: watches(number, open)? }),
        name if name.starts_with("/memfd:") => return memory(number, name),
        name if name.starts_with("anon_inode:") => return Err("cannot be made again".to_owned()),
        _ => {}
    }
    let metadata =
        fs::metadata(format!("/proc/self/fd/{number}")).map_err(|error| format!("cannot be read: {error}"))?;
    let kind = metadata.file_type();
    if kind.is_socket() {
        return socket(number, open);
    }
    if kind.is_fifo() {
        return pipe(number, metadata.ino(), open);
    }
    let is_written = flags(number) & libc::O_ACCMODE.cast_unsigned() != libc::O_RDONLY.cast_unsigned();
    let is_device = kind.is_char_device() && DEVICES.iter().any(|device| target == Path::new(device));
    let is_file = kind.is_file() || kind.is_dir();
    if is_file && is_written {
        return Err("is open for writing".to_owned());
    }
    if is_file && metadata.nlink() == 0 {
        return Err("is a deleted file".to_owned());
    }
    if !is_file && !is_device {
        return Err("cannot be made again".to_owned());
    }
    let position = if kind.is_file() { position(number) } else { 0 };
    Ok(What::File { path: target.to_string_lossy().into_owned(), position })
}

/// Where the next read begins, in bytes from the beginning.
fn position(number: RawFd) -> u64 {
    // SAFETY: asks for the position.
    unsafe { libc::lseek(number, 0, libc::SEEK_CUR) }.max(0).cast_unsigned()
}

/// Flags as `open` takes them.
fn flags(number: RawFd) -> u32 {
    // SAFETY: asks about a number.
    let (status, own) = unsafe { (libc::fcntl(number, libc::F_GETFL), libc::fcntl(number, libc::F_GETFD)) };
    let on_exec = if own & libc::FD_CLOEXEC != 0 { libc::O_CLOEXEC } else { 0 };
    (status & (libc::O_ACCMODE | libc::O_NONBLOCK | libc::O_DIRECTORY | libc::O_APPEND) | on_exec).cast_unsigned()
}

/// A number from what the kernel knows of a descriptor.
fn information(number: RawFd, name: &str, radix: u32) -> Result<u64, String> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value.and_then(|value| u64::from_str_radix(value.trim(), radix).ok()).ok_or_else(|| "cannot be read".to_owned())
}

/// `tfd:        5 events:       19 data:                5  pos:0 ino:3a sdev:8`
fn watches(number: RawFd, open: &Open) -> Result<Vec<Watch>, String> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
    let watch = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [descriptor, _, events, _, data, ..] = fields[..] else { return None };
        Some(Watch {
            descriptor: descriptor.parse().ok()?,
            events: u64::from_str_radix(events, 16).ok()?,
            data: u64::from_str_radix(data, 16).ok()?,
        })
    };
    let lines = text.lines().filter_map(|line| line.strip_prefix("tfd:"));
    let watches: Option<Vec<Watch>> = lines.map(watch).collect();
    let watches = watches.ok_or_else(|| "cannot be read".to_owned())?;
    // Not by asking the kernel: the dump's own files may have the number by now.
    let is_open = |watch: &Watch| watch.descriptor <= 2 || open.contains_key(&watch.descriptor.cast_signed());
    if watches.iter().all(is_open) { Ok(watches) } else { Err("watches a descriptor that is closed".to_owned()) }
}

fn memory(number: RawFd, name: &str) -> Result<What, String> {
    let file = format!("/proc/self/fd/{number}");
    let length = fs::metadata(&file).map_or(0, |metadata| metadata.len());
    if length > LARGEST_MEMORY {
        return Err(format!("has {length} bytes, more than {LARGEST_MEMORY}"));
    }
    let contents = fs::read(&file).map_err(|error| format!("cannot be read: {error}"))?;
    let name = name.trim_start_matches("/memfd:").trim_end_matches(" (deleted)");
    Ok(What::Memory { name: name.to_owned(), contents, position: position(number) })
}

fn socket(number: RawFd, open: &Open) -> Result<What, String> {
    let option = |name| -> u32 {
        let (mut value, mut length): (u32, libc::socklen_t) = (0, 4);
        // SAFETY: fills the variable.
        unsafe { libc::getsockopt(number, libc::SOL_SOCKET, name, (&raw mut value).cast(), &raw mut length) };
        value
    };
    if option(libc::SO_ACCEPTCONN) != 0 {
        return Err("is a socket that listens".to_owned());
    }
    let family = option(libc::SO_DOMAIN);
    let kind = option(libc::SO_TYPE);
    let peer = address(number, libc::getpeername);
    if family == libc::AF_UNIX.cast_unsigned() && peer.is_some() {
        return match pending(number)? {
            0 => other_end(number, open).map(|other| What::Pair { other, kind }),
            _ => Err("is a socket pair with unread bytes".to_owned()),
        };
    }
    if let Some(peer) = peer {
        return Ok(What::Connection { peer: text_of(&peer) });
    }
    let is_bound = address(number, libc::getsockname).is_some_and(|own| port(&own) != 0);
    if is_bound || family == libc::AF_UNIX.cast_unsigned() {
        return Err("is a socket that is bound to an address".to_owned());
    }
    Ok(What::Socket { family, kind, protocol: option(libc::SO_PROTOCOL) })
}

type Ask = unsafe extern "C" fn(libc::c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> libc::c_int;

fn address(number: RawFd, ask: Ask) -> Option<libc::sockaddr_storage> {
    #[expect(clippy::cast_possible_truncation, reason = "128 bytes")]
    const SIZE: libc::socklen_t = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: fills a struct that is large enough for every address.
    unsafe {
        let mut address: libc::sockaddr_storage = mem::zeroed();
        let mut length = SIZE;
        (ask(number, (&raw mut address).cast(), &raw mut length) == 0).then_some(address)
    }
}

/// The port of an internet address, which is at the same place for both families.
fn port(address: &libc::sockaddr_storage) -> u16 {
    // SAFETY: every address begins so.
    u16::from_be(unsafe { (*(&raw const *address).cast::<libc::sockaddr_in>()).sin_port })
}

fn text_of(address: &libc::sockaddr_storage) -> String {
    // SAFETY: the family says which struct it is.
    unsafe {
        match i32::from(address.ss_family) {
            libc::AF_INET => {
                let address = *(&raw const *address).cast::<libc::sockaddr_in>();
                let host = std::net::Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
                format!("{host}:{}", u16::from_be(address.sin_port))
            }
            libc::AF_INET6 => {
                let address = *(&raw const *address).cast::<libc::sockaddr_in6>();
                let host = std::net::Ipv6Addr::from(address.sin6_addr.s6_addr);
                format!("[{host}]:{}", u16::from_be(address.sin6_port))
            }
            _ => String::new(),
        }
    }
}

/// How many bytes can be read.
fn pending(number: RawFd) -> Result<i32, String> {
    let mut count = 0;
    // SAFETY: fills the variable.
    let asked = unsafe { libc::ioctl(number, libc::FIONREAD, &raw mut count) };
    if asked == 0 { Ok(count) } else { Err("cannot be read".to_owned()) }
}

/// The other end of a socket pair. The kernel does not say which it is, so one byte is sent and looked for.
fn other_end(number: RawFd, open: &Open) -> Result<u32, String> {
    let mut byte = [0_u8; 1];
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: sends and receives one byte of a local buffer.
    unsafe {
        if libc::send(number, byte.as_ptr().cast(), 1, flags) != 1 {
            return Err("is a socket pair that cannot be written to".to_owned());
        }
        for &other in open.keys().filter(|other| **other != number) {
            if pending(other) == Ok(1) && libc::recv(other, byte.as_mut_ptr().cast(), 1, libc::MSG_DONTWAIT) == 1 {
                return Ok(other.cast_unsigned());
            }
        }
    }
    Err("is a connection to another process".to_owned())
}

fn pipe(number: RawFd, inode: u64, open: &Open) -> Result<What, String> {
    if pending(number) != Ok(0) {
        return Err("is a pipe with unread bytes".to_owned());
    }
    let writes = |number| flags(number) & libc::O_ACCMODE.cast_unsigned() == libc::O_WRONLY.cast_unsigned();
    let is_other_end = |other: &&RawFd| {
        let same = fs::metadata(format!("/proc/self/fd/{other}")).is_ok_and(|metadata| metadata.ino() == inode);
        **other != number && same && writes(**other) != writes(number)
    };
    let other = open.keys().find(is_other_end).ok_or_else(|| "is a pipe to another process".to_owned())?;
    Ok(What::Pipe { other: other.cast_unsigned(), writes: writes(number) })
}
