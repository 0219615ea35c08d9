//! Records of the log.

use crate::python::with_oracle;
use crate::take_text;
use pyo3::prelude::*;
use std::time::{Duration, UNIX_EPOCH};
use whipsnake_runtime_api::{Fault, log_frame};

/// Any records one after the other are read as those records; and a stack's lines are those that Python sees in it.
pub fn frame(mut bytes: &[u8]) {
    let mut texts = Vec::new();
    while !bytes.is_empty() {
        texts.push(take_text(&mut bytes));
    }
    let time = Duration::from_micros(texts.len() as u64);
    let kind = log_frame::TEXT_ERROR;
    let written: Vec<u8> = texts.iter().flat_map(|text| log_frame::frame(kind, UNIX_EPOCH + time, text)).collect();
    let mut rest = written.as_slice();
    for text in &texts {
        let (head, after) = rest.split_first_chunk::<16>().expect("a head");
        assert_eq!(head[..4], kind.to_be_bytes());
        assert_eq!(head[8..], (texts.len() as u64).to_be_bytes());
        let length = u32::from_be_bytes(head[4..8].try_into().expect("four bytes")) as usize;
        assert_eq!(&after[..length], text.as_bytes());
        rest = &after[length..];
    }
    assert!(rest.is_empty());
    with_oracle(|oracle| {
        for entry in &texts {
            let lines = Fault::new("", "").log_lines(Some(std::slice::from_ref(entry)));
            assert_eq!(lines[0], "[ERROR]");
            oracle.call_method1("check_log_lines", (entry, &lines[1..]))?;
        }
        Ok(())
    });
}
