//! The built binary as people and scripts meet it: words, exit codes, documents, the sheet.

#![expect(
    clippy::expect_used,
    reason = "a test that cannot go on says what it wanted"
)]

use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

/// The binary, with nothing of this machine's own settings.
fn printstation(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_printstation"))
        .args(args)
        .env_remove("PRINTSTATION_CONFIG")
        .env_remove("PRINTSTATION_STATE_DIR")
        .env_remove("PRINTSTATION_LOG")
        .output()
        .expect("the binary starts")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn exits(output: &Output, code: i32) {
    assert_eq!(
        output.status.code(),
        Some(code),
        "{}\n{}",
        out(output),
        err(output)
    );
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    let mut file = std::fs::File::create(&path).expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    path.display().to_string()
}

#[test]
fn wrong_usage_ends_with_64_and_names_what_would_be_right() {
    for args in [
        &[][..],
        &["dance"],
        &["scan"],
        &["scan", "A", "B"],
        &["scan", "A", "--wait", "30"],
        &["orders", "--limit", "0"],
        &["render", "x.pdf", "--language", "pcl"],
        &["render", "x.pdf", "--media", "big"],
        &["render", "x.pdf", "--dpi", "7"],
        &["sim", "--printer", "x"],
        &["sim", "--switch", "S99=x"],
        &["sim", "--fault", "starshipit:dance"],
        &["config"],
        &["run", "--colour"],
    ] {
        let output = printstation(args);
        exits(&output, 64);
        assert!(
            output.stdout.is_empty() && !output.stderr.is_empty(),
            "{args:?}"
        );
    }
    assert!(err(&printstation(&["confg"])).contains("config"));
}

#[test]
fn help_and_version_are_no_errors() {
    for args in [
        &["--help"][..],
        &["--version"],
        &["scan", "--help"],
        &["sim", "--help"],
    ] {
        let output = printstation(args);
        exits(&output, 0);
        assert!(!output.stdout.is_empty());
    }
    let help = out(&printstation(&["--help"]));
    for hidden in ["render-worker", "db-check"] {
        assert!(!help.contains(hidden));
    }
}

#[test]
fn every_mistake_of_a_configuration_is_named_with_file_line_and_the_right_key() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = write(
        dir.path(),
        "config.toml",
        include_str!("fixtures/config/mistakes.toml"),
    );
    let output = printstation(&["config", "check", "--config", &file]);
    exits(&output, 78);
    let text = out(&output);
    for part in [
        "config.toml:6: station.state_dri: unknown key; did you mean `state_dir`?",
        "config.toml:37: printers[0].treshold: unknown key; did you mean `threshold`?",
        "config.toml:10: scan.mode: unknown value \"prnt\"; did you mean \"print\"?",
        "config.toml:24: starshipit.accounts[0].api_key: a secret is never written",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert!(!text.contains("0123456789abcdef"), "a secret was shown");

    let output = printstation(&["config", "check", "--json", "--config", &file]);
    exits(&output, 78);
    let document: Value = serde_json::from_str(&out(&output)).expect("one document");
    assert_eq!(document["ok"], false);
    assert!(
        document["problems"]
            .as_array()
            .is_some_and(|p| p.len() > 20)
    );

    // The service does not start with it, and says why.
    let output = printstation(&["run", "--config", &file]);
    exits(&output, 78);
    assert!(err(&output).contains("config-invalid") && err(&output).contains(":37:"));
    exits(&printstation(&["config", "show", "--config", &file]), 78);
    exits(
        &printstation(&["config", "check", "--config", "/nowhere/config.toml"]),
        78,
    );
}

#[test]
fn the_example_passes_its_own_check_and_what_is_shown_passes_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let example = out(&printstation(&["config", "example"]));
    let file = write(dir.path(), "config.toml", &example);
    exits(&printstation(&["config", "check", "--config", &file]), 0);
    let shown = printstation(&["config", "show", "--config", &file]);
    exits(&shown, 0);
    let again = write(dir.path(), "again.toml", &out(&shown));
    exits(&printstation(&["config", "check", "--config", &again]), 0);
    assert_eq!(
        out(&printstation(&["config", "show", "--config", &again])),
        out(&shown)
    );
    let json = printstation(&["config", "show", "--json", "--config", &file]);
    let document: Value = serde_json::from_str(&out(&json)).expect("one document");
    assert_eq!(
        document["starshipit"]["accounts"][0]["api_key"]["credential"],
        "starshipit-main"
    );
}

#[test]
fn without_a_station_every_question_ends_with_69() {
    let dir = tempfile::tempdir().expect("a folder");
    let state = dir.path().display().to_string();
    for args in [
        &["scan", "WEB-1"][..],
        &["status"],
        &["status", "--watch"],
        &["orders"],
        &["order", "WEB-1"],
    ] {
        let output = printstation(&[args, &["--state-dir", &state]].concat());
        exits(&output, 69);
        assert!(
            err(&output).contains("no station is running"),
            "{}",
            err(&output)
        );
    }
    // A socket that a dead station left behind is no station either.
    drop(
        std::os::unix::net::UnixListener::bind(dir.path().join("control.sock")).expect("a socket"),
    );
    exits(&printstation(&["status", "--state-dir", &state]), 69);
}

#[test]
fn the_state_folder_of_the_configuration_finds_the_station() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = format!(
        "[station]\nstate_dir = \"{}/state\"\n",
        dir.path().display()
    );
    let file = write(
        dir.path(),
        "config.toml",
        &format!("{text}{}", include_str!("fixtures/config/minimal.toml")),
    );
    let output = printstation(&["status", "--config", &file]);
    exits(&output, 69);
    assert!(err(&output).contains(&format!("{}/state/control.sock", dir.path().display())));
}

#[test]
fn damaged_labels_are_refused_with_their_code() {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, text) in [
        ("empty.pdf", ""),
        ("cut.pdf", "%PDF-1.4\n1 0 obj <<"),
        ("text.pdf", "hello"),
    ] {
        let file = write(dir.path(), name, text);
        let to = dir.path().join("out.png").display().to_string();
        let output = printstation(&["render", &file, "-o", &to]);
        exits(&output, 1);
        assert!(
            err(&output).contains("label-unreadable"),
            "{}",
            err(&output)
        );
        assert!(!Path::new(&to).exists());
    }
    exits(&printstation(&["render", "/nowhere/x.pdf"]), 1);
}

#[test]
fn a_sheet_needs_a_prefix() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = write(
        dir.path(),
        "config.toml",
        include_str!("fixtures/config/minimal.toml"),
    );
    let to = dir.path().join("sheet.pdf").display().to_string();
    let output = printstation(&["sheet", "-o", &to, "--config", &file]);
    exits(&output, 78);
    assert!(err(&output).contains("--prefix"));
    exits(
        &printstation(&["sheet", "-o", &to, "--prefix", "not a prefix"]),
        1,
    );
    assert!(!Path::new(&to).exists());
}

#[test]
fn every_barcode_of_the_sheet_reads_as_its_command() {
    let dir = tempfile::tempdir().expect("a folder");
    let to = dir.path().join("sheet.pdf").display().to_string();
    let config = write(
        dir.path(),
        "config.toml",
        &format!(
            "[packaging.presets]\nsmall = {{}}\nvery-long-preset-name-for-a-box = {{}}\n{}",
            include_str!("fixtures/config/minimal.toml")
        ),
    );
    let output = printstation(&[
        "sheet", "-o", &to, "--prefix", "PS7K4D.", "--json", "--config", &config,
    ]);
    exits(&output, 0);
    let document: Value = serde_json::from_str(&out(&output)).expect("one document");
    let wanted: BTreeSet<String> = document["commands"]
        .as_array()
        .expect("commands")
        .iter()
        .map(|c| c["text"].as_str().expect("text").to_owned())
        .collect();
    assert!(wanted.len() > 20 && wanted.iter().all(|text| text.starts_with("PS7K4D.")));
    let read = read_barcodes(&std::fs::read(&to).expect("the sheet"));
    assert_eq!(read, wanted);
}

/// Draws every page at 300 dpi and reads strip after strip of both columns, as a person's hand would.
fn read_barcodes(pdf: &[u8]) -> BTreeSet<String> {
    use hayro::hayro_interpret::InterpreterSettings;
    use hayro::hayro_syntax::Pdf;
    use hayro::{PixmapSettings, RenderCache, RenderSettings};
    let pdf = Pdf::new(pdf.to_vec()).expect("a PDF");
    let scale = 300.0 / 72.0;
    let mut read = BTreeSet::new();
    for page in pdf.pages().iter() {
        let pixels = PixmapSettings {
            x_scale: scale,
            y_scale: scale,
            bg_color: hayro::vello_cpu::color::palette::css::WHITE,
        };
        let picture = hayro::render(
            page,
            &RenderCache::new(),
            &InterpreterSettings::default(),
            &RenderSettings::default(),
            &pixels,
        );
        let (width, height) = (u32::from(picture.width()), u32::from(picture.height()));
        let gray: Vec<u8> = picture
            .data_as_u8_slice()
            .chunks_exact(4)
            .map(|p| p[0])
            .collect();
        let strip = 70;
        for top in (0..height - strip).step_by(35) {
            for (left, right) in [(0, width / 2), (width / 2, width), (0, width)] {
                let rows: Vec<u8> = (top..top + strip)
                    .flat_map(|y| &gray[(y * width + left) as usize..(y * width + right) as usize])
                    .copied()
                    .collect();
                let found = rxing::helpers::detect_in_luma(
                    rows,
                    right - left,
                    strip,
                    Some(rxing::BarcodeFormat::CODE_128),
                );
                read.extend(found.map(|r| r.getText().to_owned()));
            }
        }
    }
    read
}
