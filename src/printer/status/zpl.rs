//! ZPL: `~HS` (three lines of flags) and the label odometer.
//!
//! Format: Zebra "Programming Guide for ZPL II", Host Status Return: each line is
//! `STX fields ETX CR LF`; line 1 holds paper out, pause and formats waiting, line 2 head up,
//! ribbon out and labels remaining, line 3 the password. The odometer answers in quotes. `~HS`
//! knows no jam: a printer that says only "paused" is asked for its errors (`~HQES`), eight
//! hexadecimal digits of flags.
//!
//! The label length in line 1 is measured on die-cut labels and set by `^LL` on rolls; bit 7 of
//! line 2's first field tells which.

use super::{Seen, Stock, Wear};
use crate::domain::Code;

pub(super) const STATUS: &[u8] = b"~HS\r\n";
pub(super) const ERRORS: &[u8] = b"~HQES\r\n";
pub(super) const COUNTER: &[u8] = b"! U1 getvar \"odometer.total_label_count\"\r\n";
/// What the printer has run, in the order of [`parse_wear`]: ever, since its head was cleaned, since
/// its head was new, and since the counter that people set back with a new roll.
const ODOMETERS: [&str; 4] = [
    "odometer.total_print_length",
    "odometer.headclean",
    "odometer.headnew",
    "odometer.media_marker_count1",
];

const STX: u8 = 2;
pub(super) const ETX: u8 = 3;

pub(super) fn is_complete(answer: &[u8], counter: bool) -> bool {
    let ends = answer.iter().filter(|byte| **byte == ETX).count();
    let after = answer.rsplit(|byte| *byte == ETX).next().unwrap_or(&[]);
    ends >= 3 && (!counter || after.iter().filter(|byte| **byte == b'"').count() >= 2)
}

pub(super) fn parse(answer: &[u8]) -> Option<Seen> {
    let mut frames = Vec::new();
    let mut rest = answer;
    while frames.len() < 3 {
        let start = rest.iter().position(|byte| *byte == STX)?;
        let framed = rest.get(start + 1..)?;
        let end = framed.iter().position(|byte| *byte == ETX)?;
        let (frame, after) = framed.split_at(end);
        frames.push(std::str::from_utf8(frame).ok()?);
        rest = after.get(1..)?;
    }
    let mut seen = flags(frames.first()?, frames.get(1)?)?;
    seen.counter = quoted_number(rest);
    Some(seen)
}

fn flags(first: &str, second: &str) -> Option<Seen> {
    let first: Vec<&str> = first.split(',').map(str::trim).collect();
    let second: Vec<&str> = second.split(',').map(str::trim).collect();
    if first.len() < 12 || second.len() < 9 {
        return None;
    }
    let is_set = |fields: &[&str], index: usize| fields.get(index).map(|field| *field == "1");
    let number = |fields: &[&str], index: usize| fields.get(index)?.parse::<u64>().ok();

    let (paper_out, paused) = (is_set(&first, 1)?, is_set(&first, 2)?);
    let (head_up, ribbon_out) = (is_set(&second, 2)?, is_set(&second, 3)?);
    // An open head reports the missing paper too, and paper out pauses: name what to do first.
    let mut seen = if head_up {
        Seen::stopped(Code::PrinterCoverOpen, "the head is open")
    } else if paper_out {
        Seen::stopped(Code::PrinterMediaOut, "out of labels")
    } else if ribbon_out {
        Seen::stopped(Code::PrinterMediaOut, "out of ribbon")
    } else if paused {
        Seen::stopped(Code::PrinterPaused, "paused")
    } else {
        Seen::default()
    };
    let waiting = number(&first, 4)?;
    let remaining = number(&second, 8)?;
    seen.busy = waiting > 0 || remaining > 0 || is_set(&first, 7)?;
    let is_roll = number(&second, 0)? & 0x80 != 0;
    seen.stock = number(&first, 3)
        .and_then(|dots| u32::try_from(dots).ok())
        .filter(|dots| !is_roll && *dots > 0)
        .map(Stock::Length);
    Some(seen)
}

/// Flags of the errors' second number, and what they mean.
const FLAGS: [(u32, Code, &str); 8] = [
    (0x0004, Code::PrinterCoverOpen, "the head is open"),
    (0x0001, Code::PrinterMediaOut, "out of labels"),
    (0x0002, Code::PrinterMediaOut, "out of ribbon"),
    (0x0008, Code::PrinterCoverOpen, "the cutter is stuck"),
    (0xf000, Code::PrinterCoverOpen, "labels are jammed"),
    (0x0030, Code::PrinterPaused, "too hot: it goes on by itself"),
    (
        0xc_0000,
        Code::PrinterMediaOut,
        "the black mark is not found",
    ),
    (0x0fc0, Code::PrinterPaused, "the head is damaged"),
];

/// The error line of `~HQES`: `ERRORS: 1 00000000 00000004`.
pub(super) fn parse_errors(answer: &[u8]) -> Option<Seen> {
    let text = std::str::from_utf8(answer).ok()?;
    let (_, errors) = text.split_once("ERRORS:")?;
    let mut words = errors.split_ascii_whitespace();
    if words.next()? == "0" {
        return None; // paused by hand, and nothing else
    }
    let flags = words.nth(1).filter(|word| word.len() == 8)?;
    let flags = u32::from_str_radix(flags, 16).ok()?;
    FLAGS
        .iter()
        .find(|(bits, _, _)| flags & bits != 0)
        .map(|(_, code, detail)| Seen::stopped(*code, detail))
}

/// Warnings of `~HQES`: nothing that stops a label, and something for a person to do.
const WARNINGS: [(u32, &str); 4] = [
    (0x1, "its labels need to be calibrated"),
    (0x2, "its print head needs cleaning"),
    (0x4, "its print head needs replacing"),
    (0x8, "its labels are nearly at their end"),
];

/// The warning line of `~HQES`: `WARNINGS: 1 00000000 00000002`. `None`: no answer.
pub(super) fn parse_warnings(answer: &[u8]) -> Option<Vec<&'static str>> {
    let text = std::str::from_utf8(answer).ok()?;
    let (_, warnings) = text.split_once("WARNINGS:")?;
    let mut words = warnings.split_ascii_whitespace();
    if words.next()? == "0" {
        return Some(Vec::new());
    }
    let flags = words.nth(1).filter(|word| word.len() == 8)?;
    let flags = u32::from_str_radix(flags, 16).ok()?;
    let said = WARNINGS.iter().filter(|(bit, _)| flags & bit != 0);
    Some(said.map(|(_, words)| *words).collect())
}

/// Asks for all odometers at once.
pub(super) fn wear_query() -> Vec<u8> {
    let one = |name: &&str| format!("! U1 getvar \"{name}\"\r\n");
    ODOMETERS.iter().map(one).collect::<String>().into_bytes()
}

pub(super) fn is_wear_complete(answer: &[u8]) -> bool {
    answer.iter().filter(|byte| **byte == b'"').count() >= 2 * ODOMETERS.len()
}

/// The odometers, each in quotes: `"4800 INCHES, 12192 CENTIMETERS"`; what the printer does not know
/// is `"?"`.
pub(super) fn parse_wear(answer: &[u8]) -> Option<Wear> {
    if !is_wear_complete(answer) {
        return None;
    }
    let text = std::str::from_utf8(answer).ok()?;
    let mut quoted = text.split('"').skip(1).step_by(2).map(centimetres);
    let mut next = || quoted.next().flatten();
    Some(Wear {
        total_cm: next(),
        head_clean_cm: next(),
        head_cm: next(),
        roll_cm: next(),
    })
}

fn centimetres(text: &str) -> Option<u64> {
    let unit = |unit: &str| -> Option<u64> {
        let before = text.split_once(unit)?.0.trim_end();
        before.rsplit([' ', ',']).next()?.parse().ok()
    };
    unit("CENTIMETERS").or_else(|| Some(unit("INCHES")?.saturating_mul(254) / 100))
}

fn quoted_number(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    text.split('"').nth(1)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: &str = "\x02030,0,0,1245,000,0,0,0,000,0,0,0\x03\r\n\x02000,0,0,0,0,2,4,0,00000000,1,000\x03\r\n\x021234,0\x03\r\n";

    fn with(line: usize, field: usize, value: &str) -> Vec<u8> {
        let mut lines: Vec<String> = READY.split("\r\n").map(str::to_owned).collect();
        let inner = lines[line].trim_matches(['\x02', '\x03']).to_owned();
        let mut fields: Vec<&str> = inner.split(',').collect();
        fields[field] = value;
        lines[line] = format!("\x02{}\x03", fields.join(","));
        lines.join("\r\n").into_bytes()
    }

    #[test]
    fn half_an_answer_is_no_answer() {
        for end in 0..READY.len() - 2 {
            assert_eq!(parse(&READY.as_bytes()[..end]), None, "{end}");
            assert!(!is_complete(&READY.as_bytes()[..end], false), "{end}");
        }
        assert_eq!(parse(b"\x02\x03\x02\x03\x02\x03"), None);
        assert_eq!(parse(&with(0, 4, "many")), None);
        assert_eq!(parse(&[0xff; 4096]), None);
    }

    #[test]
    fn each_flag_has_its_code() {
        for (line, field, code) in [
            (0, 1, Code::PrinterMediaOut),
            (0, 2, Code::PrinterPaused),
            (1, 2, Code::PrinterCoverOpen),
            (1, 3, Code::PrinterMediaOut),
        ] {
            assert_eq!(
                parse(&with(line, field, "1")).unwrap().code,
                Some(code),
                "{line} {field}"
            );
        }
    }

    #[test]
    fn formats_and_labels_still_to_come_are_busy() {
        assert!(parse(&with(0, 4, "002")).unwrap().busy);
        assert!(parse(&with(0, 7, "1")).unwrap().busy);
        assert!(parse(&with(1, 8, "00000001")).unwrap().busy);
        let ready = Seen {
            stock: Some(Stock::Length(1245)),
            ..Seen::default()
        };
        assert_eq!(parse(READY.as_bytes()), Some(ready));
        assert_eq!(parse(&with(1, 0, "128")).unwrap().stock, None); // a roll
    }

    #[test]
    fn a_jam_is_named_by_the_error_flags() {
        let answer = |errors: &str| {
            let text = format!(
                "\x02\r\n  PRINTER STATUS\r\n   ERRORS:         {errors}\r\n   WARNINGS:       0 00000000 00000000\r\n\x03"
            );
            parse_errors(text.as_bytes())
        };
        for errors in [
            "0 00000000 00000000",
            "1 00000000",
            "1 00000000 xyz",
            "",
            "1 00000000 00010000",
        ] {
            assert_eq!(answer(errors), None, "{errors}");
        }
        assert_eq!(
            answer("1 00000000 00011000").unwrap().detail,
            "labels are jammed"
        );
        assert_eq!(
            answer("1 00000000 00010002").unwrap().code,
            Some(Code::PrinterMediaOut)
        );
    }

    #[test]
    fn warnings_are_told_in_words_and_half_an_answer_is_none() {
        let answer = |warnings: &str| {
            let text = format!(
                "ERRORS:         0 00000000 00000000\r\n   WARNINGS:       {warnings}\r\n\x03"
            );
            parse_warnings(text.as_bytes())
        };
        for warnings in ["", "1", "1 00000000", "1 00000000 xyz"] {
            assert_eq!(answer(warnings), None, "{warnings}");
        }
        assert_eq!(answer("0 00000000 00000000"), Some(Vec::new()));
        assert_eq!(
            answer("1 00000000 0000000A").unwrap(),
            [
                "its print head needs cleaning",
                "its labels are nearly at their end"
            ]
        );
    }

    #[test]
    fn odometers_are_read_in_either_unit_and_what_is_unknown_stays_unknown() {
        let answer = br#""4800 INCHES, 12192 CENTIMETERS""100 INCHES""?""12 CENTIMETERS""#;
        let wear = Wear {
            total_cm: Some(12_192),
            head_clean_cm: Some(254),
            head_cm: None,
            roll_cm: Some(12),
        };
        assert_eq!(parse_wear(answer), Some(wear));
        assert_eq!(parse_wear(&answer[..answer.len() - 1]), None);
        let absurd =
            br#""99999999999999999999 CENTIMETERS""x INCHES""18446744073709551615 INCHES""-""#;
        assert_eq!(parse_wear(absurd).unwrap().total_cm, None);
    }

    #[test]
    fn the_odometer_is_read_behind_the_three_lines() {
        let answer = format!("{READY}\"90210\"");
        assert_eq!(parse(answer.as_bytes()).unwrap().counter, Some(90210));
        assert!(is_complete(answer.as_bytes(), true));
        assert!(!is_complete(READY.as_bytes(), true));
        let unknown = format!("{READY}\"?\"");
        assert_eq!(parse(unknown.as_bytes()).unwrap().counter, None);
    }
}
