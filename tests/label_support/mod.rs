//! Label documents made for tests: sheets with labels on them, and files that mean harm.
#![expect(dead_code, reason = "each test binary uses its part")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

use barcoders::sym::code128::Code128;
use pdf_writer::{Content, Finish, Pdf, Rect, Ref};
use printstation::domain::Bitmap;
use printstation::label::{Job, Media, Settings};
use std::path::PathBuf;

pub const MEDIA: Media = Media {
    width_mm: 100.0,
    height_mm: 150.0,
    dpi: 203,
    threshold: 150,
};

pub fn job() -> Job {
    Job::new(MEDIA, &Settings::default())
}

/// A label drawn on a sheet: a frame, a black square in its top left corner, a Code 128.
#[derive(Clone, Debug)]
pub struct Label {
    /// Left edge of its box on the sheet, mm, before `/Rotate`.
    pub x: f32,
    /// Top edge, mm.
    pub y: f32,
    /// Size of the label as read, mm.
    pub w: f32,
    pub h: f32,
    /// Lies turned by 90° clockwise on the sheet.
    pub turned: bool,
    pub code: String,
}

impl Label {
    pub fn new(x: f32, y: f32, w: f32, h: f32, code: &str) -> Self {
        Self {
            x,
            y,
            w,
            h,
            turned: false,
            code: code.into(),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Sheet {
    pub w: f32,
    pub h: f32,
    pub rotate: i32,
    /// Left, top, right, bottom, mm.
    pub crop: Option<[f32; 4]>,
    pub labels: Vec<Label>,
}

impl Sheet {
    pub fn new(w: f32, h: f32, labels: Vec<Label>) -> Self {
        Self {
            w,
            h,
            rotate: 0,
            crop: None,
            labels,
        }
    }
}

const PT: f32 = 72.0 / 25.4;
/// Three dots at 203 dpi.
const MODULE_MM: f32 = 0.375;

pub fn pdf(sheets: &[Sheet]) -> Vec<u8> {
    let mut pdf = Pdf::new();
    let (catalog, tree) = (Ref::new(1), Ref::new(2));
    let page = |i: usize| Ref::new(3 + 2 * i32::try_from(i).unwrap());
    let body = |i: usize| Ref::new(4 + 2 * i32::try_from(i).unwrap());
    pdf.catalog(catalog).pages(tree);
    pdf.pages(tree)
        .kids((0..sheets.len()).map(page))
        .count(i32::try_from(sheets.len()).unwrap());
    for (i, sheet) in sheets.iter().enumerate() {
        let mut object = pdf.page(page(i));
        object
            .parent(tree)
            .media_box(Rect::new(0.0, 0.0, sheet.w * PT, sheet.h * PT))
            .contents(body(i));
        object.rotate(sheet.rotate);
        if let Some([l, t, r, b]) = sheet.crop {
            object.crop_box(Rect::new(
                l * PT,
                (sheet.h - b) * PT,
                r * PT,
                (sheet.h - t) * PT,
            ));
        }
        object.resources();
        object.finish();
        let mut content = Content::new();
        for label in &sheet.labels {
            draw(&mut content, sheet, label);
        }
        pdf.stream(body(i), &content.finish());
    }
    pdf.finish()
}

fn draw(content: &mut Content, sheet: &Sheet, label: &Label) {
    content.save_state();
    // Label millimetres, y downwards, to the sheet's points, y upwards.
    let (x, y) = (label.x, sheet.h - label.y);
    let matrix = if label.turned {
        // (u, v) -> right by (h - v), down by u
        [0.0, -1.0, -1.0, 0.0, x + label.h, y]
    } else {
        [1.0, 0.0, 0.0, -1.0, x, y]
    };
    content.transform(matrix.map(|v| v * PT));
    let (w, h) = (label.w, label.h);
    let mut fill = |x: f32, y: f32, w: f32, h: f32| {
        content.rect(x, y, w, h);
    };
    fill(0.0, 0.0, w, 0.5);
    fill(0.0, h - 0.5, w, 0.5);
    fill(0.0, 0.0, 0.5, h);
    fill(w - 0.5, 0.0, 0.5, h);
    fill(4.0, 4.0, 10.0, 10.0);
    let modules = modules(&label.code);
    let length = modules.len() as f32 * MODULE_MM;
    assert!(length + 10.0 <= w, "the code must fit its label");
    for (i, black) in modules.iter().enumerate() {
        if *black == 1 {
            fill(
                (w - length) / 2.0 + i as f32 * MODULE_MM,
                h * 0.5,
                MODULE_MM,
                20.0,
            );
        }
    }
    content.fill_nonzero();
    content.restore_state();
}

pub fn modules(code: &str) -> Vec<u8> {
    // U+0181 starts code set B in barcoders.
    Code128::new(format!("\u{0181}{code}")).unwrap().encode()
}

/// The quarter of the bitmap in which the label's black square lies: (right, bottom).
pub fn square(bitmap: &Bitmap) -> (bool, bool) {
    let side = 56; // 7 mm at 203 dpi, less than the square, more than any bar
    let solid = |x0: u32, y0: u32| {
        (y0..y0 + side)
            .step_by(5)
            .all(|y| (x0..x0 + side).step_by(5).all(|x| bitmap.is_black(x, y)))
    };
    for y in (0..bitmap.height - side).step_by(4) {
        for x in (0..bitmap.width - side).step_by(4) {
            if solid(x, y) {
                return (x > bitmap.width / 2, y > bitmap.height / 2);
            }
        }
    }
    panic!("the label's square is not on the bitmap");
}

/// Everything rxing's own searching readers find, independent of the crate's read-back.
pub fn decode(bitmap: &Bitmap) -> Vec<String> {
    let mut luma = Vec::new();
    for y in 0..bitmap.height {
        luma.extend((0..bitmap.width).map(|x| if bitmap.is_black(x, y) { 0 } else { 255_u8 }));
    }
    let found = rxing::helpers::detect_multiple_in_luma(luma, bitmap.width, bitmap.height);
    let mut texts: Vec<String> = found
        .unwrap_or_default()
        .iter()
        .map(|code| code.getText().to_owned())
        .collect();
    texts.sort();
    texts.dedup();
    texts
}

/// Real labels, or none with a loud word.
pub fn real_labels() -> Vec<PathBuf> {
    let root = std::env::var_os("PRINTSTATION_LABELS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/labels"),
        PathBuf::from,
    );
    let mut files: Vec<PathBuf> = ["pdf", "img", "zpl", "epl"]
        .iter()
        .filter_map(|folder| std::fs::read_dir(root.join(folder)).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort();
    if files.is_empty() {
        println!(
            "SKIPPED: no real labels in {} (set PRINTSTATION_LABELS)",
            root.display()
        );
    }
    files
}

/// A PDF from numbered object bodies; object 1 is the catalog.
pub fn raw_pdf(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut out = b"%PDF-1.4\n".to_vec();
    let mut offsets = Vec::new();
    for (i, object) in objects.iter().enumerate() {
        offsets.push(out.len());
        out.extend_from_slice(format!("{} 0 obj\n", i + 1).as_bytes());
        out.extend_from_slice(object);
        out.extend_from_slice(b"\nendobj\n");
    }
    let xref = out.len();
    out.extend_from_slice(
        format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).as_bytes(),
    );
    for offset in offsets {
        out.extend_from_slice(format!("{offset:010} 00000 n \n").as_bytes());
    }
    let size = objects.len() + 1;
    out.extend_from_slice(
        format!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{xref}\n%%EOF\n").as_bytes(),
    );
    out
}

pub fn stream(dictionary: &str, data: &[u8]) -> Vec<u8> {
    let mut object = format!("<< {dictionary} /Length {} >>\nstream\n", data.len()).into_bytes();
    object.extend_from_slice(data);
    object.extend_from_slice(b"\nendstream");
    object
}

pub fn one_page(media_box: &str, resources: &str, content: Vec<u8>, more: Vec<Vec<u8>>) -> Vec<u8> {
    let mut objects = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
        format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [{media_box}] /Resources << {resources} >> \
             /Contents 4 0 R >>"
        )
        .into_bytes(),
        content,
    ];
    objects.extend(more);
    raw_pdf(&objects)
}

const FOUR_BY_SIX: &str = "0 0 288 432";

/// Files that mean harm, by kind (facts/rendering.md 2.3).
pub fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let good = pdf(&[Sheet::new(
        101.6,
        152.4,
        vec![Label::new(5.0, 5.0, 90.0, 140.0, "GOOD1")],
    )]);
    let cut = |percent: usize| good[..good.len() * percent / 100].to_vec();
    let mut cut_with_end = cut(60);
    cut_with_end.extend_from_slice(b"\nstartxref\n0\n%%EOF\n");
    vec![
        ("nothing", Vec::new()),
        (
            "an error page",
            b"<html><body>502 Bad Gateway</body></html>".to_vec(),
        ),
        ("an empty PDF", b"%PDF-1.4\nstartxref\n0\n%%EOF\n".to_vec()),
        (
            "a PDF without pages",
            raw_pdf(&[
                b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
                b"<< /Type /Pages /Kids [] /Count 0 >>".to_vec(),
            ]),
        ),
        ("cut at 25 %", cut(25)),
        ("cut at 60 %", cut(60)),
        ("cut at 90 %", cut(90)),
        ("cut at 99 %", cut(99)),
        ("cut at 60 % with an end mark put on", cut_with_end),
        ("10,000 pages", many_pages(10_000, 10_000)),
        (
            "a page tree that is its own child",
            raw_pdf(&[
                b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
                b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>".to_vec(),
            ]),
        ),
        ("a count that lies", many_pages(1, 2_000_000_000)),
        (
            "a form that calls itself",
            one_page(
                FOUR_BY_SIX,
                "/XObject << /F 5 0 R >>",
                stream("", b"/F Do"),
                vec![stream(
                    "/Type /XObject /Subtype /Form /BBox [0 0 288 432] \
                 /Resources << /XObject << /F 5 0 R >> >>",
                    b"/F Do /F Do",
                )],
            ),
        ),
        (
            "forms that call each other exponentially",
            exponential_forms(),
        ),
        (
            "a page of 14,400 points",
            one_page(
                "0 0 14400 14400",
                "",
                stream("", b"0 0 14400 9 re f"),
                vec![],
            ),
        ),
        (
            "a page of 1,000,000 points",
            one_page(
                "0 0 1000000 1000000",
                "",
                stream("", b"0 0 9 9 re f"),
                vec![],
            ),
        ),
        (
            "a page of no size",
            one_page("0 0 0 0", "", stream("", b"0 0 9 9 re f"), vec![]),
        ),
        (
            "a page whose box is not numbers",
            one_page("/A (b) null 1e999", "", stream("", b"0 0 9 9 re f"), vec![]),
        ),
        (
            "a gigabyte of blanks in a megabyte",
            one_page(
                FOUR_BY_SIX,
                "",
                stream("/Filter /FlateDecode", &zip_bomb(1 << 30)),
                vec![],
            ),
        ),
        (
            "a dash of a millionth",
            one_page(
                FOUR_BY_SIX,
                "",
                stream("", b"[0.000001 0.000001] 0 d 1 w 0 0 m 100000 100000 l S"),
                vec![],
            ),
        ),
        (
            "two million rectangles",
            one_page(FOUR_BY_SIX, "", two_million_rectangles(), vec![]),
        ),
        (
            "arrays nested 100,000 deep",
            one_page(
                FOUR_BY_SIX,
                "",
                stream("", &[vec![b'['; 100_000], b" 0 d".to_vec()].concat()),
                vec![],
            ),
        ),
        (
            "graphics states nested 1,000,000 deep",
            one_page(
                FOUR_BY_SIX,
                "",
                stream("", &b"q 1 0 0 1 1 0 cm ".repeat(500_000)),
                vec![],
            ),
        ),
        ("100,000 pages", many_pages(100_000, 100_000)),
        (
            "twenty million path operators in a packed stream",
            one_page(FOUR_BY_SIX, "", packed_paths(), vec![]),
        ),
        (
            "a shading of 20,000 operations a dot",
            one_page(
                FOUR_BY_SIX,
                "/Shading << /S << /ShadingType 1 /ColorSpace /DeviceGray /Domain [0 300 0 500] \
                 /Function 5 0 R >> >>",
                stream("", b"/S sh"),
                vec![stream(
                    "/FunctionType 4 /Domain [0 300 0 500] /Range [0 1]",
                    format!("{{ add {} }}", "1 add sin ".repeat(10_000)).as_bytes(),
                )],
            ),
        ),
        (
            "a pattern of tiny tiles",
            one_page(
                FOUR_BY_SIX,
                "/Pattern << /P 5 0 R >>",
                stream("", b"/Pattern cs /P scn 0 0 288 432 re f"),
                vec![stream(
                    "/Type /Pattern /PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 1 1] \
                     /XStep 0.0001 /YStep 0.0001 /Resources << >>",
                    b"0 0 1 1 re f",
                )],
            ),
        ),
        (
            "a stream packed a thousand times",
            one_page(
                FOUR_BY_SIX,
                "",
                stream(
                    &format!("/Filter [{}]", "/FlateDecode ".repeat(1_000)),
                    &zip_bomb(1 << 20),
                ),
                vec![],
            ),
        ),
        (
            "a glyph that writes itself",
            one_page(
                FOUR_BY_SIX,
                "/Font << /F 5 0 R >>",
                stream("", b"BT /F 40 Tf 20 200 Td (aaaa) Tj ET"),
                vec![
                    b"<< /Type /Font /Subtype /Type3 /FontBBox [0 0 1 1] /FontMatrix [1 0 0 1 0 0] \
                      /CharProcs << /a 6 0 R >> /Encoding << /Differences [97 /a] >> /FirstChar 97 \
                      /LastChar 97 /Widths [1] /Resources << /Font << /F 5 0 R >> >> >>"
                        .to_vec(),
                    stream("", b"1 0 d0 BT /F 1 Tf (aaaa) Tj ET"),
                ],
            ),
        ),
        (
            "a soft mask that masks itself",
            one_page(
                FOUR_BY_SIX,
                "/ExtGState << /G << /SMask << /S /Luminosity /G 5 0 R >> >> >>",
                stream("", b"/G gs 0 0 288 432 re f"),
                vec![stream(
                    "/Type /XObject /Subtype /Form /BBox [0 0 288 432] /Group << /S /Transparency \
                     /CS /DeviceGray >> /Resources << /ExtGState << /G << /SMask << /S /Luminosity \
                     /G 5 0 R >> >> >> >>",
                    b"/G gs 0 0 288 432 re f",
                )],
            ),
        ),
        ("a cross-reference table before itself", xref_loop()),
        (
            "a picture of 60,000 x 60,000 dots",
            png_header(60_000, 60_000),
        ),
        ("ZPL without an end", b"^XA^FO10,10^FDx^FS".to_vec()),
        (
            "ZPL for a wider printer",
            b"^XA^PW2400^LL3600^FDx^FS^XZ".to_vec(),
        ),
    ]
}

/// Twenty million operators, packed: a megabyte or less.
fn packed_paths() -> Vec<u8> {
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    let some = b"9 9 m 80 80 l\n".repeat(100_000);
    for _ in 0..100 {
        std::io::Write::write_all(&mut zlib, &some).unwrap();
    }
    std::io::Write::write_all(&mut zlib, b"S").unwrap();
    stream("/Filter /FlateDecode", &zlib.finish().unwrap())
}

/// `/Prev` of the table names the table.
fn xref_loop() -> Vec<u8> {
    let file = one_page(FOUR_BY_SIX, "", stream("", b"20 20 9 9 re f"), vec![]);
    let text = String::from_utf8(file).unwrap();
    let (_, at) = text.rsplit_once("startxref\n").unwrap();
    let at: usize = at.lines().next().unwrap().parse().unwrap();
    let looped = format!("/Root 1 0 R /Prev {at} >>");
    text.replace("/Root 1 0 R >>", &looped).into_bytes()
}

fn many_pages(pages: usize, count: u64) -> Vec<u8> {
    let kids: String = (0..pages).map(|i| format!("{} 0 R ", i + 3)).collect();
    let mut objects = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        format!("<< /Type /Pages /Kids [{kids}] /Count {count} >>").into_bytes(),
    ];
    let content = pages + 3;
    let page = format!(
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 288 432] /Resources << >> \
         /Contents {content} 0 R >>"
    );
    objects.resize(pages + 2, page.into_bytes());
    objects.push(stream("", b"20 20 200 200 re f"));
    raw_pdf(&objects)
}

/// Fourteen levels of ten calls each.
fn exponential_forms() -> Vec<u8> {
    let forms = (0..14)
        .map(|level| {
            let resources = format!("/Resources << /XObject << /F {} 0 R >> >>", level + 6);
            let (resources, data) = if level == 13 {
                (String::new(), b"0 0 1 1 re f".to_vec())
            } else {
                (resources, b"/F Do ".repeat(10))
            };
            stream(
                &format!("/Type /XObject /Subtype /Form /BBox [0 0 288 432] {resources}"),
                &data,
            )
        })
        .collect();
    one_page(
        FOUR_BY_SIX,
        "/XObject << /F 5 0 R >>",
        stream("", b"/F Do"),
        forms,
    )
}

fn two_million_rectangles() -> Vec<u8> {
    stream(
        "",
        &b"9 9 5 7 re\n"
            .repeat(800_000)
            .into_iter()
            .chain(*b"B*")
            .collect::<Vec<u8>>(),
    )
}

/// zlib data of `length` blanks: one literal, then matches of 258 at distance 1, 13 bits each.
fn zip_bomb(length: u64) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(1, 1); // last block
    bits.put(1, 2); // fixed Huffman codes
    bits.code(0x30 + u32::from(b' '), 8);
    for _ in 0..length / 258 {
        bits.code(0b1100_0101, 8); // 285: length 258
        bits.code(0, 5); // distance 1
    }
    bits.code(0, 7); // end of block
    let written = 1 + length / 258 * 258;
    let (n, m) = (u128::from(written), 65_521_u128);
    let a = (1 + 32 * n) % m;
    let b = (n + 32 * (n * (n + 1) / 2)) % m;
    let adler = u32::try_from(b << 16 | a).unwrap();
    [vec![0x78, 0x01], bits.bytes, adler.to_be_bytes().to_vec()].concat()
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        for i in 0..count {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let bit = u8::try_from((value >> i) & 1).unwrap();
            *self.bytes.last_mut().unwrap() |= bit << (self.used % 8);
            self.used += 1;
        }
    }

    /// Huffman codes go highest bit first.
    fn code(&mut self, value: u32, count: u32) {
        for i in (0..count).rev() {
            self.put((value >> i) & 1, 1);
        }
    }
}

/// A PNG that promises more dots than it has.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = b"IHDR".to_vec();
    header.extend_from_slice(&width.to_be_bytes());
    header.extend_from_slice(&height.to_be_bytes());
    header.extend_from_slice(&[8, 0, 0, 0, 0]);
    for body in [header, b"IDATx".to_vec(), b"IEND".to_vec()] {
        png.extend_from_slice(&u32::try_from(body.len() - 4).unwrap().to_be_bytes());
        png.extend_from_slice(&body);
        png.extend_from_slice(&crc32fast::hash(&body).to_be_bytes());
    }
    png
}
