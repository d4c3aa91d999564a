//! What station and worker process say to each other over pipes.
//!
//! A message: `PSW1`, header length and body length (u32, little endian), a JSON header, a body.
//! Request: header [`Job`], body the document. Reply: header [`Reply`], body the pages' bits and
//! commands one after the other, in the header's order. Both ends are of the same binary and start
//! together, so there is one version; a mismatch is a fault, not a negotiation.
//!
//! The station reads replies as hostile: the process that wrote them has drawn a hostile file.

use crate::domain::{Bitmap, Code, PageRole};
use crate::label::{
    Job, LabelError, Language, PageContent, ReadBackResult, ReadCode, RenderedPage,
};
use serde::{Deserialize, Serialize};

/// Marks the start of each message.
pub(super) const MAGIC: [u8; 4] = *b"PSW1";
/// Magic and two lengths.
pub(super) const PREFIX: usize = 12;
/// Longest JSON header.
pub(super) const MAX_HEADER: usize = 1 << 20;
/// Longest reply body: 50 labels of 10 x 15 cm at 300 dpi are 13 MB.
pub(super) const MAX_REPLY: usize = 48 << 20;

/// A header and a body as bytes.
pub(super) fn prefix(header: usize, body: usize) -> Option<[u8; PREFIX]> {
    let mut bytes = [0; PREFIX];
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[4..8].copy_from_slice(&u32::try_from(header).ok()?.to_le_bytes());
    bytes[8..].copy_from_slice(&u32::try_from(body).ok()?.to_le_bytes());
    Some(bytes)
}

/// Lengths of header and body; `None` for anything that is no message within the limits.
pub(super) fn lengths(bytes: [u8; PREFIX], max_body: usize) -> Option<(usize, usize)> {
    let [m0, m1, m2, m3, a, b, c, d, e, f, g, h] = bytes;
    let header = usize::try_from(u32::from_le_bytes([a, b, c, d])).ok()?;
    let body = usize::try_from(u32::from_le_bytes([e, f, g, h])).ok()?;
    ([m0, m1, m2, m3] == MAGIC && header <= MAX_HEADER && body <= max_body)
        .then_some((header, body))
}

/// What a request carries besides the document.
#[derive(Serialize, Deserialize)]
pub(super) struct Ask {
    pub(super) job: Job,
    /// Whole seconds of processor time for this document.
    pub(super) cpu_s: u64,
}

/// Header of a reply.
#[derive(Serialize, Deserialize)]
pub(super) struct Reply {
    pub(super) pages: Vec<PageHead>,
    /// Set instead of pages.
    pub(super) error: Option<Refusal>,
    /// The process ends after this reply.
    pub(super) retires: bool,
    /// Bytes resident after the job.
    pub(super) resident: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Refusal {
    pub(super) code: Code,
    pub(super) detail: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct PageHead {
    index: u16,
    source: u16,
    role: PageRole,
    content: Content,
    /// Bytes of the body that are this page's.
    length: u32,
    codes: Vec<ReadCode>,
    read_back: ReadBackResult,
    width_mm: f64,
    height_mm: f64,
    scale: f64,
    turned: bool,
    warnings: Vec<String>,
    render_us: u64,
    read_back_us: u64,
}

#[derive(Serialize, Deserialize)]
enum Content {
    Bitmap { width: u32, height: u32 },
    Raw(Language),
    Elsewhere,
}

/// Takes pages apart for sending.
pub(super) fn pack(pages: Vec<RenderedPage>) -> Option<(Vec<PageHead>, Vec<u8>)> {
    let mut body = Vec::new();
    let mut heads = Vec::with_capacity(pages.len());
    for page in pages {
        let (content, bytes) = match page.content {
            PageContent::Bitmap(bitmap) => {
                let (width, height) = (bitmap.width, bitmap.height);
                (Content::Bitmap { width, height }, bitmap.bits)
            }
            PageContent::Raw { language, bytes } => (Content::Raw(language), bytes),
            PageContent::Elsewhere => (Content::Elsewhere, Vec::new()),
        };
        if body.len() + bytes.len() > MAX_REPLY {
            return None;
        }
        body.extend_from_slice(&bytes);
        heads.push(PageHead {
            index: page.index,
            source: page.source,
            role: page.role,
            content,
            length: u32::try_from(bytes.len()).ok()?,
            codes: page.codes,
            read_back: page.read_back,
            width_mm: page.width_mm,
            height_mm: page.height_mm,
            scale: page.scale,
            turned: page.turned,
            warnings: page.warnings,
            render_us: page.render_us,
            read_back_us: page.read_back_us,
        });
    }
    Some((heads, body))
}

/// Puts a reply's pages together; `None` when lengths and sizes do not agree.
pub(super) fn unpack(heads: Vec<PageHead>, body: &[u8]) -> Option<Vec<RenderedPage>> {
    let mut rest = body;
    let mut pages = Vec::with_capacity(heads.len());
    for head in heads {
        let (bytes, after) = rest.split_at_checked(head.length as usize)?;
        rest = after;
        let content = match head.content {
            Content::Bitmap { width, height } => {
                PageContent::Bitmap(Bitmap::from_bits(width, height, bytes.to_vec())?)
            }
            Content::Raw(language) => PageContent::Raw {
                language,
                bytes: bytes.to_vec(),
            },
            Content::Elsewhere => PageContent::Elsewhere,
        };
        pages.push(RenderedPage {
            index: head.index,
            source: head.source,
            role: head.role,
            content,
            codes: head.codes,
            read_back: head.read_back,
            width_mm: head.width_mm,
            height_mm: head.height_mm,
            scale: head.scale,
            turned: head.turned,
            warnings: head.warnings,
            render_us: head.render_us,
            read_back_us: head.read_back_us,
        });
    }
    rest.is_empty().then_some(pages)
}

/// Which refusals a worker may answer with: a hostile reply must not name any other code.
pub(super) fn refusal(refusal: Refusal) -> LabelError {
    let code = match refusal.code {
        code @ (Code::LabelDoesNotFit | Code::LabelMismatch) => code,
        _ => Code::LabelUnreadable,
    };
    LabelError {
        code,
        detail: refusal.detail.chars().take(400).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(index: u16, content: PageContent) -> RenderedPage {
        RenderedPage {
            index,
            source: index,
            role: PageRole::Label,
            content,
            codes: vec![ReadCode {
                format: "qr".into(),
                text: "A".into(),
            }],
            read_back: ReadBackResult::Matched,
            width_mm: 101.6,
            height_mm: 152.4,
            scale: 0.98,
            turned: true,
            warnings: vec!["w".into()],
            render_us: 5,
            read_back_us: 6,
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        assert_eq!(lengths(*b"PSW0\0\0\0\0\0\0\0\0", 10), None);
        assert_eq!(lengths(*b"PSW1\0\0\0\x40\0\0\0\0", 10), None);
        assert_eq!(lengths(*b"PSW1\0\0\0\0\x0b\0\0\0", 10), None);
        assert_eq!(lengths(prefix(3, 10).unwrap(), 10), Some((3, 10)));
    }

    #[test]
    fn a_reply_whose_sizes_do_not_agree_is_refused() {
        let bitmap = PageContent::Bitmap(Bitmap::new_white(9, 2));
        let (heads, body) = pack(vec![page(0, bitmap.clone())]).unwrap();
        assert_eq!(unpack(heads, &body[..3]), None);
        let (heads, mut body) = pack(vec![page(0, bitmap.clone())]).unwrap();
        body.push(0);
        assert_eq!(unpack(heads, &body), None);
        let (mut heads, body) = pack(vec![page(0, bitmap)]).unwrap();
        heads[0].content = Content::Bitmap {
            width: 9,
            height: 3,
        };
        assert_eq!(unpack(heads, &body), None);
    }

    #[test]
    fn pages_arrive_as_they_were_sent() {
        let pages = vec![
            page(0, PageContent::Bitmap(Bitmap::new_white(9, 2))),
            page(1, PageContent::Elsewhere),
            page(
                2,
                PageContent::Raw {
                    language: Language::Epl,
                    bytes: b"N\nP1\n".to_vec(),
                },
            ),
        ];
        let (heads, body) = pack(pages.clone()).unwrap();
        let json = serde_json::to_vec(&heads).unwrap();
        let heads = serde_json::from_slice(&json).unwrap();
        assert_eq!(unpack(heads, &body), Some(pages));
    }
}
