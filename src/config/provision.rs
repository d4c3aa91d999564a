//! From files that any computer can write onto a boot partition to a configured bench.
//!
//! `printstation.toml` becomes `config.toml`, `site.toml` stays what it is. Both may carry a table
//! `[credentials]` (name = "secret"), which only exists here: its secrets go to files of their own
//! (0600) and are blanked in what stays on the partition, since FAT has no permissions. Nothing is
//! taken over unless the whole configuration is valid; the reasons are written beside the file.
//!
//! Each step is durable and may be repeated: a power cut in between is made good by the next boot.
//! Long because its tests show whole cards, before and after.

use crate::config::{self, Problem, SITE_FILE, Severity, Strictness, raw, read};
use crate::system::durable;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// What the bench's own configuration is called on the boot partition.
pub const BOOT_FILE: &str = "printstation.toml";
/// Where mistakes are told to whoever puts the card back into a computer.
pub const ERROR_FILE: &str = "printstation-error.txt";
/// The table of secrets.
const TABLE: &str = "credentials";
/// Readable by the station's group, which the folder gives its files (set-group-id).
const CONFIG_MODE: u32 = 0o640;
/// Longest secret.
const MAX_SECRET: usize = 16 << 10;

/// Where from and where to.
#[derive(Clone, Debug)]
pub struct Places {
    /// The boot partition.
    pub boot: PathBuf,
    /// `/etc/printstation`.
    pub etc: PathBuf,
    /// Drop-ins of `printstation.service`; the credentials are named there.
    pub drop_in: PathBuf,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provisioned {
    /// Files of the boot partition that were taken over.
    pub files: Vec<&'static str>,
    /// Names of the secrets that were taken out of them.
    pub credentials: Vec<String>,
    /// The site's command prefix, where one had to be made.
    pub prefix: Option<String>,
}

/// Why nothing was taken over.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The files have mistakes; they are also in [`ERROR_FILE`].
    #[error("the configuration on the boot partition has mistakes")]
    Invalid(Vec<Problem>),
    /// Something could not be read or written.
    #[error("provisioning could not be finished")]
    Io(#[from] io::Error),
}

/// A configuration file without its secrets.
#[derive(Debug, PartialEq, Eq)]
struct Split {
    /// What the station reads.
    config: String,
    /// Name and value; an empty value was moved out by an earlier run.
    credentials: Vec<(String, String)>,
    /// The file with its secrets blanked.
    blanked: String,
}

/// Takes over what is on the boot partition. `make_prefix` is asked for the site's command prefix
/// where neither file has one.
///
/// # Errors
/// Mistakes in the files, or the file system refused.
pub fn provision(
    places: &Places,
    make_prefix: impl FnOnce() -> String,
) -> Result<Provisioned, ProvisionError> {
    let mut done = Provisioned::default();
    let own = take(&places.boot, BOOT_FILE)?;
    let site = take(&places.boot, SITE_FILE)?;
    if own.is_none() && site.is_none() {
        return Ok(done);
    }
    let own_path = places.etc.join("config.toml");
    let site_path = places.etc.join(SITE_FILE);
    let mut problems = Vec::new();
    let own = split_or_explain(own, BOOT_FILE, &mut problems);
    let mut site = split_or_explain(site, SITE_FILE, &mut problems);
    if problems.is_empty() {
        let own_text = effective(own.as_ref(), &own_path)?.unwrap_or_default();
        let site_text = effective(site.as_ref(), &site_path)?;
        if !has_prefix(&own_text) && !site_text.as_deref().is_some_and(has_prefix) {
            let prefix = make_prefix();
            let text = with_prefix(site_text.as_deref().unwrap_or_default(), &prefix);
            done.prefix = Some(prefix);
            match &mut site {
                Some(site) => site.config = text,
                None => {
                    site = Some(Split {
                        config: text,
                        credentials: Vec::new(),
                        blanked: String::new(),
                    });
                }
            }
        }
        let site_text = effective(site.as_ref(), &site_path)?;
        let loaded = config::parse(
            site_text.as_deref().map(|text| (SITE_FILE, text)),
            (BOOT_FILE, &own_text),
            None,
            Strictness::Strict,
        );
        let errors = |p: &Problem| p.severity == Severity::Error;
        problems.extend(loaded.problems.into_iter().filter(errors));
    }
    if !problems.is_empty() {
        tell(&places.boot, &problems)?;
        return Err(ProvisionError::Invalid(problems));
    }

    let secrets = places.etc.join(TABLE);
    durable::create_dir_all(&secrets)?;
    for split in own.iter().chain(&site) {
        for (name, value) in split.credentials.iter().filter(|(_, v)| !v.is_empty()) {
            durable::replace(&secrets.join(name), value.as_bytes())?;
            done.credentials.push(name.clone());
        }
    }
    name_credentials(&secrets, &places.drop_in)?;
    // The site first: a bench's own file may rest on it.
    for (split, path) in [(&site, &site_path), (&own, &own_path)] {
        if let Some(split) = split {
            durable::replace_with(path, |file| {
                file.set_permissions(Permissions::from_mode(CONFIG_MODE))?;
                file.write_all(split.config.as_bytes())
            })?;
        }
    }
    // Only now, when every secret is safe where it belongs.
    for (split, name) in [(own, BOOT_FILE), (site, SITE_FILE)] {
        let path = places.boot.join(name);
        if let Some(split) = split
            && path.exists()
        {
            put_away(&path, &split.blanked)?;
            done.files.push(name);
        }
    }
    durable::remove(&places.boot.join(ERROR_FILE))?;
    Ok(done)
}

/// Writes the drop-in that hands every secret to the service.
///
/// # Errors
/// The file system refused.
pub fn name_credentials(secrets: &Path, drop_in: &Path) -> io::Result<()> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(secrets).map_err(|error| durable::at(secrets, &error))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if read::is_name(&name) && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    let mut text =
        "# Written by `printstation provision` and `install`: one line for each secret.\n\
                    [Service]\n"
            .to_owned();
    for name in names {
        text.push_str(&format!(
            "LoadCredential={name}:/etc/printstation/credentials/{name}\n"
        ));
    }
    let path = drop_in.join("credentials.conf");
    if durable::read_bounded(&path, raw::MAX_FILE)?.as_deref() == Some(text.as_bytes()) {
        return Ok(());
    }
    durable::create_dir_all(drop_in)?;
    durable::replace_with(&path, |file| {
        file.set_permissions(Permissions::from_mode(0o644))?;
        file.write_all(text.as_bytes())
    })
    .map(drop)
}

fn take(boot: &Path, name: &str) -> io::Result<Option<Result<String, &'static str>>> {
    match durable::read_bounded(&boot.join(name), raw::MAX_FILE) {
        Ok(bytes) => Ok(bytes.map(|bytes| {
            String::from_utf8(bytes).map_err(|_| "is not UTF-8 text: save it as UTF-8")
        })),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            Ok(Some(Err("is larger than 1 MiB")))
        }
        Err(error) => Err(error),
    }
}

fn split_or_explain(
    text: Option<Result<String, &'static str>>,
    file: &str,
    problems: &mut Vec<Problem>,
) -> Option<Split> {
    let split = text?.map_err(str::to_owned).and_then(|text| split(&text));
    split
        .map_err(|message| {
            problems.push(Problem {
                file: file.to_owned(),
                line: 0,
                key: String::new(),
                severity: Severity::Error,
                message,
            });
        })
        .ok()
}

/// What a file will hold: the new text, or what is there.
fn effective(split: Option<&Split>, path: &Path) -> io::Result<Option<String>> {
    match split {
        Some(split) => Ok(Some(split.config.clone())),
        None => Ok(durable::read_bounded(path, raw::MAX_FILE)?
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())),
    }
}

fn table(text: &str) -> Result<toml::Table, String> {
    // The library's own message quotes the line, which may hold a secret.
    text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(before).filter(|b| *b == b'\n').count() + 1;
        format!("line {line}: {}", error.message())
    })
}

/// Takes `[credentials]` out, by lines, so that the comments of the rest stay. What the two parts
/// mean is compared with the whole afterwards: no layout can slip a secret through.
fn split(text: &str) -> Result<Split, String> {
    // Editors on other systems: a mark at the start, CR LF.
    let text = &text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let whole = table(text)?;
    let Some(value) = whole.get(TABLE) else {
        return Ok(Split {
            config: text.clone(),
            credentials: Vec::new(),
            blanked: text.clone(),
        });
    };
    let value = value
        .as_table()
        .ok_or("credentials is a table: [credentials], then lines name = \"secret\"")?;
    let mut credentials = Vec::new();
    for (name, secret) in value {
        let secret = secret
            .as_str()
            .ok_or_else(|| format!("credentials.{name}: a secret is text in quotes"))?;
        if !read::is_name(name) || name.starts_with('.') {
            return Err(format!(
                "credentials.{name}: a name has 1 to 32 letters, digits, dots, dashes or underscores"
            ));
        }
        if secret.len() > MAX_SECRET || secret.chars().any(char::is_control) {
            return Err(format!("credentials.{name}: a secret is one line of text"));
        }
        credentials.push((name.clone(), secret.to_owned()));
    }
    let (mut config, mut blanked, mut inside) = (String::new(), String::new(), false);
    for line in text.lines() {
        let bare = line.split('#').next().unwrap_or_default();
        let bare: String = bare.chars().filter(|c| !c.is_whitespace()).collect();
        if bare == format!("[{TABLE}]") {
            inside = true;
            blanked.push_str(line);
            blanked.push('\n');
            for (name, _) in &credentials {
                blanked.push_str(&format!("\"{name}\" = \"\"\n"));
            }
            continue;
        }
        if line.trim_start().starts_with('[') {
            inside = false;
        }
        if !inside {
            for part in [&mut config, &mut blanked] {
                part.push_str(line);
                part.push('\n');
            }
        }
    }
    let mut rest = whole.clone();
    rest.remove(TABLE);
    let mut emptied = rest.clone();
    let empty = |(name, _): &(String, String)| (name.clone(), toml::Value::String(String::new()));
    emptied.insert(
        TABLE.to_owned(),
        toml::Value::Table(credentials.iter().map(empty).collect()),
    );
    if table(&config).ok() != Some(rest) || table(&blanked).ok() != Some(emptied) {
        return Err(
            "write the secrets as a table of their own: a line [credentials], then lines \
             name = \"secret\""
                .to_owned(),
        );
    }
    Ok(Split {
        config,
        credentials,
        blanked,
    })
}

fn has_prefix(text: &str) -> bool {
    let prefix = table(text).ok().and_then(|table| {
        let prefix = table.get("scan")?.get("command_prefix")?.as_str()?;
        Some(!prefix.is_empty())
    });
    prefix.unwrap_or(false)
}

/// The site's text with a command prefix, one for the whole site.
fn with_prefix(text: &str, prefix: &str) -> String {
    let line =
        format!("command_prefix = \"{prefix}\" # made for this site: the same on every bench\n");
    let mut out = String::new();
    let mut placed = false;
    for old in text.lines() {
        out.push_str(old);
        out.push('\n');
        if !placed && old.split('#').next().unwrap_or_default().trim() == "[scan]" {
            out.push_str(&line);
            placed = true;
        }
    }
    if !placed {
        out.push_str(if out.is_empty() {
            "[scan]\n"
        } else {
            "\n[scan]\n"
        });
        out.push_str(&line);
    }
    out
}

/// Overwrites the file in place (same clusters of the card), then renames it out of the way.
fn put_away(path: &Path, blanked: &str) -> io::Result<()> {
    let put = || -> io::Result<()> {
        let mut file: File = OpenOptions::new().write(true).open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(0))?;
        file.write_all(blanked.as_bytes())?;
        let left = length.saturating_sub(blanked.len() as u64);
        io::copy(&mut io::Read::take(io::repeat(b'\n'), left), &mut file)?;
        file.sync_all()?;
        file.set_len(blanked.len() as u64)?;
        file.sync_all()
    };
    put().map_err(|error| durable::at(path, &error))?;
    let mut done = path.as_os_str().to_owned();
    done.push(".done");
    durable::rename(path, Path::new(&done))
}

/// For whoever puts the card back into a computer: plain words, no secret.
fn tell(boot: &Path, problems: &[Problem]) -> io::Result<()> {
    let mut text =
        "This bench did not take over the configuration on this card:\r\n\r\n".to_owned();
    for problem in problems {
        text.push_str(&format!("  {problem}\r\n"));
    }
    text.push_str(
        "\r\nCorrect the file and start the bench again. Until then it works as before.\r\n",
    );
    durable::replace(&boot.join(ERROR_FILE), text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "# our bench\n[station]\nname = \"bench-7\"\n\n[credentials] # secret\n\
        starshipit-main = \"k-123\"\nstarshipit-subscription = 's-456'\n\n\
        [[starshipit.accounts]]\nname = \"main\"\napi_key = { credential = \"starshipit-main\" }\n\
        subscription_key = { credential = \"starshipit-subscription\" }\n\n\
        [[printers]]\nname = \"label\"\nconnection = \"tcp://192.0.2.9:9100\"\nlanguage = \"zpl\"\n";

    struct Card {
        dir: tempfile::TempDir,
        places: Places,
    }

    fn card(files: &[(&str, &str)]) -> Card {
        let dir = tempfile::tempdir().unwrap();
        let places = Places {
            boot: dir.path().join("boot"),
            etc: dir.path().join("etc"),
            drop_in: dir.path().join("printstation.service.d"),
        };
        for path in [&places.boot, &places.etc] {
            durable::create_dir_all(path).unwrap();
        }
        for (name, text) in files {
            durable::replace(&places.boot.join(name), text.as_bytes()).unwrap();
        }
        Card { dir, places }
    }

    impl Card {
        fn provision(&self) -> Result<Provisioned, ProvisionError> {
            provision(&self.places, || "PSTEST.".to_owned())
        }

        fn read(&self, path: &str) -> Option<String> {
            std::fs::read_to_string(self.dir.path().join(path)).ok()
        }

        fn mode(&self, path: &str) -> u32 {
            let metadata = std::fs::metadata(self.dir.path().join(path)).unwrap();
            metadata.permissions().mode() & 0o777
        }

        /// No file of the boot partition holds this text.
        #[track_caller]
        fn boot_is_free_of(&self, secret: &str) {
            for entry in std::fs::read_dir(&self.places.boot).unwrap() {
                let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
                assert!(!text.contains(secret), "{text}");
            }
        }
    }

    #[test]
    fn a_mistake_changes_nothing_and_is_told_on_the_card_without_a_secret() {
        let wrong = OWN.replace("language = \"zpl\"", "language = \"zlp\"");
        let card = card(&[(BOOT_FILE, &wrong)]);
        let Err(ProvisionError::Invalid(problems)) = card.provision() else {
            panic!("a mistake was taken over");
        };
        assert!(
            problems.iter().any(|p| p.key.contains("language")),
            "{problems:?}"
        );
        let told = card.read("boot/printstation-error.txt").unwrap();
        assert!(
            told.contains("language") && !told.contains("k-123"),
            "{told}"
        );
        assert_eq!(card.read("etc/config.toml"), None);
        assert_eq!(card.read("etc/credentials/starshipit-main"), None);
        assert_eq!(card.read("boot/printstation.toml").unwrap(), wrong);
    }

    #[test]
    fn text_that_is_no_toml_is_told_by_line_and_not_quoted() {
        let card = card(&[(BOOT_FILE, "[credentials]\nmain = \"k-123\n")]);
        let Err(ProvisionError::Invalid(problems)) = card.provision() else {
            panic!("this is no configuration");
        };
        assert!(problems[0].message.starts_with("line 2"), "{problems:?}");
        assert!(
            !card
                .read("boot/printstation-error.txt")
                .unwrap()
                .contains("k-123")
        );
    }

    #[test]
    fn a_secret_in_another_layout_is_refused_rather_than_left_in_the_open() {
        for text in [
            "credentials.a = \"x\"\n",
            "credentials = { a = \"x\" }\n",
            "[scan]\npatterns = ['''\n[credentials]\n''']\n[credentials]\na = \"x\"\n",
            "[credentials]\na = \"\"\"\n[x]\"\"\"\n",
        ] {
            assert!(split(text).is_err(), "{text}");
        }
        assert!(split("[credentials]\n\"../x\" = \"y\"\n").is_err());
        assert!(split("[credentials]\na = 5\n").is_err());
    }

    #[test]
    fn secrets_go_to_files_of_their_own_and_leave_the_card() {
        let card = card(&[(BOOT_FILE, OWN)]);
        let done = card.provision().unwrap();
        assert_eq!(
            done.credentials,
            ["starshipit-main", "starshipit-subscription"]
        );
        assert_eq!(done.files, [BOOT_FILE]);
        assert_eq!(
            card.read("etc/credentials/starshipit-main").unwrap(),
            "k-123"
        );
        assert_eq!(card.mode("etc/credentials/starshipit-main"), 0o600);
        assert_eq!(card.mode("etc/credentials"), 0o700);
        assert_eq!(card.mode("etc/config.toml"), 0o640);
        let config = card.read("etc/config.toml").unwrap();
        assert!(config.starts_with("# our bench\n"), "{config}");
        assert!(!config.contains("[credentials]"), "{config}");
        let drop_in = card
            .read("printstation.service.d/credentials.conf")
            .unwrap();
        let lines: Vec<&str> = drop_in.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "[Service]",
                "LoadCredential=starshipit-main:/etc/printstation/credentials/starshipit-main",
                "LoadCredential=starshipit-subscription:/etc/printstation/credentials/starshipit-subscription"
            ]
        );
        card.boot_is_free_of("k-123");
        card.boot_is_free_of("s-456");
        assert!(
            card.read("boot/printstation.toml.done")
                .unwrap()
                .contains("bench-7")
        );
        assert_eq!(card.read("boot/printstation.toml"), None);
    }

    #[test]
    fn a_cut_after_the_blanking_is_made_good_by_the_next_boot() {
        let card = card(&[(BOOT_FILE, OWN)]);
        card.provision().unwrap();
        // As if the power had gone before the rename.
        let places = &card.places;
        let done = places.boot.join("printstation.toml.done");
        durable::rename(&done, &places.boot.join(BOOT_FILE)).unwrap();
        let again = card.provision().unwrap();
        assert_eq!(again.credentials, Vec::<String>::new());
        assert_eq!(again.prefix, None);
        assert_eq!(
            card.read("etc/credentials/starshipit-main").unwrap(),
            "k-123"
        );
    }

    #[test]
    fn a_site_has_one_prefix_made_once() {
        let card = card(&[(BOOT_FILE, OWN)]);
        assert_eq!(card.provision().unwrap().prefix.as_deref(), Some("PSTEST."));
        assert!(card.read("etc/site.toml").unwrap().contains("\"PSTEST.\""));
        let site = "[scan] # ours\nmode = \"print\"\ncommand_prefix = \"PSOURS.\"\n";
        durable::replace(&card.places.boot.join(SITE_FILE), site.as_bytes()).unwrap();
        assert_eq!(card.provision().unwrap().prefix, None);
        assert_eq!(card.read("etc/site.toml").unwrap(), site);
    }

    #[test]
    fn a_prefix_joins_the_sites_own_table() {
        let text = with_prefix("[scan] # ours\nmode = \"print\"\n", "PSX.");
        assert!(has_prefix(&text), "{text}");
        assert_eq!(
            table(&text).unwrap()["scan"]["mode"].as_str(),
            Some("print")
        );
    }

    #[test]
    fn files_from_other_systems_are_read() {
        let split =
            split("\u{feff}[station]\r\nname = \"a\"\r\n[credentials]\r\nk = \"v\"\r\n").unwrap();
        assert_eq!(split.credentials, [("k".to_owned(), "v".to_owned())]);
        assert_eq!(split.config, "[station]\nname = \"a\"\n");
    }

    #[test]
    fn an_empty_card_asks_for_nothing() {
        assert_eq!(card(&[]).provision().unwrap(), Provisioned::default());
    }
}
