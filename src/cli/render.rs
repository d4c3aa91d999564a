//! `printstation render`: a label file to printer bytes or pictures, without a station.

use super::args::{Render, USAGE};
use super::{Failure, output, say};
use crate::config::model::Media as Size;
use crate::label::{self, Job, Media, PageContent, RenderedPage};
use crate::printer::language::{self, Options};
use crate::printer::{Connection, Language, Settings};
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What can be made.
const LANGUAGES: [Language; 8] = [
    Language::Png,
    Language::Zpl,
    Language::Epl,
    Language::Tspl,
    Language::Escpos,
    Language::BrotherQl,
    Language::Pwg,
    Language::Pdf,
];

pub(super) fn run(args: &Render) -> Result<ExitCode, Failure> {
    let usage = |why: String| Failure::internal(why).with_exit(USAGE);
    let language = language(&args.language).map_err(usage)?;
    let size = Size::parse(&args.media).ok_or_else(|| {
        usage(format!(
            "--media: '{}' is no label size such as 100x150mm or 4x6in",
            args.media
        ))
    })?;
    // A printer's settings know what of the label its head reaches.
    let mut printer = Settings::new("render", Connection::File(PathBuf::from(".")));
    printer.language = language;
    printer.dpi = args.dpi;
    printer.media_mm = (size.width_mm, size.height_mm);
    printer.check().map_err(|error| usage(error.to_string()))?;
    let (width_mm, height_mm) = printer.drawable_mm();
    let media = Media {
        width_mm,
        height_mm,
        dpi: args.dpi,
        threshold: args.threshold,
    };
    let job = Job::new(media, &label::Settings::default());
    let bytes = read(&args.file, job.max_bytes)?;
    let pages =
        label::render_file(bytes, &job).map_err(|error| Failure::internal(error.to_string()))?;
    let made: Vec<Vec<u8>> = pages
        .iter()
        .map(|page| encode(page, language, args.dpi, (size.width_mm, size.height_mm)))
        .collect::<Result<_, _>>()?;
    let out = match &args.out {
        Some(out) => out.clone(),
        None => default_out(&args.file, language),
    };
    let written = write(&out, language, &made)?;
    if args.json {
        let pages: Vec<Value> = pages
            .iter()
            .zip(&made)
            .zip(&written)
            .map(described)
            .collect();
        say::document(&json!({ "language": language.as_str(), "pages": pages }))?;
    } else if out.as_os_str() != "-" {
        for ((page, bytes), file) in pages.iter().zip(&made).zip(&written) {
            tell(page, bytes.len(), file);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn language(word: &str) -> Result<Language, String> {
    LANGUAGES
        .into_iter()
        .find(|language| language.as_str() == word)
        .ok_or_else(|| {
            let words: Vec<&str> = LANGUAGES.iter().map(|l| l.as_str()).collect();
            format!("--language: '{word}' is none of {}", words.join(", "))
        })
}

fn read(path: &Path, max: usize) -> Result<Vec<u8>, Failure> {
    let failed = |cause| Failure::cannot(format!("{} cannot be read", path.display()), cause);
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .map_err(failed)?
        // One more than may be: the renderer then says that it is too large.
        .take(max as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}

fn encode(
    page: &RenderedPage,
    language: Language,
    dpi: u16,
    media_mm: (f64, f64),
) -> Result<Vec<u8>, Failure> {
    match &page.content {
        PageContent::Bitmap(bitmap) => Ok(language::encode(
            language,
            bitmap,
            &Options {
                dpi,
                media_mm,
                ..Options::default()
            },
        )),
        PageContent::Raw {
            language: spoken,
            bytes,
        } if spoken.as_str() == language.as_str() => Ok(bytes.clone()),
        PageContent::Raw {
            language: spoken, ..
        } => Err(Failure::internal(format!(
            "label-does-not-fit: the file is {} already and goes to such printers unchanged; use --language {}",
            spoken.as_str(),
            spoken.as_str()
        ))),
        PageContent::Elsewhere => Err(Failure::internal(format!(
            "label-does-not-fit: page {} is a document and no label; choose a larger --media, such as 210x297mm",
            page.source + 1
        ))),
    }
}

fn default_out(file: &Path, language: Language) -> PathBuf {
    let stem = file.file_stem().unwrap_or(file.as_os_str());
    let mut name = stem.to_owned();
    // Never over the file that is read.
    let ending = if file
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case(language.ending()))
    {
        "out."
    } else {
        ""
    };
    name.push(format!(".{ending}{}", language.ending()));
    name.into()
}

/// Pictures are a file each; printer bytes are one stream, as they would go to the printer.
fn write(out: &Path, language: Language, made: &[Vec<u8>]) -> Result<Vec<PathBuf>, Failure> {
    let is_file = matches!(language, Language::Png | Language::Pwg | Language::Pdf);
    if !is_file || made.len() == 1 || out.as_os_str() == "-" {
        output::write(out, &made.concat())?;
        return Ok(vec![out.to_owned(); made.len()]);
    }
    let mut written = Vec::with_capacity(made.len());
    for (index, bytes) in made.iter().enumerate() {
        let stem = out.file_stem().unwrap_or_default().to_string_lossy();
        let file = out.with_file_name(format!(
            "{stem}-{}of{}.{}",
            index + 1,
            made.len(),
            language.ending()
        ));
        output::write(&file, bytes)?;
        written.push(file);
    }
    Ok(written)
}

fn described(((page, bytes), file): ((&RenderedPage, &Vec<u8>), &PathBuf)) -> Value {
    let size = page.bitmap().map(|b| (b.width, b.height));
    let codes: Vec<Value> = page.codes.iter().map(|code| json!(code.text)).collect();
    json!({
        "file": file.display().to_string(),
        "bytes": bytes.len(),
        "source_page": page.source + 1,
        "role": page.role,
        "dots": size,
        "scale": page.scale,
        "turned": page.turned,
        "codes": codes,
        "warnings": page.warnings,
    })
}

fn tell(page: &RenderedPage, bytes: usize, file: &Path) {
    let dots = page.bitmap().map_or_else(String::new, |b| {
        format!("  {} x {} dots", b.width, b.height)
    });
    let turned = if page.turned { "  turned" } else { "" };
    let scale = if (page.scale - 1.0).abs() > 0.005 {
        format!("  at {:.0} %", page.scale * 100.0)
    } else {
        String::new()
    };
    say::line(&format!(
        "{}  {bytes} bytes{dots}{scale}{turned}",
        file.display()
    ));
    for code in &page.codes {
        say::line(&format!("  reads {}", say::plain(&code.text)));
    }
    for warning in &page.warnings {
        say::line(&format!("  {}", say::plain(warning)));
    }
}
