//! Labels that wait for their scan, as they will be printed: drawn once, ahead of it, and kept on the
//! card, so that neither a restart nor a hundred other labels cost the packer a drawing.
//!
//! Only a shelf: what is missing, damaged or was drawn by another version or for another paper is
//! drawn again from the spool. A page leaves it when it is printed; the oldest go first.

use crate::domain::{DocumentId, PrinterName};
use crate::label::{Media, RenderedPage, worker};
use crate::system::durable;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// A drawn document, packed; far above any label.
const MAX_PACKED: u64 = 8 << 20;
/// The same, unpacked.
const MAX_PAGES: u64 = 48 << 20;

/// Where drawn labels lie. Cheap to clone.
#[derive(Clone)]
pub(super) struct Shelf {
    dir: PathBuf,
    /// What else decides how a document is drawn.
    drawn_by: Arc<str>,
}

impl Shelf {
    /// Opens it, and throws away what is more than `most`.
    pub(super) fn open(dir: PathBuf, drawn_by: &str, most: usize) -> Self {
        if let Err(error) = durable::create_dir_all(&dir) {
            tracing::warn!(%error, "labels that wait are drawn again at their scan");
        }
        let mut lying: Vec<_> = std::fs::read_dir(&dir)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        lying.sort();
        for (_, path) in lying.iter().take(lying.len().saturating_sub(most)) {
            drop(durable::remove(path));
        }
        Self {
            dir,
            drawn_by: drawn_by.into(),
        }
    }

    fn path(&self, document: &DocumentId, printer: &PrinterName, media: Media) -> PathBuf {
        let all = format!(
            "{}|{}|{}|{media:?}|{}",
            env!("CARGO_PKG_VERSION"),
            document.0,
            printer,
            self.drawn_by
        );
        let digest = Sha256::digest(all);
        let name: String = digest.iter().map(|b| format!("{b:02x}")).collect();
        self.dir.join(name)
    }

    /// Lays a drawn document there. Blocks on the card.
    pub(super) fn put(
        &self,
        document: &DocumentId,
        printer: &PrinterName,
        media: Media,
        pages: &[RenderedPage],
    ) -> std::io::Result<()> {
        let bytes = worker::to_bytes(pages)
            .ok_or_else(|| std::io::Error::other("too large to lie on the shelf"))?;
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&bytes)?;
        durable::replace(&self.path(document, printer, media), &packed.finish()?)
    }

    /// The drawn document, if it lies there. Blocks on the card.
    pub(super) fn get(
        &self,
        document: &DocumentId,
        printer: &PrinterName,
        media: Media,
    ) -> Option<Vec<RenderedPage>> {
        let path = self.path(document, printer, media);
        let packed = durable::read_bounded(&path, MAX_PACKED).ok()??;
        let mut bytes = Vec::new();
        ZlibDecoder::new(packed.as_slice())
            .take(MAX_PAGES)
            .read_to_end(&mut bytes)
            .ok()?;
        worker::from_bytes(&bytes)
    }

    /// It is printed. Blocks on the card.
    pub(super) fn take_away(&self, document: &DocumentId, printer: &PrinterName, media: Media) {
        // Nothing lies there for most labels.
        drop(durable::remove(&self.path(document, printer, media)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Bitmap, PageRole};
    use crate::label::{PageContent, ReadBackResult};

    fn page() -> RenderedPage {
        RenderedPage {
            index: 0,
            source: 0,
            role: PageRole::Label,
            content: PageContent::Bitmap(Bitmap::new_white(812, 1218)),
            codes: Vec::new(),
            read_back: ReadBackResult::Matched,
            width_mm: 101.6,
            height_mm: 152.4,
            scale: 1.0,
            turned: false,
            warnings: Vec::new(),
            render_us: 1,
            read_back_us: 1,
        }
    }

    #[test]
    fn a_drawn_label_is_found_again_only_as_it_would_be_drawn_now() {
        let dir = tempfile::tempdir().unwrap();
        let (document, printer) = (DocumentId("d".to_owned()), PrinterName::from("label"));
        let media = Media {
            width_mm: 101.6,
            height_mm: 152.4,
            dpi: 203,
            threshold: 150,
        };
        let shelf = Shelf::open(dir.path().join("drawn"), "rules", 10);
        assert!(shelf.get(&document, &printer, media).is_none());
        shelf.put(&document, &printer, media, &[page()]).unwrap();
        assert_eq!(shelf.get(&document, &printer, media), Some(vec![page()]));
        let other = Media {
            threshold: 151,
            ..media
        };
        assert!(shelf.get(&document, &printer, other).is_none());
        let again = Shelf::open(dir.path().join("drawn"), "other rules", 10);
        assert!(again.get(&document, &printer, media).is_none());
        // Damaged: drawn again.
        let path = shelf.path(&document, &printer, media);
        durable::replace(&path, b"nonsense").unwrap();
        assert!(shelf.get(&document, &printer, media).is_none());
        shelf.take_away(&document, &printer, media);
        assert!(!path.exists());
        shelf.put(&document, &printer, media, &[page()]).unwrap();
        Shelf::open(dir.path().join("drawn"), "rules", 0);
        assert!(shelf.get(&document, &printer, media).is_none());
    }
}
