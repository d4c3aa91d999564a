//! What goes to whoever helps: one archive, bounded, in which secrets and people are masked.
//!
//! Nothing gets in but by [`Pack::add`], and everything that does passes the [`Mask`]: values of
//! secrets, names that stand in the ledger, e-mail addresses, and the words in which a service refused
//! an address. The manifest says what is there, how long it is, and what had to be cut or left out.

use crate::domain::Timestamp;
use flate2::Compression;
use flate2::write::GzEncoder;
use regex::{Regex, RegexBuilder};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;

/// Most bytes of one file; of a log the end is kept.
pub const MAX_FILE: usize = 2 << 20;
/// Most bytes of all files, before compression.
pub const MAX_BUNDLE: usize = 6 << 20;
/// Shorter texts are no secrets, and as names they would mask half of every sentence.
const SHORTEST: usize = 4;
/// What stands in their place.
const HIDDEN: &str = "(hidden)";

/// Takes out what may not go out.
pub struct Mask {
    known: Option<Regex>,
    patterns: Vec<(Regex, &'static str)>,
}

impl Mask {
    /// Masks these texts wherever they stand, in any case, also as JSON writes them.
    ///
    /// # Errors
    /// They are too many to be looked for.
    pub fn new(texts: impl IntoIterator<Item = String>) -> Result<Self, regex::Error> {
        let mut all: BTreeSet<String> = BTreeSet::new();
        for text in texts {
            let text = text.trim();
            if text.chars().count() < SHORTEST {
                continue;
            }
            // As it stands in JSON, and in JSON within JSON.
            let mut written = text.to_owned();
            for _ in 0..3 {
                all.insert(written.clone());
                let quoted = serde_json::Value::from(written.as_str()).to_string();
                written = quoted[1..quoted.len() - 1].to_owned();
            }
        }
        let mut all: Vec<String> = all.iter().map(|text| regex::escape(text)).collect();
        // A longer name first: else its end would be left.
        all.sort_by_key(|text| std::cmp::Reverse(text.len()));
        let known = (!all.is_empty())
            .then(|| {
                RegexBuilder::new(&all.join("|"))
                    .case_insensitive(true)
                    .size_limit(64 << 20)
                    .build()
            })
            .transpose()?;
        let patterns = [
            (r"[[:word:].+-]+@[[:word:]-]+(\.[[:word:]-]+)+", HIDDEN),
            // A refusal in a service's own words may repeat the address that it refused.
            (
                r#"(Refused \{ code: [[:word:]]+, detail: )"(?:[^"\\]|\\.)*""#,
                "$1(hidden)",
            ),
            (r"(?i)(bearer|basic) [[:graph:]]{8,}", "$1 (hidden)"),
        ];
        let patterns = patterns
            .into_iter()
            .map(|(pattern, instead)| Ok((Regex::new(pattern)?, instead)))
            .collect::<Result<_, regex::Error>>()?;
        Ok(Self { known, patterns })
    }

    /// The text without them.
    pub fn mask(&self, text: &str) -> String {
        let mut text = match &self.known {
            Some(known) => known.replace_all(text, HIDDEN).into_owned(),
            None => text.to_owned(),
        };
        for (pattern, instead) in &self.patterns {
            text = pattern.replace_all(&text, *instead).into_owned();
        }
        text
    }
}

/// A file of the bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Packed {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: usize,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// Something was cut off.
    pub cut: bool,
}

/// What the bundle holds, and what it does not; `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Manifest {
    /// `station.name`.
    pub station: String,
    /// Version of the program that packed.
    pub version: String,
    /// When, in UTC.
    pub at: String,
    /// Its files.
    pub files: Vec<Packed>,
    /// What was looked for and not put in, and why.
    pub left_out: Vec<(String, String)>,
}

/// A bundle being packed.
pub struct Pack {
    mask: Mask,
    files: Vec<(Packed, Vec<u8>)>,
    left_out: Vec<(String, String)>,
    room: usize,
}

/// Which end of a text that is too long is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The beginning.
    Head,
    /// The end: of logs.
    Tail,
}

impl Pack {
    /// An empty bundle.
    pub fn new(mask: Mask) -> Self {
        Self {
            mask,
            files: Vec::new(),
            left_out: Vec::new(),
            room: MAX_BUNDLE,
        }
    }

    /// Puts a text in, masked, cut at a line to what there is room for.
    pub fn add(&mut self, name: &str, text: &str, keep: Keep) {
        // Cut before it is masked as well: a huge log must not be read through three times.
        let (text, cut_before) = cut(text, MAX_FILE, keep);
        let text = self.mask.mask(text);
        let (text, cut_after) = cut(&text, MAX_FILE.min(self.room), keep);
        let bytes = text.as_bytes().to_vec();
        self.room -= bytes.len();
        let packed = Packed {
            name: name.to_owned(),
            bytes: bytes.len(),
            sha256: hex(&Sha256::digest(&bytes)),
            cut: cut_before || cut_after,
        };
        self.files.push((packed, bytes));
    }

    /// Notes that something is not in.
    pub fn left_out(&mut self, name: &str, why: &str) {
        self.left_out.push((name.to_owned(), self.mask.mask(why)));
    }

    /// The bundle as a `tar.gz`, its files under one folder, the manifest first.
    ///
    /// # Errors
    /// Never for want of room: it is packed in memory. The libraries' errors are passed on.
    pub fn finish(
        self,
        station: &str,
        version: &str,
        at: String,
        now: Timestamp,
    ) -> io::Result<(Vec<u8>, Manifest)> {
        let manifest = Manifest {
            station: self.mask.mask(station),
            version: version.to_owned(),
            at,
            files: self
                .files
                .iter()
                .map(|(packed, _)| packed.clone())
                .collect(),
            left_out: self.left_out,
        };
        let mut text = serde_json::to_vec_pretty(&manifest)?;
        text.push(b'\n');
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
        let files = self.files.iter();
        let files = files.map(|(packed, bytes)| (packed.name.as_str(), bytes.as_slice()));
        for (name, bytes) in [("manifest.json", text.as_slice())]
            .into_iter()
            .chain(files)
        {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o600);
            header.set_mtime(u64::try_from(now.0 / 1000).unwrap_or(0));
            let path = format!("printstation-support/{name}");
            archive.append_data(&mut header, path, bytes)?;
        }
        Ok((archive.into_inner()?.finish()?, manifest))
    }
}

/// At most `most` bytes, cut at the end of a line where there is one.
fn cut(text: &str, most: usize, keep: Keep) -> (&str, bool) {
    if text.len() <= most {
        return (text, false);
    }
    match keep {
        Keep::Head => {
            let end = text.floor_char_boundary(most);
            let kept = &text[..end];
            (kept.rfind('\n').map_or(kept, |at| &kept[..=at]), true)
        }
        Keep::Tail => {
            let start = text.ceil_char_boundary(text.len() - most);
            let kept = &text[start..];
            (kept.find('\n').map_or(kept, |at| &kept[at + 1..]), true)
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn secrets_names_and_addresses_are_masked_however_they_are_written() {
        let mask = Mask::new(["s3cret-key", "Zoë \"Zed\" Example", "Zed", "Jo"].map(str::to_owned))
            .unwrap();
        let text = r#"key=S3CRET-KEY name="Zo\u00eb" Zoë "Zed" Example {"n":"Zoë \"Zed\" Example"} mail zed.x+1@mail.example.com
failure=Refused { code: AddressRefused, detail: "1 \"Main\" Street" } Authorization: Bearer abcdefghijk Jo"#;
        let masked = mask.mask(text);
        for bad in [
            "S3CRET",
            "Example {",
            "mail.example",
            "Main",
            "abcdefghijk",
            "Example\"}",
        ] {
            assert!(!masked.contains(bad), "{bad} in {masked}");
        }
        assert!(masked.contains("AddressRefused"), "{masked}");
        // Two letters would mask half of every sentence.
        assert!(masked.ends_with("Jo"));
    }

    #[test]
    fn a_bundle_is_bounded_and_its_manifest_is_true() {
        let mut pack = Pack::new(Mask::new(["hunter22".to_owned()]).unwrap());
        let long: String = (0..400_000).fold(String::new(), |mut text, n| {
            let _ = writeln!(text, "line {n} hunter22");
            text
        });
        for n in 0..5 {
            pack.add(&format!("log-{n}.txt"), &long, Keep::Tail);
        }
        pack.left_out("journal", "no hunter22 here");
        let (bytes, manifest) = pack
            .finish("b", "1.0.0", "now".into(), Timestamp(0))
            .unwrap();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
        let mut all = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            assert!(!text.contains("hunter22"), "{name}");
            all.push((name, text));
        }
        assert_eq!(all[0].0, "printstation-support/manifest.json");
        let total: usize = all[1..].iter().map(|(_, text)| text.len()).sum();
        assert!(total <= MAX_BUNDLE, "{total}");
        for ((name, text), packed) in all[1..].iter().zip(&manifest.files) {
            assert!(name.ends_with(&packed.name));
            assert_eq!(text.len(), packed.bytes);
            assert_eq!(hex(&Sha256::digest(text)), packed.sha256);
            assert!(packed.cut);
        }
        // The newest lines of a log are the ones worth having.
        assert!(all[1].1.ends_with("line 399999 (hidden)\n"));
    }
}
