//! Control characters, made visible. A terminal obeys those that it is sent: they move the cursor, rename the window, and on some
//! terminals write to the clipboard. Logs, file names and error messages are other people's text.

use std::{borrow::Cow, fmt::Write};

/// The longest escape sequence for colours that is recognised, in characters.
const LONGEST_COLOUR: usize = 40;

/// The text on one line, with no control character in it: `^[` for ESC.
pub fn visible(text: &str) -> Cow<'_, str> {
    visible_but(text, &[])
}

/// The same for text of several lines: line ends and tabs stay.
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    visible_but(text, &['\n', '\t'])
}

fn visible_but<'a>(text: &'a str, kept: &[char]) -> Cow<'a, str> {
    let is_hidden = |character: char| character.is_control() && !kept.contains(&character);
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_hidden(character) { name(character, &mut shown) } else { shown.push(character) }
    }
    Cow::Owned(shown)
}

/// Writes a control character as `less` and `cat -v` do, and one above ASCII by its number.
fn name(character: char, shown: &mut String) {
    match u8::try_from(character) {
        Ok(byte) if byte.is_ascii() => {
            shown.push('^');
            shown.push(char::from(byte ^ 0x40));
        }
        _ => write!(shown, "\\u{{{:x}}}", u32::from(character)).expect("a String takes everything"),
    }
}

/// Filters bytes on their way to a terminal, wherever they are cut. Line ends, tabs and carriage returns stay.
pub struct Filter {
    /// Whether sequences for colours and styles go through; otherwise they are left out.
    colours: bool,
    /// The beginning of a character that is not there to its end.
    cut: Vec<u8>,
    /// An escape sequence that is not there to its end.
    sequence: String,
}

impl Filter {
    /// A filter for a terminal that is to show colours, or is not.
    pub fn new(colours: bool) -> Filter {
        Filter { colours, cut: Vec::new(), sequence: String::new() }
    }

    /// What a terminal is to be sent for these bytes.
    pub fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = [&std::mem::take(&mut self.cut), bytes].concat();
        // A character has at most four bytes, and only its first has both high bits.
        let begun = (bytes.len().saturating_sub(3)..bytes.len()).rfind(|&position| bytes[position] >= 0xc0);
        if let Some(position) = begun
            && std::str::from_utf8(&bytes[position..]).is_err_and(|error| error.error_len().is_none())
        {
            self.cut = bytes.split_off(position);
        }
        let mut shown = Vec::with_capacity(bytes.len() + 8);
        for part in bytes.utf8_chunks() {
            let mut text = String::with_capacity(part.valid().len());
            part.valid().chars().for_each(|character| self.take(character, &mut text));
            shown.extend_from_slice(text.as_bytes());
            for &byte in part.invalid() {
                // A terminal that does not speak UTF-8 takes these for control characters as well.
                if (0x80..0xa0).contains(&byte) {
                    shown.extend_from_slice(format!("\\x{byte:x}").as_bytes());
                } else {
                    shown.push(byte);
                }
            }
        }
        shown
    }

    fn take(&mut self, character: char, shown: &mut String) {
        if !self.sequence.is_empty() {
            self.sequence.push(character);
            let continues = match self.sequence.len() {
                2 => character == '[',
                length => length < LONGEST_COLOUR && matches!(character, '0'..='9' | ';' | ':'),
            };
            if continues {
                return;
            }
            let sequence = std::mem::take(&mut self.sequence);
            if character == 'm' && sequence.len() > 2 {
                if self.colours {
                    shown.push_str(&sequence);
                }
                return;
            }
            let (last, before) = (character, &sequence[1..sequence.len() - character.len_utf8()]);
            shown.push_str("^[");
            shown.push_str(before);
            return self.take(last, shown);
        }
        match character {
            '\x1b' => self.sequence.push(character),
            '\n' | '\t' | '\r' => shown.push(character),
            _ if character.is_control() => name(character, shown),
            _ => shown.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Filter, visible, visible_lines};

    fn passed(colours: bool, parts: &[&[u8]]) -> String {
        let mut filter = Filter::new(colours);
        let shown: Vec<u8> = parts.iter().flat_map(|part| filter.pass(part)).collect();
        String::from_utf8_lossy(&shown).into_owned()
    }

    #[test]
    fn a_name_becomes_one_line_without_control_characters() {
        assert_eq!(visible("a\x1b]0;title\x07\n\u{9b}2J\x7f\té.py"), "a^[]0;title^G^J\\u{9b}2J^?^Ié.py");
        assert_eq!(visible_lines("a\n\tb\r\x1b[2J"), "a\n\tb^M^[[2J");
        assert_eq!(visible("grün"), "grün");
    }

    #[test]
    fn colours_go_through_where_they_are_wanted_and_are_left_out_elsewhere() {
        let text: &[u8] = b"\x1b[1;31mred\x1b[0m \x1b[38:2::1:2:3mtrue\x1b[m";
        assert_eq!(passed(true, &[text]).as_bytes(), text);
        assert_eq!(passed(false, &[text]), "red true");
    }

    #[test]
    fn all_other_sequences_become_text_wherever_they_are_cut() {
        let text = "\x1b[2Ja\x1b]52;c;aGk=\x07b\x1b\x1bc\u{9b}5n\x08é\r\n".as_bytes();
        let expected = "^[[2Ja^[]52;c;aGk=^Gb^[^[c\\u{9b}5n^Hé\r\n";
        assert_eq!(passed(true, &[text]), expected);
        for cut in 0..text.len() {
            assert_eq!(passed(true, &[&text[..cut], &text[cut..]]), expected, "cut at {cut}");
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_stay_unless_a_terminal_could_obey_them() {
        let mut filter = Filter::new(true);
        assert_eq!(filter.pass(b"caf\xe9 \x9b2J\n"), b"caf\xe9 \\x9b2J\n");
        assert_eq!(filter.pass("é\u{1f600}".as_bytes().split_at(4).0), "é".as_bytes());
        assert_eq!(filter.pass(b"\x98\x80\xc3("), b"\xf0\x9f\x98\x80\xc3(");
    }

    #[test]
    fn a_sequence_that_never_ends_is_not_held_back_for_ever() {
        let endless = format!("\x1b[{}", "1;".repeat(100));
        assert!(passed(true, &[endless.as_bytes()]).starts_with("^[[1;1;"));
    }
}
