//! What a site sets about labels: crop rules, read-back policy, the worker's limits, the media.
//!
//! Pure values; `config` fills them. Lengths are millimetres, from the top left corner of the page
//! as a viewer shows it (after `/Rotate`).

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Settings of the label room.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Where couriers put the label on their page. All rules that match a page apply: two rules
    /// for one page make two labels of it (2-up).
    pub crops: Vec<Crop>,
    /// What to do when the tracking number is not found in the final bitmap.
    pub read_back: ReadBack,
    /// Limits of the worker process.
    pub limits: Limits,
}

/// Where the label is on a courier's page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Crop {
    /// Part of the courier's name, any case: `DHL` matches `DHL Express`.
    pub courier: String,
    /// Page size: `A4`, `A5`, `A6`, `Letter`, `Legal` (either way round), one of these with
    /// `-portrait` or `-landscape`, or `WxH` in millimetres (3 mm tolerance), or `any`.
    pub page: String,
    /// Left, top, width, height.
    pub box_mm: [f64; 4],
    /// Only for documents of this `label_types` entry, any case.
    pub label_type: Option<String>,
}

impl Crop {
    /// Whether `page` is a page size that can be matched; for `config check`.
    pub fn knows_page(page: &str) -> bool {
        page.eq_ignore_ascii_case("any") || page_size(page).is_some()
    }

    /// Whether the rule speaks of this page, `width_mm` x `height_mm` as shown.
    pub(crate) fn matches(
        &self,
        courier: &str,
        label_type: &str,
        width_mm: f64,
        height_mm: f64,
    ) -> bool {
        if !names(&self.courier, courier) {
            return false;
        }
        if let Some(wanted) = &self.label_type
            && !wanted.eq_ignore_ascii_case(label_type)
        {
            return false;
        }
        if self.page.eq_ignore_ascii_case("any") {
            return true;
        }
        let Some((w, h, either)) = page_size(&self.page) else {
            return false;
        };
        let near = |a: f64, b: f64| (a - b).abs() <= PAGE_TOLERANCE_MM;
        (near(w, width_mm) && near(h, height_mm))
            || (either && near(h, width_mm) && near(w, height_mm))
    }
}

/// Couriers' PDFs differ from the standard by up to 2 mm (A6 as 104 x 147).
const PAGE_TOLERANCE_MM: f64 = 3.0;

/// Width, height, and whether either way round is meant.
fn page_size(name: &str) -> Option<(f64, f64, bool)> {
    let name = name.trim().to_ascii_lowercase();
    let (base, orientation) = match name.split_once('-') {
        Some((base, orientation)) => (base, Some(orientation)),
        None => (name.as_str(), None),
    };
    let (w, h) = match base {
        "a4" => (210.0, 297.0),
        "a5" => (148.0, 210.0),
        "a6" => (105.0, 148.0),
        "letter" => (215.9, 279.4),
        "legal" => (215.9, 355.6),
        _ => {
            let (w, h) = base.trim_end_matches("mm").split_once('x')?;
            let (w, h) = (w.trim().parse::<f64>().ok()?, h.trim().parse().ok()?);
            let usable = |v: f64| v.is_finite() && (10.0..=2000.0).contains(&v);
            return (orientation.is_none() && usable(w) && usable(h)).then_some((w, h, false));
        }
    };
    match orientation {
        None => Some((w, h, true)),
        Some("portrait") => Some((w, h, false)),
        Some("landscape") => Some((h, w, false)),
        Some(_) => None,
    }
}

/// Whether a configured courier means the courier of a shipment: part of its name, any case.
fn names(configured: &str, courier: &str) -> bool {
    let configured = configured.trim().to_ascii_lowercase();
    !configured.is_empty() && courier.to_ascii_lowercase().contains(&configured)
}

/// What a failed read-back means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Printed, with a warning: a courier's barcode need not be the tracking number.
    #[default]
    Warn,
    /// Held back with `label-mismatch`.
    Hold,
}

/// Read-back policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadBack {
    /// For every courier.
    pub policy: Policy,
    /// Couriers whose labels are held although the policy is to warn; part of the name, any case.
    pub hold: Vec<String>,
}

impl ReadBack {
    /// The policy for this courier.
    pub fn for_courier(&self, courier: &str) -> Policy {
        if self.policy == Policy::Hold || self.hold.iter().any(|name| names(name, courier)) {
            Policy::Hold
        } else {
            Policy::Warn
        }
    }
}

/// Limits of the worker process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// RLIMIT_AS in bytes. Station and worker live in one cgroup of 256 MiB (contract 34); the
    /// station keeps 40 of them, so the worker's whole address space must stay below the rest.
    pub address_space: u64,
    /// Processor time of one document (RLIMIT_CPU, whole seconds).
    pub cpu: Duration,
    /// Wall time of one document; the process is killed after it.
    pub wall: Duration,
    /// Pages of one document.
    pub pages: u16,
    /// Bytes of one document.
    pub bytes: usize,
    /// Dots of one page, as drawn.
    pub pixels: u64,
    /// The process ends itself after so long without work.
    pub idle: Duration,
    /// Replaced after so many documents.
    pub jobs: u32,
    /// Replaced when it has grown beyond this between documents, bytes resident.
    pub resident: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            address_space: 208 << 20,
            cpu: Duration::from_secs(10),
            wall: Duration::from_secs(20),
            pages: 50,
            bytes: 10 << 20,
            pixels: 40_000_000,
            idle: Duration::from_secs(300),
            jobs: 500,
            resident: 40 << 20,
        }
    }
}

/// What the page is drawn for: the paper under one head.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Media {
    /// Millimetres across the head.
    pub width_mm: f64,
    /// Millimetres along the feed.
    pub height_mm: f64,
    /// Dots per inch of the head.
    pub dpi: u16,
    /// Gray below this is black, 1..=255. 128 to 170 read alike; 150 keeps 50 % gray off the edge.
    pub threshold: u8,
}

impl Media {
    /// Dots across the head.
    pub fn width(&self) -> u32 {
        self.dots(self.width_mm)
    }

    /// Dots along the feed.
    pub fn height(&self) -> u32 {
        self.dots(self.height_mm)
    }

    /// Dots of a length; 0 for lengths that make no sense.
    pub(crate) fn dots(&self, mm: f64) -> u32 {
        let dots = (mm * self.dots_per_mm()).round();
        if (0.0..=65_535.0).contains(&dots) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "in range by the line above"
            )]
            return dots as u32;
        }
        0
    }

    pub(crate) fn dots_per_mm(&self) -> f64 {
        f64::from(self.dpi) / 25.4
    }
}

/// Which pages of a document to draw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PageSelect {
    /// Every page.
    #[default]
    All,
    /// Only the page with this [`super::RenderedPage::index`].
    Only(u16),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crop(courier: &str, page: &str) -> Crop {
        Crop {
            courier: courier.into(),
            page: page.into(),
            box_mm: [0.0, 0.0, 105.0, 148.0],
            label_type: None,
        }
    }

    #[test]
    fn a_rule_for_another_page_size_does_not_apply() {
        assert!(!crop("DHL", "A4").matches("DHL Express", "", 215.9, 279.4));
        assert!(!crop("DHL", "A4-portrait").matches("DHL Express", "", 297.0, 210.0));
        assert!(!crop("DHL", "100x200").matches("DHL Express", "", 200.0, 100.0));
        assert!(!crop("", "A4").matches("DHL Express", "", 210.0, 297.0));
    }

    #[test]
    fn nonsense_page_sizes_are_not_known() {
        for page in [
            "",
            "A3",
            "x",
            "0x0",
            "NaNx10",
            "100x150-landscape",
            "A4-sideways",
            "1e9x5",
        ] {
            assert!(!Crop::knows_page(page), "{page}");
        }
    }

    #[test]
    fn a_rule_for_another_label_type_does_not_apply() {
        let rule = Crop {
            label_type: Some("Invoice".into()),
            ..crop("DHL", "any")
        };
        assert!(!rule.matches("DHL", "BlankLabels", 100.0, 150.0));
        assert!(rule.matches("DHL", "invoice", 100.0, 150.0));
    }

    #[test]
    fn a_rule_matches_its_page_either_way_round_and_part_of_the_courier() {
        assert!(crop("dhl", "A4").matches("DHL Express", "", 297.6, 209.8));
        assert!(crop("DHL", "A4-landscape").matches("DHL Express", "", 297.0, 210.0));
        assert!(crop("DHL", "99x200mm").matches("DHL Express", "", 100.0, 198.0));
    }

    #[test]
    fn one_courier_can_be_held_while_the_rest_only_warns() {
        let read_back = ReadBack {
            policy: Policy::Warn,
            hold: vec!["AusPost".into()],
        };
        assert_eq!(read_back.for_courier("DHL"), Policy::Warn);
        assert_eq!(read_back.for_courier("AUSPOST eParcel"), Policy::Hold);
    }

    #[test]
    fn a_media_that_makes_no_sense_has_no_dots() {
        for mm in [f64::NAN, f64::INFINITY, -1.0, 1e9] {
            let media = Media {
                width_mm: mm,
                height_mm: 150.0,
                dpi: 203,
                threshold: 150,
            };
            assert_eq!(media.width(), 0);
        }
    }
}
