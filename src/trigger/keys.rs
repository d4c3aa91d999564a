//! Key events to characters: the pure part of every keyboard-style scanner.
//!
//! US layout, the factory default of every scanner family. Both Shift keys, caps lock (letters
//! only), Ctrl+key (Ctrl+] is GS), Alt+digits on the keypad ("ALT mode"), overlapping keys. Repeats
//! of a held key are dropped: a scanner never means them. A key that has no character here becomes
//! [`NO_CHARACTER`], so that a scan with it is refused as a whole and never shortened. Key codes are
//! those of `linux/input-event-codes.h`.

/// Stands for a key that means no character: no order number has it.
pub const NO_CHARACTER: char = '\0';

const KEY_LEFTCTRL: u16 = 29;
const KEY_LEFTSHIFT: u16 = 42;
const KEY_RIGHTSHIFT: u16 = 54;
const KEY_LEFTALT: u16 = 56;
const KEY_CAPSLOCK: u16 = 58;
const KEY_NUMLOCK: u16 = 69;
const KEY_SCROLLLOCK: u16 = 70;
const KEY_RIGHTCTRL: u16 = 97;
const KEY_RIGHTALT: u16 = 100;
const KEY_LEFTMETA: u16 = 125;
const KEY_RIGHTMETA: u16 = 126;

/// Key code, character, character with Shift.
#[rustfmt::skip]
const US: &[(u16, u8, u8)] = &[
    (1, 0x1b, 0x1b),
    (2, b'1', b'!'), (3, b'2', b'@'), (4, b'3', b'#'), (5, b'4', b'$'), (6, b'5', b'%'), (7, b'6', b'^'),
    (8, b'7', b'&'), (9, b'8', b'*'), (10, b'9', b'('), (11, b'0', b')'), (12, b'-', b'_'), (13, b'=', b'+'),
    (14, 0x08, 0x08), (15, b'\t', b'\t'),
    (16, b'q', b'Q'), (17, b'w', b'W'), (18, b'e', b'E'), (19, b'r', b'R'), (20, b't', b'T'), (21, b'y', b'Y'),
    (22, b'u', b'U'), (23, b'i', b'I'), (24, b'o', b'O'), (25, b'p', b'P'), (26, b'[', b'{'), (27, b']', b'}'),
    (28, b'\r', b'\r'),
    (30, b'a', b'A'), (31, b's', b'S'), (32, b'd', b'D'), (33, b'f', b'F'), (34, b'g', b'G'), (35, b'h', b'H'),
    (36, b'j', b'J'), (37, b'k', b'K'), (38, b'l', b'L'), (39, b';', b':'), (40, b'\'', b'"'), (41, b'`', b'~'),
    (43, b'\\', b'|'), (44, b'z', b'Z'), (45, b'x', b'X'), (46, b'c', b'C'), (47, b'v', b'V'), (48, b'b', b'B'),
    (49, b'n', b'N'), (50, b'm', b'M'), (51, b',', b'<'), (52, b'.', b'>'), (53, b'/', b'?'), (57, b' ', b' '),
    // The keypad, num lock taken for granted: a scanner that uses it means digits.
    (71, b'7', b'7'), (72, b'8', b'8'), (73, b'9', b'9'), (74, b'-', b'-'), (75, b'4', b'4'), (76, b'5', b'5'),
    (77, b'6', b'6'), (78, b'+', b'+'), (79, b'1', b'1'), (80, b'2', b'2'), (81, b'3', b'3'), (82, b'0', b'0'),
    (83, b'.', b'.'), (55, b'*', b'*'), (98, b'/', b'/'), (96, b'\r', b'\r'),
    (86, b'\\', b'|'), // KEY_102ND
    (101, b'\n', b'\n'), // KEY_LINEFEED
];

/// What the modifier keys of one device say now.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// Bit 0 left, bit 1 right; likewise below.
    shift: u8,
    ctrl: u8,
    alt: u8,
    meta: u8,
    caps: bool,
    /// Alt is down and digits came: their value so far.
    alt_digits: Option<u32>,
}

impl Keys {
    /// Nothing is held; caps lock as the device's light says.
    pub fn new(caps: bool) -> Self {
        Self {
            caps,
            ..Self::default()
        }
    }

    /// Events were lost, or the device is a new one: no key is trusted to be down.
    pub fn forget(&mut self) {
        *self = Self::new(self.caps);
    }

    /// A key changed: `value` 1 pressed, 0 released, 2 repeated by being held.
    pub fn key(&mut self, code: u16, value: i32) -> Option<char> {
        let down = match value {
            0 => false,
            1 => true,
            _ => return None,
        };
        match code {
            KEY_LEFTSHIFT => hold(&mut self.shift, 1, down),
            KEY_RIGHTSHIFT => hold(&mut self.shift, 2, down),
            KEY_LEFTCTRL => hold(&mut self.ctrl, 1, down),
            KEY_RIGHTCTRL => hold(&mut self.ctrl, 2, down),
            KEY_LEFTMETA => hold(&mut self.meta, 1, down),
            KEY_RIGHTMETA => hold(&mut self.meta, 2, down),
            KEY_CAPSLOCK => {
                self.caps ^= down;
                None
            }
            // Scanners in ALT mode press these around their digits.
            KEY_NUMLOCK | KEY_SCROLLLOCK => None,
            KEY_LEFTALT | KEY_RIGHTALT => self.alt(code, down),
            _ if !down => None,
            _ => Some(self.pressed(code))
                .filter(|_| self.alt == 0)
                .or_else(|| self.alt_digit(code)),
        }
    }

    fn alt(&mut self, code: u16, down: bool) -> Option<char> {
        hold(&mut self.alt, if code == KEY_LEFTALT { 1 } else { 2 }, down);
        let digits = self.alt_digits.take();
        if down {
            return None;
        }
        // Alt+029 is GS; more than a byte is no character of any scanner's.
        digits.map(|value| {
            u8::try_from(value).map_or(NO_CHARACTER, |byte| match char::from(byte) {
                '\0' => NO_CHARACTER,
                character => character,
            })
        })
    }

    fn alt_digit(&mut self, code: u16) -> Option<char> {
        match us(code) {
            Some((digit, _)) if digit.is_ascii_digit() => {
                let before = self.alt_digits.unwrap_or(0);
                let value = before
                    .saturating_mul(10)
                    .saturating_add(u32::from(digit - b'0'));
                self.alt_digits = Some(value);
                None
            }
            _ => Some(NO_CHARACTER),
        }
    }

    fn pressed(&self, code: u16) -> char {
        let Some((plain, shifted)) = us(code).filter(|_| self.meta == 0) else {
            return NO_CHARACTER;
        };
        if self.ctrl != 0 {
            // Ctrl+@ … Ctrl+_ are 0x00 … 0x1f.
            let key = if self.shift == 0 { plain } else { shifted }.to_ascii_uppercase();
            return if (0x40..=0x5f).contains(&key) {
                char::from(key & 0x1f)
            } else {
                NO_CHARACTER
            };
        }
        let shift = (self.shift != 0) != (self.caps && plain.is_ascii_alphabetic());
        char::from(if shift { shifted } else { plain })
    }
}

fn hold(keys: &mut u8, side: u8, down: bool) -> Option<char> {
    if down {
        *keys |= side;
    } else {
        *keys &= !side;
    }
    None
}

fn us(code: u16) -> Option<(u8, u8)> {
    let at = US.iter().find(|(key, _, _)| *key == code)?;
    Some((at.1, at.2))
}

/// The key events by which a scanner types a text.
#[cfg(test)]
pub(crate) fn typed(text: &str) -> Vec<(u16, i32)> {
    let mut events = Vec::new();
    for byte in text.bytes() {
        if byte < 0x20 && !matches!(byte, b'\r' | b'\n' | b'\t' | 0x1b | 0x08) {
            let base = (byte | 0x40).to_ascii_lowercase();
            let (code, shift) = US
                .iter()
                .find_map(|k| match (k.1 == base, k.2 == byte | 0x40) {
                    (true, _) => Some((k.0, false)),
                    (_, true) => Some((k.0, true)),
                    _ => None,
                })
                .unwrap();
            events.push((KEY_LEFTCTRL, 1));
            if shift {
                events.push((KEY_LEFTSHIFT, 1));
            }
            events.extend([(code, 1), (code, 0)]);
            if shift {
                events.push((KEY_LEFTSHIFT, 0));
            }
            events.push((KEY_LEFTCTRL, 0));
            continue;
        }
        let key = US.iter().find(|k| k.1 == byte || k.2 == byte).unwrap();
        if key.1 == byte {
            events.extend([(key.0, 1), (key.0, 0)]);
        } else {
            events.extend([
                (KEY_LEFTSHIFT, 1),
                (key.0, 1),
                (key.0, 0),
                (KEY_LEFTSHIFT, 0),
            ]);
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEYPAD: [u16; 10] = [82, 79, 80, 81, 75, 76, 77, 71, 72, 73];

    fn read(events: &[(u16, i32)]) -> String {
        let mut keys = Keys::new(false);
        events
            .iter()
            .filter_map(|(code, value)| keys.key(*code, *value))
            .collect()
    }

    /// As a scanner in ALT mode types: every character by its number.
    fn by_alt(text: &str) -> Vec<(u16, i32)> {
        let mut events = Vec::new();
        for byte in text.bytes() {
            events.push((KEY_LEFTALT, 1));
            for digit in format!("{byte:03}").bytes() {
                let key = KEYPAD[usize::from(digit - b'0')];
                events.extend([(key, 1), (key, 0)]);
            }
            events.push((KEY_LEFTALT, 0));
        }
        events
    }

    #[test]
    fn a_key_without_a_character_spoils_the_scan_instead_of_vanishing() {
        assert_eq!(read(&[(30, 1), (30, 0), (59, 1), (59, 0), (48, 1)]), "a\0b");
        assert_eq!(
            read(&[(KEY_LEFTMETA, 1), (19, 1), (19, 0), (KEY_LEFTMETA, 0)]),
            "\0"
        );
        assert_eq!(
            read(&[(KEY_LEFTCTRL, 1), (2, 1), (2, 0), (KEY_LEFTCTRL, 0)]),
            "\0"
        );
        // Alt+SysRq+b, as a hostile barcode sends it.
        assert_eq!(
            read(&[
                (KEY_LEFTALT, 1),
                (99, 1),
                (48, 1),
                (48, 0),
                (99, 0),
                (KEY_LEFTALT, 0)
            ]),
            "\0\0"
        );
        // Alt+300 is no byte.
        assert_eq!(
            read(&[
                (KEY_LEFTALT, 1),
                (81, 1),
                (82, 1),
                (82, 0),
                (82, 1),
                (KEY_LEFTALT, 0)
            ]),
            "\0"
        );
    }

    #[test]
    fn every_printable_character_reads_back_typed_or_by_number() {
        let all: String = (0x20_u8..0x7f).map(char::from).collect();
        assert_eq!(read(&typed(&all)), all);
        assert_eq!(read(&by_alt(&all)), all);
    }

    #[test]
    fn gs_comes_as_ctrl_and_bracket_or_by_number() {
        let text = "]C1400PO-77\u{1d}00106141411234567897\r";
        assert_eq!(read(&typed(text)), text);
        assert_eq!(read(&by_alt("A\u{1d}B")), "A\u{1d}B");
    }

    #[test]
    fn caps_lock_turns_letters_only_and_shift_turns_them_back() {
        let mut keys = Keys::new(true);
        let read: String = typed("aB1!")
            .iter()
            .filter_map(|(c, v)| keys.key(*c, *v))
            .collect();
        assert_eq!(read, "Ab1!");
        assert_eq!(keys.key(KEY_CAPSLOCK, 1), None);
        assert_eq!(keys.key(30, 1), Some('a'));
    }

    #[test]
    fn overlapping_keys_and_a_held_shift_are_read_in_order() {
        assert_eq!(
            read(&[(30, 1), (48, 1), (30, 0), (46, 1), (48, 0), (46, 0)]),
            "abc"
        );
        assert_eq!(
            read(&[
                (42, 1),
                (30, 1),
                (30, 0),
                (48, 1),
                (48, 0),
                (42, 0),
                (46, 1)
            ]),
            "ABc"
        );
        assert_eq!(
            read(&[(42, 1), (54, 1), (42, 0), (30, 1), (54, 0), (30, 1)]),
            "Aa"
        );
    }

    #[test]
    fn a_held_key_counts_once_and_lost_events_free_every_modifier() {
        assert_eq!(read(&[(30, 1), (30, 2), (30, 2), (30, 0)]), "a");
        let mut keys = Keys::new(false);
        keys.key(KEY_LEFTSHIFT, 1);
        keys.key(KEY_LEFTALT, 1);
        keys.forget();
        assert_eq!(keys.key(30, 1), Some('a'));
    }

    proptest! {
        #[test]
        fn no_sequence_of_keys_panics_or_gives_more_characters_than_keys(
            events in prop::collection::vec((0_u16..768, -1_i32..4), 0..400),
        ) {
            let presses = events.len();
            let read = read(&events);
            prop_assert!(read.chars().count() <= presses);
            prop_assert!(read.chars().all(|c| u32::from(c) < 256));
        }

        #[test]
        fn any_printable_text_reads_back(text in "[ -~]{0,80}") {
            prop_assert_eq!(read(&typed(&text)), text.clone());
            prop_assert_eq!(read(&by_alt(&text)), text);
        }
    }
}
