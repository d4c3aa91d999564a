//! Printer languages from a courier (ZPL, EPL2, TSPL): untouched, but told apart, checked for
//! their end and for their size.
//!
//! Formats: ZPL II Programming Guide (`^PW`, `^LL` in dots), EPL2 Programmer's Manual (`q`, `Q` in
//! dots), TSPL/TSPL2 Programming Manual (`SIZE` in mm or inches). A label that says no size is let
//! through: its own commands cannot be measured without drawing them.

use super::document::find;
use super::{LabelError, Media};
use serde::{Deserialize, Serialize};

/// A printer language that a courier's document may be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// Zebra Programming Language.
    Zpl,
    /// Eltron Programming Language 2.
    Epl,
    /// TSC's language.
    Tspl,
}

impl Language {
    /// The word for logs and file names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zpl => "zpl",
            Self::Epl => "epl",
            Self::Tspl => "tspl",
        }
    }
}

/// A declared size may exceed the media by this much: 4-inch heads are declared as `^PW812` or
/// `^PW832` on 100 mm media all over the trade, and the margin is empty.
const SLACK_MM: f64 = 4.5;

/// Tells the language of a whole document; `None` when it is none of them or has no end.
pub(crate) fn identify(bytes: &[u8]) -> Option<Language> {
    let text = trim(bytes);
    // A driver's byte order mark and delimiter settings may stand before ^XA (ZebraDesigner).
    let starts = [&b"^XA"[..], b"~", b"CT~~CD,"]
        .iter()
        .any(|start| text.starts_with(start));
    if starts {
        let begins = find(text, b"^XA")?;
        return find(&text[begins..], b"^XZ").map(|_| Language::Zpl);
    }
    let mut lines = text
        .split(|b| *b == b'\n' || *b == b'\r')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .take(12);
    let first = lines.next()?;
    if is_tspl(first) {
        return ends_with_command(text, b"PRINT").then_some(Language::Tspl);
    }
    let epl = is_epl_setup(first) && (first == b"N" || lines.any(|line| line == b"N"));
    (epl && ends_with_command(text, b"P")).then_some(Language::Epl)
}

/// Without the byte order mark, blanks and control characters (ESC, DLE) that drivers put around.
fn trim(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let begins = bytes
        .iter()
        .position(|b| !b.is_ascii_control() && *b != b' ');
    bytes[begins.unwrap_or(bytes.len())..].trim_ascii_end()
}

fn is_tspl(line: &[u8]) -> bool {
    ["SIZE ", "CLS", "GAP ", "DIRECTION ", "SET ", "REFERENCE "]
        .iter()
        .any(|word| {
            line.len() >= word.len()
                && line[..word.len()].eq_ignore_ascii_case(word.as_bytes())
                && (word.ends_with(' ') || line.len() == word.len())
        })
}

/// EPL2 commands that stand before the drawing: `N` clears, the others take a number or a letter.
fn is_epl_setup(line: &[u8]) -> bool {
    match line {
        [b'N'] => true,
        [
            b'q' | b'Q' | b'S' | b'D' | b'R' | b'I' | b'Z' | b'O' | b'J',
            rest @ ..,
        ] => {
            rest.len() <= 16
                && rest.iter().all(|b| {
                    b.is_ascii_digit() || b.is_ascii_uppercase() || *b == b',' || *b == b'+'
                })
        }
        _ => false,
    }
}

/// Whether one of the last lines is the printing command with a number: without it nothing comes
/// out, and its absence means that the file was cut off.
fn ends_with_command(text: &[u8], command: &[u8]) -> bool {
    text.rsplit(|b| *b == b'\n' || *b == b'\r')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .take(4)
        .any(|line| {
            line.len() > command.len()
                && line[..command.len()].eq_ignore_ascii_case(command)
                && line[command.len()..]
                    .iter()
                    .all(|b| b.is_ascii_digit() || *b == b',' || *b == b' ')
        })
}

/// Refuses a label that says it is larger than the media.
pub(crate) fn check_size(
    language: Language,
    bytes: &[u8],
    media: &Media,
) -> Result<(), LabelError> {
    let mm = |dots: u32| f64::from(dots) / media.dots_per_mm();
    let (width, height) = match language {
        Language::Zpl => (
            largest_after(bytes, b"^PW").map(mm),
            largest_after(bytes, b"^LL").map(mm),
        ),
        Language::Epl => epl_size(bytes, mm),
        Language::Tspl => tspl_size(bytes),
    };
    let over = |size: Option<f64>, limit: f64| size.is_some_and(|size| size > limit + SLACK_MM);
    if over(width, media.width_mm) || over(height, media.height_mm) {
        let show = |v: Option<f64>| v.map_or("?".to_owned(), |v| format!("{v:.0}"));
        return Err(LabelError::misfit(format!(
            "the {} label says {} x {} mm at {} dpi, the media is {:.0} x {:.0} mm",
            language.as_str(),
            show(width),
            show(height),
            media.dpi,
            media.width_mm,
            media.height_mm,
        )));
    }
    Ok(())
}

/// Largest number that follows `command` anywhere; bounded digits, so no overflow.
fn largest_after(bytes: &[u8], command: &[u8]) -> Option<u32> {
    let mut largest = None;
    let mut rest = bytes;
    while let Some(at) = find(rest, command) {
        rest = &rest[at + command.len()..];
        largest = largest.max(number(rest));
    }
    largest
}

fn number(bytes: &[u8]) -> Option<u32> {
    let digits = bytes
        .iter()
        .take(6)
        .take_while(|b| b.is_ascii_digit())
        .count();
    std::str::from_utf8(&bytes[..digits]).ok()?.parse().ok()
}

fn epl_size(bytes: &[u8], mm: impl Fn(u32) -> f64) -> (Option<f64>, Option<f64>) {
    let mut size = (None, None);
    // Only the setup lines: binary graphics follow later and may contain anything.
    for line in bytes
        .split(|b| *b == b'\n')
        .map(<[u8]>::trim_ascii)
        .take(12)
    {
        match line {
            [b'q', rest @ ..] => size.0 = number(rest).map(&mm),
            [b'Q', rest @ ..] => size.1 = number(rest).map(&mm),
            _ => {}
        }
    }
    size
}

fn tspl_size(bytes: &[u8]) -> (Option<f64>, Option<f64>) {
    let line = bytes
        .split(|b| *b == b'\n' || *b == b'\r')
        .map(<[u8]>::trim_ascii)
        .take(12)
        .find(|line| line.len() > 5 && line[..5].eq_ignore_ascii_case(b"SIZE "));
    let Some(text) = line.and_then(|line| std::str::from_utf8(&line[5..]).ok()) else {
        return (None, None);
    };
    let mut sizes = text.split(',').map(|part| {
        let part = part.trim().to_ascii_lowercase();
        // Without a unit TSPL means inches; `dot` is left unchecked.
        match part.strip_suffix("mm") {
            Some(mm) => mm.trim().parse::<f64>().ok(),
            None => part.parse::<f64>().ok().map(|inches| inches * 25.4),
        }
    });
    (sizes.next().flatten(), sizes.next().flatten())
}

/// One piece per label, so that each can be proven on its own. The document stays whole where its
/// pieces may depend on each other (stored formats and graphics) or are not plain.
pub(crate) fn pieces(language: Language, bytes: &[u8]) -> Vec<Vec<u8>> {
    let whole = || vec![bytes.to_vec()];
    if language != Language::Zpl {
        return whole();
    }
    // `~D*`, `^D*` store; `^XF`, `^XG`, `^IL`, `^IM` recall; `^CC` and friends change the marks.
    let stateful = [
        &b"~D"[..],
        b"^DF",
        b"^XF",
        b"^XG",
        b"^IS",
        b"^IL",
        b"^IM",
        b"^ID",
        b"^CC",
        b"~CC",
        b"^CT",
        b"~CT",
    ];
    if stateful
        .iter()
        .any(|command| find(bytes, command).is_some())
    {
        return whole();
    }
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while let Some(end) = find(rest, b"^XZ") {
        let (piece, after) = rest.split_at(end + 3);
        let begins = find(piece, b"^XA");
        let single = begins.is_some_and(|at| {
            trim(&piece[..at]).is_empty() && find(&piece[at + 3..], b"^XA").is_none()
        });
        if !single {
            return whole();
        }
        pieces.push(piece.to_vec());
        rest = after;
    }
    if trim(rest).is_empty() && pieces.len() > 1 {
        pieces
    } else {
        whole()
    }
}

/// Whether the commands carry this (normalised) tracking number as text.
pub(crate) fn mentions(bytes: &[u8], tracking: &str) -> bool {
    // Code 128 data in ZPL is interrupted by set changes (`>;`, `>5`), text by spaces.
    let mut plain = Vec::with_capacity(bytes.len());
    let mut bytes = bytes.iter();
    while let Some(byte) = bytes.next() {
        if *byte == b'>' {
            bytes.next();
        } else if byte.is_ascii_alphanumeric() {
            plain.push(byte.to_ascii_uppercase());
        }
    }
    find(&plain, tracking.as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Code;

    const MEDIA: Media = Media {
        width_mm: 100.0,
        height_mm: 150.0,
        dpi: 203,
        threshold: 150,
    };

    #[test]
    fn text_that_only_looks_like_a_language_is_none() {
        for text in [
            &b"^XA^FO1,1"[..],
            b"~hello",
            b"N",
            b"N\nA1,1,0,1,1,1,N,\"x\"\n",
            b"SIZE 100 mm,150 mm\nCLS\n",
            b"Not found",
            b"Q: what?\nN\nP1\n",
        ] {
            assert_eq!(identify(text), None, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn a_label_larger_than_the_media_is_refused() {
        for (language, bytes) in [
            (Language::Zpl, &b"^XA^PW1200^LL1800^XZ"[..]),
            (Language::Zpl, b"^XA^PW812^LL1520^XZ"),
            (Language::Epl, b"N\nq1200\nQ1199,24\nP1\n"),
            (Language::Tspl, b"SIZE 100 mm,200 mm\nCLS\nPRINT 1\n"),
            (Language::Tspl, b"SIZE 4,8\nCLS\nPRINT 1\n"),
        ] {
            let error = check_size(language, bytes, &MEDIA).unwrap_err();
            assert_eq!(error.code, Code::LabelDoesNotFit);
        }
    }

    #[test]
    fn labels_that_may_depend_on_each_other_stay_whole() {
        for zpl in [
            &b"^XA^DFR:A.ZPL^XZ^XA^XFR:A.ZPL^XZ"[..],
            b"^XA^XA^XZ^XZ",
            b"~DGR:A.GRF,2,1,00FF^XA^XGR:A.GRF^XZ^XA^XGR:A.GRF^XZ",
            b"^XA^FDa^XZ garbage",
        ] {
            assert_eq!(pieces(Language::Zpl, zpl), vec![zpl.to_vec()]);
        }
    }

    #[test]
    fn languages_are_told_apart() {
        assert_eq!(identify(b"\r\n^XA^FDx^XZ\r\n"), Some(Language::Zpl));
        assert_eq!(
            identify(b"~DGR:A.GRF,2,1,00FF\n^XA^XZ"),
            Some(Language::Zpl)
        );
        assert_eq!(
            identify(b"\r\nN\r\nq812\r\nA1,1,0,1,1,1,N,\"x\"\r\nP1\r\n"),
            Some(Language::Epl)
        );
        assert_eq!(identify(b"q812\nQ1218,24\nN\nP1,1\n"), Some(Language::Epl));
        assert_eq!(
            identify(b"SIZE 4,6\r\nCLS\r\nPRINT 1,1\r\n"),
            Some(Language::Tspl)
        );
    }

    #[test]
    fn plain_labels_come_apart_and_lose_no_byte() {
        let zpl = b"^XA^FDa^XZ\r\n^XA^FDb^XZ";
        let pieces = pieces(Language::Zpl, zpl);
        assert_eq!(pieces.len(), 2);
        assert_eq!(pieces.concat(), zpl);
    }

    #[test]
    fn a_four_inch_label_passes_on_100_mm_media() {
        check_size(Language::Zpl, b"^XA^PW832^LL1218^XZ", &MEDIA).unwrap();
        check_size(Language::Tspl, b"SIZE 4,6\nCLS\nPRINT 1\n", &MEDIA).unwrap();
        check_size(Language::Zpl, b"^XA^FDno size^XZ", &MEDIA).unwrap();
    }

    #[test]
    fn a_tracking_number_is_found_through_code_set_changes_and_spaces() {
        assert!(mentions(b"^FD>;1Z>6999AA1>51234^FS", "1Z999AA11234"));
        assert!(mentions(b"^FD1Z 999 AA1 1234^FS", "1Z999AA11234"));
        assert!(!mentions(b"^FD1Z999AA11235^FS", "1Z999AA11234"));
    }
}
