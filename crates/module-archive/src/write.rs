//! Writing an archive.

use crate::{CACHE_TAG, ENTRY, HEADER, MAGIC, Target, VERSION, checksum};

/// A source and its bytecode.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    /// Below the archive's folder, such as `boto3/session.py`.
    pub path: &'a str,
    /// The source's size.
    pub size: u32,
    /// CPython's hash of it.
    pub hash: u64,
    /// Its code object, marshalled; empty for what cannot be compiled.
    pub code: &'a [u8],
}

/// The archive of these sources, whose files have the modification time `modified`. None where it would be larger than the
/// format can say, or a path is there twice, or the cache tag too long.
#[must_use]
pub fn write(target: Target<'_>, modified: i64, mut sources: Vec<Source<'_>>) -> Option<Vec<u8>> {
    sources.sort_by_key(|source| source.path);
    if target.cache_tag.len() > CACHE_TAG || sources.windows(2).any(|pair| pair[0].path == pair[1].path) {
        return None;
    }
    let paths_at = HEADER + sources.len() * ENTRY;
    let mut code_at = paths_at + sources.iter().map(|source| source.path.len()).sum::<usize>();
    let length = code_at + sources.iter().map(|source| source.code.len()).sum::<usize>();
    u32::try_from(length).ok()?;

    let mut archive = Vec::with_capacity(length);
    archive.extend_from_slice(MAGIC);
    archive.extend_from_slice(&VERSION.to_le_bytes());
    archive.extend_from_slice(&target.magic_number);
    archive.extend_from_slice(target.cache_tag.as_bytes());
    archive.resize(16 + CACHE_TAG, 0);
    archive.extend_from_slice(&modified.to_le_bytes());
    archive.extend_from_slice(&(length as u64).to_le_bytes());
    archive.extend_from_slice(&u32::try_from(sources.len()).ok()?.to_le_bytes());
    archive.extend_from_slice(&[0; 4]);
    archive.extend_from_slice(&checksum(&[&archive]).to_le_bytes());

    let mut path_at = paths_at;
    for source in &sources {
        let start = archive.len();
        for number in [path_at, source.path.len(), code_at, source.code.len(), source.size as usize, 0] {
            archive.extend_from_slice(&u32::try_from(number).ok()?.to_le_bytes());
        }
        archive.extend_from_slice(&source.hash.to_le_bytes());
        let sum = checksum(&[source.path.as_bytes(), &archive[start..]]);
        archive.extend_from_slice(&sum.to_le_bytes());
        path_at += source.path.len();
        code_at += source.code.len();
    }
    for source in &sources {
        archive.extend_from_slice(source.path.as_bytes());
    }
    for source in &sources {
        archive.extend_from_slice(source.code);
    }
    Some(archive)
}
