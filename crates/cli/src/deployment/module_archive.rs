//! A folder's modules in one file, for the bootstrap to map into memory.

pub use whipsnake_module_archive::PATH;
use whipsnake_module_archive::{Source, Target};

use super::archive::Moment;
use crate::{failure::Failure, python::Interpreter};

/// What stands before the code in a file of bytecode: CPython's magic number, flags, the source's hash.
const HEADER: usize = 16;

/// The archive of modules by their paths below its folder, and what [`super::bytecode::compile`] has made of them.
pub fn write(
    modules: &[(String, &[u8])],
    compiled: &[Option<Vec<u8>>],
    interpreter: &Interpreter,
    modified: Moment,
) -> Result<Vec<u8>, Failure> {
    let mut magic_number = [0; 4];
    let mut sources = Vec::with_capacity(modules.len());
    for ((path, text), bytecode) in modules.iter().zip(compiled) {
        let header = bytecode.as_ref().and_then(|bytecode| bytecode.split_at_checked(HEADER));
        let mut hash = [0; 8];
        if let Some((header, _)) = header {
            magic_number.copy_from_slice(&header[..4]);
            hash.copy_from_slice(&header[8..]);
        }
        sources.push(Source {
            path,
            size: u32::try_from(text.len())
                .map_err(|_| Failure::new(format!("{path} is larger than 4 GB: no such module can be packed")))?,
            hash: u64::from_le_bytes(hash),
            code: header.map_or(&[], |(_, code)| code),
        });
    }
    let target = Target { cache_tag: &interpreter.cache_tag, magic_number };
    whipsnake_module_archive::write(target, modified.seconds(), sources)
        .ok_or_else(|| Failure::new("the bytecode of all modules is larger than 4 GB: no archive can have it"))
}
