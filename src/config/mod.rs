//! Configuration: files to a tree ([`raw`]), the tree to a validated [`Config`] ([`schema`],
//! [`check`]); secrets by reference only ([`secret`]).
//!
//! Every mistake of both files is found in one run, each with file, line, key and what would be
//! right. A wrong value never reaches the rest of the house.

mod check;
pub mod model;
pub mod provision;
mod raw;
mod read;
mod schema;
pub mod secret;
mod suggest;
pub(crate) mod units;
pub mod values;
pub mod words;

pub use model::Config;
pub use raw::{Problem, Severity};
pub use read::Strictness;
pub use secret::{Environment, SecretError, SecretRef};

use std::path::{Path, PathBuf};

/// Where the configuration is when nobody says otherwise.
pub const DEFAULT_PATH: &str = "/etc/printstation/config.toml";
/// Where the state is when nobody says otherwise.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/printstation";
/// Read first, from the same folder: what all benches of a site share.
pub const SITE_FILE: &str = "site.toml";
/// A complete configuration with every key, its default and a sentence.
pub const EXAMPLE: &str = include_str!("example.toml");

/// Where to look, and how strictly.
#[derive(Clone, Debug)]
pub struct Request {
    /// The configuration file.
    pub path: PathBuf,
    /// Instead of `station.state_dir`.
    pub state_dir: Option<PathBuf>,
    /// What unknown keys are.
    pub strictness: Strictness,
}

impl Request {
    /// `--config`, else `$PRINTSTATION_CONFIG`, else [`DEFAULT_PATH`]; `--state-dir`, else
    /// `$PRINTSTATION_STATE_DIR`, else what the file says.
    pub fn find(
        config: Option<PathBuf>,
        state_dir: Option<PathBuf>,
        env: &Environment<'_>,
    ) -> Self {
        let from_env = |name| (env.var)(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        Self {
            path: config
                .or_else(|| from_env("PRINTSTATION_CONFIG"))
                .unwrap_or_else(|| DEFAULT_PATH.into()),
            state_dir: state_dir.or_else(|| from_env("PRINTSTATION_STATE_DIR")),
            strictness: Strictness::Strict,
        }
    }
}

/// What reading a configuration gave.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration, when there is no error.
    pub config: Option<Config>,
    /// Errors and warnings, by file and line.
    pub problems: Vec<Problem>,
}

impl Loaded {
    /// The configuration, or every problem.
    ///
    /// # Errors
    /// There is at least one problem that is an error.
    pub fn into_result(self) -> Result<(Config, Vec<Problem>), Vec<Problem>> {
        match self.config {
            Some(config) => Ok((config, self.problems)),
            None => Err(self.problems),
        }
    }
}

/// Reads the configuration and, beside it, the site's. Blocks on the file system.
pub fn load(request: &Request) -> Loaded {
    let site_path = request.path.with_file_name(SITE_FILE);
    let mut problems = Vec::new();
    // `--config site.toml` is the file itself, not its own site.
    let site = if site_path != request.path && site_path.exists() {
        read_file(&site_path, &mut problems)
    } else {
        None
    };
    let own = read_file(&request.path, &mut problems);
    if own.is_none() || (site.is_none() && !problems.is_empty()) {
        return Loaded {
            config: None,
            problems,
        };
    }
    let name = |path: &Path| path.display().to_string();
    let site = site.map(|text| (name(&site_path), text));
    parse(
        site.as_ref().map(|(n, t)| (n.as_str(), t.as_str())),
        (&name(&request.path), own.as_deref().unwrap_or_default()),
        request.state_dir.as_deref(),
        request.strictness,
    )
}

fn read_file(path: &Path, problems: &mut Vec<Problem>) -> Option<String> {
    use std::io::Read as _;
    let read = || -> std::io::Result<Result<String, &'static str>> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?
            .take(raw::MAX_FILE + 1)
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > raw::MAX_FILE {
            return Ok(Err("is larger than 1 MiB"));
        }
        Ok(String::from_utf8(bytes).map_err(|_| "is not UTF-8 text"))
    };
    let message = match read() {
        Ok(Ok(text)) => return Some(text),
        Ok(Err(why)) => why.to_owned(),
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => {
            "there is no such file; `printstation config example` prints one to start from".into()
        }
        Err(why) => format!("cannot be read: {why}"),
    };
    problems.push(Problem {
        file: path.display().to_string(),
        line: 0,
        key: String::new(),
        severity: Severity::Error,
        message,
    });
    None
}

/// Reads configuration text; files are named for the messages only.
pub fn parse(
    site: Option<(&str, &str)>,
    (file, text): (&str, &str),
    state_dir: Option<&Path>,
    strictness: Strictness,
) -> Loaded {
    let (own, mut problems) = raw::parse(file, text);
    let tree = match site {
        Some((site_file, site_text)) => {
            let (site, site_problems) = raw::parse(site_file, site_text);
            problems.extend(site_problems);
            raw::merge(site, own)
        }
        None => own,
    };
    let newer = matches!(
        tree.get("version").map(|(_, n)| &n.value),
        Some(raw::Value::Int(version)) if *version > i64::from(model::VERSION)
    );
    let report = read::Report {
        problems: std::cell::RefCell::new(problems),
        strictness: if newer {
            Strictness::Lenient
        } else {
            strictness
        },
    };
    let mut config = read::Section::root(&report, &tree, file, |s| schema::config(s, state_dir));
    check::Checker {
        report: &report,
        tree: &tree,
        file: raw::Place {
            file: file.into(),
            line: 0,
        },
    }
    .finish(&mut config);
    let mut problems = report.problems.into_inner();
    problems.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    problems.dedup();
    let failed = problems.iter().any(|p| p.severity == Severity::Error);
    Loaded {
        config: (!failed).then_some(config),
        problems,
    }
}

impl Config {
    /// Effective values as TOML; secrets are references, and addresses that are secrets are masked.
    ///
    /// # Errors
    /// Never for a configuration that was read: the library's error is passed on all the same.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }
}
