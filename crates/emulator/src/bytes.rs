//! Bytes as JSON: a string when they are UTF-8, `{"base64": "..."}` when they are not.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error, ser::SerializeMap};

/// Any bytes, readable in a script and in a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("base64", &BASE64_STANDARD.encode(&self.0))?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "bytes are written as a string, or as {\"base64\": \"...\"}")]
        enum Written {
            Text(String),
            Encoded(Base64),
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Base64 {
            base64: String,
        }

        match Written::deserialize(deserializer)? {
            Written::Text(text) => Ok(Bytes(text.into_bytes())),
            Written::Encoded(encoded) => BASE64_STANDARD
                .decode(&encoded.base64)
                .map(Bytes)
                .map_err(|error| D::Error::custom(format_args!("{:?} is not base64: {error}", encoded.base64))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Bytes;

    #[test]
    fn utf8_is_a_string_and_everything_else_base64() {
        let written = serde_json::to_string(&(Bytes("grün\0".into()), Bytes(vec![0xff, 0x00]))).expect("serialises");
        assert_eq!(written, r#"["grün\u0000",{"base64":"/wA="}]"#);
        let (text, binary): (Bytes, Bytes) = serde_json::from_str(&written).expect("parses");
        assert_eq!((text.0, binary.0), ("grün\0".into(), vec![0xff, 0x00]));
    }

    #[test]
    fn base64_may_hold_utf8_too() {
        let bytes: Bytes = serde_json::from_str(r#"{"base64":"aGk="}"#).expect("parses");
        assert_eq!(bytes.0, b"hi");
    }
}
