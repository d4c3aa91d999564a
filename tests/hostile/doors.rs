//! The doors through which bytes from outside come in, one function each: none may panic, hang or
//! believe what it should not. `tests/hostile_bytes.rs` gives them the kept corpus and mutations of it on
//! stable Rust; `fuzz/` gives them to libFuzzer.

use printstation::domain::{Command, ScanText};
use printstation::label::{Job, Media, Settings, render_file};
use printstation::trigger::End;
use printstation::trigger::assembler::{Assembled, Assembler};
use printstation::update::channel::{Artifact, Channel};
use printstation::update::keys::SignatureFile;
use printstation::update::{install, slots::Slots};
use printstation::{cartoncloud, config, ledger, printer, starshipit};
use std::time::Duration;

/// A door.
pub type Door = fn(&[u8]);

/// Every door and its name, which is its folder in the corpus.
pub const ALL: &[(&str, Door)] = &[
    ("scan", scan),
    ("journal", journal),
    ("starshipit", starshipit_reply),
    ("cartoncloud", cartoncloud_order),
    ("picture", picture),
    ("pdf", pdf),
    ("config", configuration),
    ("channel", channel),
    ("archive", archive),
    ("answer", answer),
];

/// Scan text, in pieces, with every way to end a line.
pub fn scan(bytes: &[u8]) {
    let (piece, bytes) = bytes.split_first().unwrap_or((&1, bytes));
    for end in [
        End::Suffix,
        End::Idle(Duration::from_millis(100)),
        End::Line,
    ] {
        for wary in [false, true] {
            let mut assembler = if wary {
                Assembler::wary(end)
            } else {
                Assembler::new(end)
            };
            let mut out = Vec::new();
            for chunk in bytes.chunks(usize::from(*piece).max(1)) {
                assembler.feed(chunk, &mut out);
                if chunk.len() % 3 == 0 {
                    out.extend(assembler.silence());
                }
            }
            out.extend(assembler.finish());
            for said in out {
                if let Assembled::Scan(text) = said {
                    sound(&text);
                }
            }
        }
    }
    if let Ok(text) = ScanText::parse(&String::from_utf8_lossy(bytes)) {
        sound(&text);
    }
}

fn sound(text: &ScanText) {
    let said = text.as_str();
    assert!((1..=128).contains(&said.len()), "{said:?}");
    assert!(
        said.bytes()
            .all(|b| b == 0x1D || (b.is_ascii() && !b.is_ascii_control())),
        "{said:?}"
    );
    assert_eq!(ScanText::parse(said).as_ref(), Ok(text), "cleaning twice");
    let _ = text.folded();
    let _ = Command::parse("PS7K4D.", text);
}

/// A journal as it is, and one whose checksums are right.
pub fn journal(bytes: &[u8]) {
    drop(ledger::journal_of(bytes));
    let mut numbers = [0_u64; 4];
    let mut rest = bytes;
    for number in &mut numbers {
        let Some((head, tail)) = rest.split_first_chunk::<8>() else {
            return;
        };
        *number = u64::from_le_bytes(*head);
        rest = tail;
    }
    let mut frames = Vec::new();
    while let Some((head, tail)) = rest.split_first_chunk::<14>() {
        let sequence = u64::from_le_bytes(*head.first_chunk().expect("8 of 14"));
        let word = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let length = usize::from(word(12) & 0x1FF).min(tail.len());
        let (payload, after) = tail.split_at(length);
        frames.push((sequence, word(8), word(10), payload.to_vec()));
        rest = after;
    }
    drop(ledger::journal_of(&ledger::journal_with(numbers, &frames)));
}

/// A reply of Starshipit.
pub fn starshipit_reply(bytes: &[u8]) {
    for status in [200, 400, 403, 429, 500] {
        let _ = starshipit::hear(status, bytes);
    }
}

/// An order of CartonCloud, and what is asked of it.
pub fn cartoncloud_order(bytes: &[u8]) {
    if let Some(sale) = cartoncloud::hear(bytes) {
        assert_eq!(sale.uuid, sale.uuid.to_ascii_lowercase());
        let again = serde_json::to_vec(&sale.raw).expect("JSON");
        let twin = cartoncloud::hear(&again).expect("the same order");
        assert_eq!(twin.fingerprint, sale.fingerprint, "one order, two prints");
    }
}

fn job() -> Job {
    let mut settings = Settings::default();
    settings.limits.pages = 4;
    settings.limits.bytes = 1 << 20;
    settings.limits.pixels = 4 << 20;
    let media = Media {
        dpi: 203,
        width_mm: 100.0,
        height_mm: 150.0,
        threshold: 150,
    };
    Job::new(media, &settings)
}

/// A label document that is no PDF: a picture, a printer language, anything.
pub fn picture(bytes: &[u8]) {
    if !bytes.windows(4).any(|w| w == b"%PDF") {
        drop(render_file(bytes.to_vec(), &job()));
    }
}

/// A PDF. The engine may hang or run out of memory: the program draws in a process with limits, which
/// `tests/worker_process.rs` shows; here only panics outside of it count.
pub fn pdf(bytes: &[u8]) {
    drop(render_file(bytes.to_vec(), &job()));
}

/// A configuration, strictly and as after a rollback.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (site, bench) = text.split_once('\u{1}').unwrap_or(("", text));
    for strictness in [config::Strictness::Strict, config::Strictness::Lenient] {
        let site = (!site.is_empty()).then_some(("site.toml", site));
        let loaded = config::parse(site, ("config.toml", bench), None, strictness);
        let errors = loaded
            .problems
            .iter()
            .any(|p| p.severity == config::Severity::Error);
        assert_eq!(
            loaded.config.is_none(),
            errors,
            "an error, or a configuration"
        );
    }
}

/// An update channel's document and its signature file.
pub fn channel(bytes: &[u8]) {
    drop(Channel::parse(bytes));
    if let Ok(file) = SignatureFile::parse(bytes) {
        drop(file.signatures());
    }
}

/// An archive with these names in it: nothing is written outside of its own folder.
pub fn archive(bytes: &[u8]) {
    use std::io::Write;
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path().join("root");
    std::fs::create_dir(&root).expect("a directory");
    let path = dir.path().join("archive.tar.gz");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).expect("memory");
    std::fs::write(&path, packed.finish().expect("memory")).expect("a file");
    let version = "1.4.0".parse().expect("a version");
    let artifact = Artifact {
        target: "x86_64-unknown-linux-gnu".to_owned(),
        size: 0,
        unpacked: 64,
        sha256: String::new(),
    };
    let slots = Slots::at(&root);
    drop(install::unpack(
        &slots,
        &path,
        &version,
        &artifact.target,
        &artifact,
    ));
    let mut outside: Vec<_> = names(dir.path());
    outside.sort();
    assert_eq!(outside, ["archive.tar.gz", "root"], "written outside");
    assert!(
        names(&root).iter().all(|n| n == "slots"),
        "{:?}",
        names(&root)
    );
    assert!(
        names(&root.join("slots")).iter().all(|n| n == ".new"),
        "{:?}",
        names(&root.join("slots"))
    );
}

fn names(dir: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect()
}

/// What a printer answers.
pub fn answer(bytes: &[u8]) {
    let _ = printer::hear(bytes);
}
