//! What a streamed HTTP response begins with.

use crate::take_text;
use serde_json::Value;
use whipsnake_runtime_api::Prelude;

/// Whatever a function gives as status, headers and cookies is refused, or it is in the prelude and adds nothing else to it.
pub fn prelude(bytes: &[u8]) {
    let Some((status, mut rest)) = bytes.split_first_chunk::<2>() else { return };
    let status = u16::from_le_bytes(*status);
    let Ok(mut prelude) = Prelude::new(status) else {
        assert!(!(100..1000).contains(&status), "{status} was refused");
        return;
    };
    let (mut headers, mut cookies) = (serde_json::Map::new(), Vec::new());
    while !rest.is_empty() {
        let (name, value) = (take_text(&mut rest), take_text(&mut rest));
        if name.is_empty() {
            if prelude.cookie(&value).is_ok() {
                assert!(value.bytes().all(is_legal), "{value:?} was taken");
                cookies.push(value);
            }
        } else if prelude.header(&name, &value).is_ok() {
            assert!(value.bytes().all(is_legal), "{value:?} was taken");
            assert!(name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'), "{name:?} was taken");
            headers.insert(name.to_ascii_lowercase(), value.into());
        }
    }
    let written = prelude.to_bytes();
    let json = written.strip_suffix(&[0; 8]).expect("eight NULs end it");
    assert!(!json.contains(&0), "its end is the first eight NULs");
    let Value::Object(mut read) = serde_json::from_slice(json).expect("it is JSON") else { panic!("it is an object") };
    assert_eq!(read.remove("statusCode"), Some(status.into()));
    assert_eq!(read.remove("headers"), Some(headers.into()));
    assert_eq!(read.remove("cookies"), Some(cookies.into()));
    assert!(read.is_empty(), "{read:?}");
}

fn is_legal(byte: u8) -> bool {
    byte == b'\t' || byte == b' ' || byte.is_ascii_graphic()
}
