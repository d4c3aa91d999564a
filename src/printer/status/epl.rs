//! EPL2: `^ee`, all errors there are, as numbers.
//!
//! Format: Zebra "EPL Programming Guide", `^ee` (error report, immediate), and the manuals of the
//! printers that speak it too: two digits each, commas between them, CR LF at the end. `00` is no
//! error; 07 paper or ribbon out, 11 head open, 12 paused; the others speak of commands that came
//! earlier and stop nothing. It is not answered inside a picture: an answer means that no half
//! label is open.

use super::Seen;
use crate::domain::Code;

pub(super) const QUERY: &[u8] = b"^ee\r\n";

/// Most errors that are listed at once.
const MOST: usize = 16;

pub(super) fn is_complete(answer: &[u8]) -> bool {
    answer.contains(&b'\n')
}

pub(super) fn parse(answer: &[u8]) -> Option<Seen> {
    let text = std::str::from_utf8(answer).ok()?.strip_suffix("\r\n")?;
    let errors: Vec<u8> = text
        .split(',')
        .take(MOST + 1)
        .map(|number| {
            let digits = number.len() == 2 && number.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| number.parse().ok()).flatten()
        })
        .collect::<Option<_>>()?;
    if errors.len() > MOST {
        return None;
    }
    let has = |error: u8| errors.contains(&error);
    Some(if has(11) {
        Seen::stopped(Code::PrinterCoverOpen, "the head is open")
    } else if has(7) {
        Seen::stopped(Code::PrinterMediaOut, "out of labels or ribbon")
    } else if has(12) {
        Seen::stopped(Code::PrinterPaused, "paused")
    } else {
        Seen::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_list_of_numbers_is_no_answer() {
        for answer in [
            &b""[..],
            b"00",
            b"0\r\n",
            b"000\r\n",
            b"+1\r\n",
            b"00,\r\n",
            b"00\r\n00\r\n",
            b"\xff\xff\r\n",
        ] {
            assert_eq!(parse(answer), None, "{answer:x?}");
        }
        assert_eq!(
            parse(format!("{}00\r\n", "01,".repeat(40)).as_bytes()),
            None
        );
    }

    #[test]
    fn each_number_has_its_code() {
        for (answer, code) in [
            (&b"00\r\n"[..], None),
            (b"01\r\n", None), // a command that it did not understand
            (b"07\r\n", Some(Code::PrinterMediaOut)),
            (b"01,11\r\n", Some(Code::PrinterCoverOpen)),
            (b"07,11\r\n", Some(Code::PrinterCoverOpen)),
            (b"12\r\n", Some(Code::PrinterPaused)),
        ] {
            assert_eq!(parse(answer).unwrap().code, code, "{answer:x?}");
        }
    }
}
