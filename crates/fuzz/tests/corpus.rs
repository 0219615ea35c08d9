//! The corpus once more: what fuzzing found worth keeping, and what it found wrong. The names of its folders are the targets'.

use std::fs;
use std::path::Path;
use std::thread;

/// A value may be nested as deeply as its bytes are many, in code that was not made smaller by the compiler.
const STACK: usize = 512 * 1024 * 1024;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    files.sort();
    assert!(files.len() > 3, "{} has hardly anything", folder.display());
    let check_all = move || {
        check(b"");
        for file in files {
            let bytes = fs::read(&file).expect("a readable file");
            let checked = std::panic::catch_unwind(|| check(&bytes));
            assert!(checked.is_ok(), "{} does not hold", file.display());
        }
    };
    let thread = thread::Builder::new().stack_size(STACK).spawn(check_all).expect("a thread");
    thread.join().expect("what was said above");
}

#[test]
fn any_bytes_are_decoded_or_refused_as_python_does() {
    replay("decode", whipsnake_fuzz::decode);
}

#[test]
fn any_value_is_encoded_or_refused_as_python_does() {
    replay("encode", whipsnake_fuzz::encode);
}

#[test]
fn any_headers_make_an_invocation() {
    replay("headers", whipsnake_fuzz::headers);
}

#[test]
fn any_bytes_for_an_answer_make_an_invocation_or_an_error() {
    replay("answer", whipsnake_fuzz::answer);
}

#[test]
fn a_prelude_has_what_was_put_into_it_and_nothing_else() {
    replay("prelude", whipsnake_fuzz::prelude);
}

#[test]
fn any_records_come_out_of_their_frames() {
    replay("frame", whipsnake_fuzz::frame);
}

#[test]
fn any_bytes_for_an_archive_are_refused_or_stay_within_it() {
    replay("archive", whipsnake_fuzz::archive);
}

#[test]
fn any_bytes_for_a_checkpoint_are_refused_or_can_be_restored() {
    replay("checkpoint", whipsnake_fuzz::checkpoint);
}

#[test]
fn the_corpus_has_checkpoints_that_are_accepted() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/checkpoint");
    for name in ["whole", "without-vdso", "without-descriptors"] {
        let bytes = fs::read(folder.join(name)).expect("a readable file");
        assert!(whipsnake_fuzz::is_checkpoint(&bytes), "{name}");
    }
    let refused = fs::read(folder.join("vdso-in-the-restorer")).expect("a readable file");
    assert!(!whipsnake_fuzz::is_checkpoint(&refused));
}
