//! PDF labels to 1-bit at 203 dpi: this crate against `pdftoppm -r 203 -mono` and Ghostscript, on the
//! same files. Prints ratios of processor time (start of the process included) and peak memory.
//!
//! `cargo bench --bench render`; needs real labels (`$PRINTSTATION_LABELS`, default
//! `../shared/labels`), poppler-utils, ghostscript and GNU time; says SKIPPED where one is absent.
//! Ours draws, makes 1-bit, reads the barcodes back and writes the bits; the others draw and write.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark may stop at anything unexpected"
)]

use printstation::label::{Job, Media, Settings, render_file};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs per file and tool: processor time is counted in 1/100 s.
const RUNS: u32 = 10;

/// Labels up to 106 x 204 mm; larger pages would be a different amount of work for each tool.
const MEDIA: Media = Media {
    width_mm: 106.0,
    height_mm: 204.0,
    dpi: 203,
    threshold: 150,
};

fn job() -> Job {
    let mut job = Job::new(MEDIA, &Settings::default());
    job.tracking = vec!["NOT ON ANY LABEL".into()];
    job
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [first, mode, file] = args.as_slice()
        && first == "--one"
    {
        one(mode, Path::new(file));
        return;
    }
    let root = std::env::var_os("PRINTSTATION_LABELS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/labels"),
        PathBuf::from,
    );
    let mut files: Vec<PathBuf> = std::fs::read_dir(root.join("pdf"))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|file| fits(file))
        .collect();
    files.sort();
    if files.is_empty() {
        println!(
            "SKIPPED: no real labels in {} (set PRINTSTATION_LABELS)",
            root.display()
        );
        return;
    }
    for tool in ["/usr/bin/time", "pdftoppm", "gs"] {
        if Command::new(tool)
            .arg("-v")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_err()
        {
            println!("SKIPPED: {tool} is not installed (time, poppler-utils, ghostscript)");
            return;
        }
    }
    let me = std::env::current_exe().unwrap();
    let me = me.to_str().unwrap();
    let mut totals = [Cost::default(); 5];
    println!("CPU ms per document (start included) and peak MiB, {RUNS} runs, 203 dpi");
    println!(
        "{:34} {:>12} {:>12} {:>12} {:>12} {:>12}",
        "", "ours", "no number", "no reading", "pdftoppm", "gs"
    );
    for file in &files {
        let name = file.to_str().unwrap();
        let costs = [
            // The number is not on the label: 2D codes are searched as well. The worst case.
            measure(me, &["--one", "worst", name]),
            measure(me, &["--one", "linear", name]),
            measure(me, &["--one", "draw", name]),
            measure(
                "pdftoppm",
                &["-r", "203", "-mono", "-cropbox", name, "/dev/null"],
            ),
            measure(
                "gs",
                &[
                    "-q",
                    "-dSAFER",
                    "-dBATCH",
                    "-dNOPAUSE",
                    "-sDEVICE=pbmraw",
                    "-r203",
                    "-sOutputFile=/dev/null",
                    name,
                ],
            ),
        ];
        print!("{:34}", file.file_name().unwrap().to_string_lossy());
        for (total, cost) in totals.iter_mut().zip(&costs) {
            print!(" {:>6.1} {:>5.1}", cost.cpu_ms, cost.peak_mib);
            total.cpu_ms += cost.cpu_ms;
            total.peak_mib = total.peak_mib.max(cost.peak_mib);
        }
        println!();
    }
    let [worst, linear, draw, pdftoppm, gs] = totals;
    print!("{:34}", "sum, largest");
    for total in totals {
        print!(" {:>6.0} {:>5.1}", total.cpu_ms, total.peak_mib);
    }
    println!();
    for (name, ours) in [
        ("ours, number not found", worst),
        ("ours, no number known", linear),
        ("ours, drawing only", draw),
    ] {
        println!(
            "{name:26} CPU {:.2} of pdftoppm -mono, {:.2} of gs; memory {:.2} and {:.2}",
            ours.cpu_ms / pdftoppm.cpu_ms,
            ours.cpu_ms / gs.cpu_ms,
            ours.peak_mib / pdftoppm.peak_mib,
            ours.peak_mib / gs.peak_mib,
        );
    }
}

/// Child process: one document from file to bits.
fn one(mode: &str, file: &Path) {
    let mut job = job();
    if mode != "worst" {
        job.tracking.clear();
    }
    if mode == "draw" {
        // Document pages are not read back.
        job.label_type = "document".into();
    }
    let pages = render_file(std::fs::read(file).unwrap(), &job).unwrap();
    let mut sink = std::fs::File::options()
        .write(true)
        .open("/dev/null")
        .unwrap();
    for page in pages {
        sink.write_all(&page.bitmap().unwrap().bits).unwrap();
    }
}

fn fits(file: &Path) -> bool {
    let Ok(bytes) = std::fs::read(file) else {
        return false;
    };
    render_file(bytes, &job()).is_ok_and(|pages| {
        pages
            .iter()
            .all(|page| page.bitmap().is_some() && page.width_mm <= 110.0)
    })
}

#[derive(Clone, Copy, Default)]
struct Cost {
    cpu_ms: f64,
    peak_mib: f64,
}

fn measure(program: &str, args: &[&str]) -> Cost {
    let before = children_ticks();
    for _ in 0..RUNS {
        let done = Command::new(program)
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(done.unwrap().success(), "{program} {args:?}");
    }
    let ticks = children_ticks() - before;
    let timed = Command::new("/usr/bin/time")
        .args(["-f", "%M", program])
        .args(args)
        .stdout(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&timed.stderr).into_owned();
    let kib: f64 = text.lines().last().unwrap().trim().parse().unwrap();
    Cost {
        cpu_ms: ticks as f64 * 10.0 / f64::from(RUNS),
        peak_mib: kib / 1024.0,
    }
}

/// Processor time of all children that have ended, 1/100 s: fields 16 and 17 of `/proc/self/stat`.
fn children_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit_once(')').unwrap().1;
    fields
        .split_whitespace()
        .skip(13)
        .take(2)
        .map(|field| field.parse::<u64>().unwrap())
        .sum()
}
