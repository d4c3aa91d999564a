//! Damages a ledger's files (a flipped bit, scribbled bytes, a cut, a zeroed and a swapped block) and
//! opens it. `--clean 1`: after an orderly stop; `--clean 0`: as a kill left it.
//! `--kind N`, `--file END` choose one kind or file; `--keep 1` stops at the first loss.

use crate::engine::{self, run_check};
use crate::util::{Model, Options, Rng, copy_dir, files, marks, payload, remove_dir};
use printstation::domain::DocumentId;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const KINDS: [&str; 5] = [
    "flip 1 bit",
    "scribble 16",
    "truncate",
    "zero 4k",
    "swap 4k",
];

pub fn run(options: &Options) -> bool {
    let (base, trials) = (options.dir(), options.number("trials", 400));
    remove_dir(&base);
    let source = base.join("source");
    let clean = options.text("clean", "1");
    let writer = Command::new(std::env::current_exe().unwrap())
        .args([
            "run",
            "writer",
            "--ops",
            &options.text("ops", "3000"),
            "--close",
            &clean,
        ])
        .args(["--seed", &options.text("seed", "5"), "--dir"])
        .arg(&source)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let mut model = Model::default();
    for (tag, id) in marks(&writer.stdout) {
        model.mark(tag, id);
    }
    let mut targets = files(&source);
    targets.retain(|f| f.metadata().unwrap().len() > 0 && !ends_with(f, &["ballast", "lock"]));
    let file = options.text("file", "");
    targets.retain(|f| f.to_string_lossy().ends_with(&file));
    let total: u64 = targets.iter().map(|f| f.metadata().unwrap().len()).sum();
    println!(
        "damage: {trials} trials, clean {clean}, {} orders, {} files, {total} bytes",
        model.0.len(),
        targets.len()
    );
    let mut rng = Rng(options.number("seed", 5));
    let mut tally: BTreeMap<String, u64> = BTreeMap::new();
    let (mut lost, mut resurrected, mut corrupt, mut failed, mut rebuilt) = (0, 0, 0, 0, 0);
    let (mut double, mut silent) = (0, 0);
    for trial in 0..trials {
        let work = base.join("work");
        remove_dir(&work);
        copy_dir(&source, &work);
        // Half of the hits by size, half at any file.
        let target = if trial % 2 == 0 {
            by_size(&targets, rng.below(total))
        } else {
            &targets[rng.index(targets.len())]
        };
        let relative = target.strip_prefix(&source).unwrap();
        let kind = KINDS[usize::try_from(options.number("kind", trial / 2)).unwrap() % KINDS.len()];
        hit(&work.join(relative), kind, &mut rng);
        if options.number("keep", 0) == 1 {
            remove_dir(&base.join("hit"));
            copy_dir(&work, &base.join("hit"));
        }
        let verdict = match run_check(options, &work, model.ids(), false) {
            Ok(report) => {
                rebuilt += u64::from(report.quarantined);
                let verdict = model.compare(&report);
                let set_aside = if report.quarantined {
                    ", something set aside"
                } else {
                    ""
                };
                // Two faults at once: the kill left the index behind the journal, and both copies of
                // what was written since are cut off. Counted apart, never hidden.
                if clean == "0"
                    && kind == "truncate"
                    && relative == Path::new("journal")
                    && !verdict.is_good()
                {
                    double += 1;
                    silent += u64::from(!report.quarantined);
                    *tally
                        .entry(format!(
                            "{kind:12} journal cut after a kill: older state{set_aside}"
                        ))
                        .or_default() += 1;
                    continue;
                }
                lost += verdict.lost.len();
                resurrected += verdict.resurrected.len();
                corrupt += verdict.corrupt.len() + verdict.alien.len();
                if verdict.is_good() {
                    format!("all there{set_aside}")
                } else {
                    eprintln!(
                        "trial {trial}, {kind} in {}: {verdict:?}",
                        relative.display()
                    );
                    if options.number("keep", 0) == 1 {
                        println!(
                            "kept in {} before and {} after",
                            source.display(),
                            work.display()
                        );
                        return false;
                    }
                    format!("NOT ALL THERE{set_aside}")
                }
            }
            Err(error) => {
                failed += 1;
                eprintln!("trial {trial}, {kind} in {}: {error}", relative.display());
                "DOES NOT OPEN".to_owned()
            }
        };
        *tally.entry(format!("{kind:12} {verdict}")).or_default() += 1;
    }
    for (what, count) in &tally {
        println!("  {what:50} {count}");
    }
    println!(
        "RESULT damage trials={trials} clean={clean} lost={lost} resurrected={resurrected} corrupt={corrupt} does_not_open={failed} set_aside={rebuilt} journal_cut_after_kill={double} of_these_unsaid={silent}"
    );
    remove_dir(&base);
    lost + resurrected + corrupt == 0 && failed == 0 && silent == 0 && !model.0.is_empty()
}

/// The same to the spool: a document is what its name says, or it is said to be damaged or missing.
pub fn spool(options: &Options) -> bool {
    let (base, trials) = (options.dir(), options.number("trials", 400));
    let mut rng = Rng(options.number("seed", 5));
    let (mut wrong, mut said, mut silent, mut stored_again) = (0, 0, 0, 0);
    for trial in 0..trials {
        remove_dir(&base);
        std::fs::create_dir_all(&base).unwrap();
        let (ledger, _) = engine::open(&base).unwrap();
        let documents: Vec<(DocumentId, Vec<u8>)> = (0..12)
            .map(|n| {
                let len = 200 + rng.index(20_000);
                let bytes = payload(trial * 100 + n, len).into_bytes();
                let name = Sha256::digest(&bytes);
                let name = name.iter().map(|b| format!("{b:02x}")).collect();
                (DocumentId(name), bytes)
            })
            .collect();
        for (id, bytes) in &documents {
            ledger.store_document(id, bytes).unwrap();
        }
        let mut targets = files(&base.join("spool"));
        targets.retain(|f| f.metadata().unwrap().len() > 0);
        let hits = 1 + rng.index(3);
        for _ in 0..hits {
            let kind = KINDS[rng.index(KINDS.len())];
            hit(&targets[rng.index(targets.len())], kind, &mut rng);
        }
        let mut damaged = 0;
        for (id, bytes) in &documents {
            match ledger.read_document(id) {
                Ok(read) if read == *bytes => {}
                Ok(_) => wrong += 1,
                Err(_) => {
                    damaged += 1;
                    // Fetched again, it is whole again.
                    ledger.store_document(id, bytes).unwrap();
                    let again = ledger.read_document(id);
                    stored_again += u64::from(again.as_ref() == Ok(bytes));
                }
            }
        }
        said += damaged;
        let changed = documents.iter().filter(|(id, bytes)| {
            let path = targets.iter().find(|t| t.ends_with(id.as_str())).unwrap();
            std::fs::read(path).ok().as_ref() != Some(bytes)
        });
        silent += changed.count();
    }
    println!(
        "RESULT spool trials={trials} wrong={wrong} said_damaged={said} whole_when_fetched_again={stored_again} still_damaged={silent}"
    );
    remove_dir(&base);
    wrong == 0 && silent == 0 && said > 0 && said == stored_again
}

fn ends_with(path: &Path, names: &[&str]) -> bool {
    names
        .iter()
        .any(|name| path.file_name().is_some_and(|f| f == *name))
}

fn by_size(targets: &[PathBuf], mut at: u64) -> &PathBuf {
    for target in targets {
        let len = target.metadata().unwrap().len();
        if at < len {
            return target;
        }
        at -= len;
    }
    &targets[0]
}

fn hit(path: &Path, kind: &str, rng: &mut Rng) {
    let mut bytes = std::fs::read(path).unwrap();
    let len = bytes.len();
    match kind {
        "flip 1 bit" => bytes[rng.index(len)] ^= 1 << rng.below(8),
        "scribble 16" => {
            let at = rng.index(len);
            for byte in bytes.iter_mut().skip(at).take(16) {
                *byte ^= rng.next().to_le_bytes()[0];
            }
        }
        "truncate" => bytes.truncate(rng.index(len)),
        "zero 4k" => {
            let at = rng.index(len.div_ceil(4096)) * 4096;
            let end = len.min(at + 4096);
            bytes[at..end].fill(0);
        }
        _ if len >= 8192 => {
            let (a, b) = (rng.index(len / 4096) * 4096, rng.index(len / 4096) * 4096);
            let kept = bytes[a..a + 4096].to_vec();
            bytes.copy_within(b..b + 4096, a);
            bytes[b..b + 4096].copy_from_slice(&kept);
        }
        _ => {
            let at = rng.index(len);
            bytes[at] = !bytes[at];
        }
    }
    std::fs::write(path, bytes).unwrap();
}
