//! What a document is, told by its content, and whether it is whole.
//!
//! hayro draws truncated files without complaint (blank or different pictures, no error), so a
//! file must show its beginning and its end before it is drawn.

use super::LabelError;
use super::raw::{self, Language};

/// A document by its content; the name and the label type are not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Portable Document Format.
    Pdf,
    /// Portable Network Graphics.
    Png,
    /// Graphics Interchange Format.
    Gif,
    /// Commands for a printer.
    Raw(Language),
}

/// How far from the ends the marks of a PDF may stand: real files carry junk before and after.
const MARK_WINDOW: usize = 1024;

/// Tells the kind and refuses what is empty, too long, unknown or cut off.
pub(crate) fn identify(bytes: &[u8], limit: usize) -> Result<Kind, LabelError> {
    if bytes.is_empty() {
        return Err(LabelError::unreadable("the document is empty"));
    }
    if bytes.len() > limit {
        return Err(LabelError::unreadable(format!(
            "the document has {} bytes, at most {limit} are read",
            bytes.len()
        )));
    }
    let head = &bytes[..bytes.len().min(MARK_WINDOW)];
    let tail = &bytes[bytes.len().saturating_sub(MARK_WINDOW)..];
    // Before PDF: a printer language could carry the text %PDF-, a PNG or GIF starts with its own.
    if head.starts_with(b"\x89PNG\r\n\x1a\n") {
        return if find(tail, b"IEND").is_some() {
            Ok(Kind::Png)
        } else {
            Err(LabelError::unreadable("the PNG is cut off"))
        };
    }
    if head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a") {
        let end = tail.iter().rev().find(|byte| **byte != 0);
        return if end == Some(&0x3b) {
            Ok(Kind::Gif)
        } else {
            Err(LabelError::unreadable("the GIF is cut off"))
        };
    }
    if find(head, b"%PDF-").is_some() {
        let ended =
            find_last(tail, b"startxref").is_some_and(|at| find(&tail[at..], b"%%EOF").is_some());
        return if ended {
            Ok(Kind::Pdf)
        } else {
            Err(LabelError::unreadable(
                "the PDF is cut off: it has no end mark",
            ))
        };
    }
    match raw::identify(bytes) {
        Some(language) => Ok(Kind::Raw(language)),
        None => Err(LabelError::unreadable(
            "the document is neither PDF, PNG, GIF, ZPL, EPL nor TSPL",
        )),
    }
}

/// Position of the first `needle`.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

fn find_last(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).rposition(|w| w == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Code;

    const LIMIT: usize = 1 << 20;

    #[track_caller]
    fn refused(bytes: &[u8]) {
        let error = identify(bytes, LIMIT).unwrap_err();
        assert_eq!(error.code, Code::LabelUnreadable);
    }

    #[test]
    fn what_is_no_label_is_unreadable() {
        refused(b"");
        refused(b"<html>502 Bad Gateway</html>");
        refused(b"{\"success\":false}");
        refused(&[0; 5000]);
        refused(&vec![b' '; LIMIT + 1]);
    }

    #[test]
    fn a_file_without_its_end_is_unreadable() {
        refused(b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n");
        refused(b"%PDF-1.4\n%%EOF\nstartxref\n");
        refused(b"\x89PNG\r\n\x1a\n....IDAT....");
        refused(b"GIF89a....");
        refused(b"^XA^FO10,10^FDx^FS");
    }

    #[test]
    fn an_end_mark_before_the_last_kilobyte_does_not_count() {
        let mut cut = b"%PDF-1.4\nstartxref\n9\n%%EOF\n".to_vec();
        cut.extend_from_slice(&[b'x'; 2000]);
        refused(&cut);
    }

    #[test]
    fn kinds_are_told_by_content() {
        let pdf = b"\xef\xbb\xbf%PDF-1.4\nstartxref\n9\n%%EOF\n\0\0";
        assert_eq!(identify(pdf, LIMIT), Ok(Kind::Pdf));
        assert_eq!(identify(b"GIF89a..\x3b\0\0", LIMIT), Ok(Kind::Gif));
        assert_eq!(
            identify(b"\r\n^XA^FO10,10^FDx^FS^XZ\r\n", LIMIT),
            Ok(Kind::Raw(Language::Zpl))
        );
    }
}
