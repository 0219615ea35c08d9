//! Module archives.

use crate::take_text;
use whipsnake_module_archive::{Archive, Source, Target, write};

/// Whatever is read as an archive is refused, or its modules lie in it; and what is written is found again.
pub fn archive(bytes: &[u8]) {
    search(bytes);
    // Checksums that are right, so that what lies behind them is reached.
    search(&with_checksums(bytes));
    write_and_read(bytes);
}

fn search(bytes: &[u8]) {
    let Ok(archive) = Archive::read(bytes) else { return };
    let within = bytes.as_ptr_range();
    let paths = bytes[64..].chunks(16).flat_map(|chunk| [chunk, &chunk[..1]]);
    for path in paths.chain([b"".as_slice(), b"app.py", b"boto3/__init__.py"]) {
        if let Ok(Some(module)) = archive.find(path) {
            let code = module.code.as_ptr_range();
            assert!(within.start <= code.start && code.end <= within.end, "{path:?} has code outside the archive");
            assert!(u32::try_from(module.size).is_ok());
        }
    }
    assert!(archive.target().cache_tag.len() <= 16);
}

/// The same with the length and the checksums that it should have. The format is described where it is read.
fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut archive = bytes.to_vec();
    if archive.len() < 64 {
        return archive;
    }
    archive[..12].copy_from_slice(b"whipsnak\x01\0\0\0");
    let length = archive.len() as u64;
    archive[40..48].copy_from_slice(&length.to_le_bytes());
    // A few entries only, or hardly any bytes would make an archive.
    archive[49..52].fill(0);
    archive[48] %= 8;
    let sum = checksum(archive[..56].iter());
    archive[56..64].copy_from_slice(&sum.to_le_bytes());
    for start in (64..).step_by(40).take(archive[48].into()).take_while(|start| start + 40 <= bytes.len()) {
        let number = |at: usize| {
            u32::from_le_bytes(archive[start + at..start + at + 4].try_into().expect("four bytes")) as usize
        };
        let Some(path) = archive.get(number(0)..number(0) + number(4)) else { continue };
        let sum = checksum(path.iter().chain(&archive[start..start + 32]));
        archive[start + 32..start + 40].copy_from_slice(&sum.to_le_bytes());
    }
    archive
}

fn checksum<'a>(bytes: impl Iterator<Item = &'a u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn write_and_read(mut bytes: &[u8]) {
    let mut texts = Vec::new();
    while !bytes.is_empty() {
        texts.push(take_text(&mut bytes));
    }
    let target = Target { cache_tag: texts.first().map_or("", String::as_str), magic_number: *b"abcd" };
    let source = |(number, pair): (usize, &'_ [String])| Source {
        path: texts[2 * number].as_str(),
        size: u32::try_from(pair.len()).expect("one or two"),
        hash: number as u64,
        code: texts.get(2 * number + 1).map_or(b"", |code| code.as_bytes()),
    };
    let sources: Vec<_> = texts.chunks(2).enumerate().map(source).collect();
    let Some(written) = write(target, -1, sources.clone()) else { return };
    let archive = Archive::read(&written).expect("what was written is read");
    assert_eq!(archive.modified(), -1);
    for source in sources {
        let module = archive.find(source.path.as_bytes()).expect("it is whole").expect("it is there");
        assert_eq!((module.size, module.hash, module.code), (source.size.into(), source.hash, source.code));
    }
}
