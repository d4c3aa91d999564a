//! Draws label files into a directory, for `scripts/labels`: one PNG per page (with `--bytes` its
//! bytes in every printer language too) and one line of JSON per file on stdout. Not part of the product; it calls the same function as the worker process.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]
#![expect(
    clippy::disallowed_methods,
    reason = "measuring files, nothing durable"
)]

use printstation::domain::Bitmap;
use printstation::label::{Crop, Job, Media, PageContent, Settings, png, render_file};
use printstation::printer::Language;
use printstation::printer::language::{Options, encode};
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "usage: labels-render OUT-DIR DPI WIDTHxHEIGHT(mm) [--tracking T]... \
                     [--crop X,Y,W,H]... [--threshold N] [--bytes] FILE...";

/// What `--bytes` writes: language, ending, and whether packed (ZPL) or gray (PWG).
const LANGUAGES: [(Language, &str, bool); 9] = [
    (Language::Zpl, "zpl", false),
    (Language::Zpl, "z64.zpl", true),
    (Language::Epl, "epl", false),
    (Language::Tspl, "tspl", false),
    (Language::Escpos, "escpos", false),
    (Language::BrotherQl, "bql", false),
    (Language::Pwg, "pwg", false),
    (Language::Pwg, "gray.pwg", true),
    (Language::Pdf, "out.pdf", false),
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("{message}");
            ExitCode::from(64)
        }
    }
}

fn run() -> Result<(), String> {
    let mut args = std::env::args().skip(1);
    let out = PathBuf::from(args.next().ok_or(USAGE)?);
    let dpi = args.next().and_then(|a| a.parse().ok()).ok_or(USAGE)?;
    let size = args.next().ok_or(USAGE)?;
    let (width, height) = size.split_once('x').ok_or(USAGE)?;
    let media = Media {
        width_mm: width.parse().map_err(|_| USAGE)?,
        height_mm: height.parse().map_err(|_| USAGE)?,
        dpi,
        threshold: 150,
    };
    let mut job = Job::new(media, &Settings::default());
    job.courier = "any".into();
    let mut bytes = false;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--bytes" => bytes = true,
            "--tracking" => job.tracking.push(args.next().ok_or(USAGE)?),
            "--threshold" => {
                job.media.threshold = args.next().and_then(|a| a.parse().ok()).ok_or(USAGE)?;
            }
            "--crop" => {
                let text = args.next().ok_or(USAGE)?;
                let sides: Vec<f64> = text.split(',').filter_map(|v| v.parse().ok()).collect();
                job.crops.push(Crop {
                    courier: "any".into(),
                    page: "any".into(),
                    box_mm: sides.try_into().map_err(|_| USAGE)?,
                    label_type: None,
                });
            }
            file => draw(file, &job, &out, bytes)?,
        }
    }
    Ok(())
}

/// The page in every language; returns their sizes by ending.
fn write_bytes(
    page: &Bitmap,
    dpi: u16,
    stem: &std::path::Path,
) -> Result<serde_json::Value, String> {
    let mut sizes = serde_json::Map::new();
    for (language, ending, special) in LANGUAGES {
        let options = Options {
            dpi,
            z64: special,
            gray: special,
            ..Options::default()
        };
        let made = encode(language, page, &options);
        let file = stem.with_file_name(format!(
            "{}.{ending}",
            stem.file_name().unwrap_or_default().to_string_lossy()
        ));
        std::fs::write(&file, &made).map_err(|e| e.to_string())?;
        sizes.insert(ending.to_owned(), made.len().into());
    }
    Ok(sizes.into())
}

fn draw(file: &str, job: &Job, out: &std::path::Path, bytes: bool) -> Result<(), String> {
    let path = PathBuf::from(file);
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let document = std::fs::read(&path).map_err(|e| format!("{file}: {e}"))?;
    let line = match render_file(document, job) {
        Err(error) => serde_json::json!({
            "file": name, "code": error.code.as_str(), "detail": error.detail, "pages": [],
        }),
        Ok(pages) => {
            let mut shown = Vec::new();
            for page in &pages {
                let mut picture = None;
                let mut sizes = serde_json::Value::Null;
                if let Some(bitmap) = page.bitmap() {
                    let file = out.join(format!("{name}-{}.png", page.index));
                    let png = png::to_png(bitmap, job.media.dpi).map_err(|e| e.to_string())?;
                    std::fs::write(&file, png).map_err(|e| e.to_string())?;
                    if bytes {
                        let stem = out.join(format!("{name}-{}", page.index));
                        sizes = write_bytes(bitmap, job.media.dpi, &stem)?;
                    }
                    picture = Some(file);
                }
                shown.push(serde_json::json!({
                    "index": page.index,
                    "source": page.source,
                    "role": page.role,
                    "png": picture,
                    "bytes": sizes,
                    "raw": matches!(page.content, PageContent::Raw { .. }),
                    "codes": page.codes,
                    "read_back": page.read_back,
                    "scale": page.scale,
                    "turned": page.turned,
                    "page_mm": [page.width_mm, page.height_mm],
                    "warnings": page.warnings,
                    "render_us": page.render_us,
                    "read_back_us": page.read_back_us,
                }));
            }
            serde_json::json!({ "file": name, "code": null, "pages": shown })
        }
    };
    println!("{line}");
    Ok(())
}
