//! `application/vnd.amazon.eventstream`: messages with headers, each with its length and two checksums.

/// A header whose value is a string.
const STRING: u8 = 7;

/// An event called `name`.
pub(crate) fn event(name: &str, content_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut headers = Vec::new();
    for (name, value) in [(":event-type", name), (":content-type", content_type), (":message-type", "event")] {
        headers.push(u8::try_from(name.len()).expect("names are shorter than 256 bytes"));
        headers.extend_from_slice(name.as_bytes());
        headers.push(STRING);
        headers.extend_from_slice(&u16::try_from(value.len()).expect("values are shorter than 64 KB").to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    // Two lengths and their checksum before, the whole message's checksum behind.
    let length = 12 + headers.len() + payload.len() + 4;
    let mut message = Vec::with_capacity(length);
    for length in [length, headers.len()] {
        message.extend_from_slice(&u32::try_from(length).expect("a chunk is smaller than 4 GB").to_be_bytes());
    }
    message.extend_from_slice(&crc32(&message).to_be_bytes());
    message.extend_from_slice(&headers);
    message.extend_from_slice(payload);
    message.extend_from_slice(&crc32(&message).to_be_bytes());
    message
}

/// The CRC-32 of gzip, PNG and Ethernet.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| TABLE[usize::from(crc.to_le_bytes()[0] ^ byte)] ^ (crc >> 8))
}

/// The checksum of each byte.
static TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index: u32 = 0;
    while index < 256 {
        let mut crc = index;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[index as usize] = crc;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::{crc32, event};

    #[test]
    fn the_checksum_is_the_one_everybody_uses() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_message_is_framed_by_lengths_and_checksums() {
        let message = event("A", "b", b"payload");
        let headers = b"\x0b:event-type\x07\0\x01A\x0d:content-type\x07\0\x01b\x0d:message-type\x07\0\x05event";
        assert_eq!(message[..4], u32::try_from(message.len()).expect("short").to_be_bytes());
        assert_eq!(message[4..8], u32::try_from(headers.len()).expect("short").to_be_bytes());
        assert_eq!(message[8..12], crc32(&message[..8]).to_be_bytes());
        assert_eq!(&message[12..message.len() - 4], [&headers[..], b"payload"].concat());
        assert_eq!(message[message.len() - 4..], crc32(&message[..message.len() - 4]).to_be_bytes());
    }
}
