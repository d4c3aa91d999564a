//! Which input device a configuration means, and which devices could be scanners.
//!
//! A device is named by a glob over its links in `/dev/input/by-id` and `/dev/input/by-path`, over
//! its name and its own identity (`uniq`: the serial number, or the address of a Bluetooth
//! scanner, which has no link); or by its path. Links survive renumbering and replugging. Looked for
//! again each second: no udev library, nothing to miss.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Input devices looked at; a machine with more has other troubles.
const MOST: usize = 256;

/// An input device of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputDevice {
    /// `/dev/input/eventN`.
    pub node: PathBuf,
    /// What it calls itself.
    pub name: String,
    /// Its serial number or Bluetooth address; empty: none.
    pub uniq: String,
    /// Its links in `/dev/input/by-id` and `/dev/input/by-path`, names only, sorted.
    pub links: Vec<String>,
    /// It has the keys of a keyboard: Enter and digits.
    pub keyboard: bool,
}

impl InputDevice {
    /// What to write into the configuration for this device.
    pub fn pattern(&self) -> String {
        let by_id = self.links.iter().find(|link| link.ends_with("-event-kbd"));
        match by_id.or_else(|| self.links.first()) {
            Some(link) => link.clone(),
            None if !self.uniq.is_empty() => self.uniq.clone(),
            None => self.node.display().to_string(),
        }
    }
}

/// Where devices are looked up; other folders in tests.
#[derive(Clone, Debug)]
pub struct Places {
    /// `/dev/input`.
    pub dev: PathBuf,
    /// `/sys/class/input`.
    pub sys: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            dev: "/dev/input".into(),
            sys: "/sys/class/input".into(),
        }
    }
}

impl Places {
    /// Nodes that a configured name means, best first: by-id links before anything else.
    pub fn matching(&self, wanted: &str) -> Vec<PathBuf> {
        if wanted.starts_with('/') {
            return vec![PathBuf::from(wanted)];
        }
        let mut found = Vec::new();
        for device in self.all() {
            let by_link = device.links.iter().any(|link| glob(wanted, link));
            if by_link || glob(wanted, &device.uniq) || glob(wanted, &device.name) {
                found.push((!by_link, device.node));
            }
        }
        found.sort();
        found.into_iter().map(|(_, node)| node).collect()
    }

    /// Every input device, by node.
    pub fn all(&self) -> Vec<InputDevice> {
        let mut links: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
        for folder in ["by-id", "by-path"] {
            let mut names: Vec<PathBuf> = entries(&self.dev.join(folder));
            names.sort();
            for link in names {
                if let (Ok(node), Some(name)) = (link.canonicalize(), file_name(&link)) {
                    links.entry(node).or_default().push(name);
                }
            }
        }
        let mut nodes = entries(&self.dev);
        nodes.retain(|node| file_name(node).is_some_and(|n| n.starts_with("event")));
        nodes.sort();
        nodes
            .into_iter()
            .map(|node| {
                let about = self
                    .sys
                    .join(file_name(&node).unwrap_or_default())
                    .join("device");
                let text = |file: &str| read_line(&about.join(file));
                InputDevice {
                    name: text("name"),
                    uniq: text("uniq"),
                    keyboard: is_keyboard(&text("capabilities/key")),
                    links: node
                        .canonicalize()
                        .ok()
                        .and_then(|node| links.remove(&node))
                        .unwrap_or_default(),
                    node,
                }
            })
            .collect()
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .flatten()
        .take(MOST)
        .map(|entry| entry.path())
        .collect()
}

fn file_name(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_string_lossy().into_owned())
}

fn read_line(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.trim_end_matches('\n').chars().take(256).collect()
}

/// The key bitmap of sysfs, words of 64 bits, highest first: KEY_1 … KEY_0 and KEY_ENTER.
fn is_keyboard(bitmap: &str) -> bool {
    let lowest = bitmap.split_ascii_whitespace().next_back();
    let Some(word) = lowest.and_then(|word| u64::from_str_radix(word, 16).ok()) else {
        return false;
    };
    let wanted: u64 = (2..=11).map(|key| 1 << key).sum::<u64>() | 1 << 28;
    word & wanted == wanted
}

/// `*` any text, `?` one character; an empty text fits nothing. Linear in both for each star.
pub fn glob(pattern: &str, text: &str) -> bool {
    if text.is_empty() {
        return false;
    }
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn globs_fit_whole_names_only() {
        for (pattern, text, fits) in [
            (
                "usb-Honeywell_*-event-kbd",
                "usb-Honeywell_Voyager_1450g_16123B0001-event-kbd",
                true,
            ),
            (
                "usb-Honeywell_*-event-kbd",
                "usb-Honeywell_Voyager-event-mouse",
                false,
            ),
            ("*", "", false),
            ("", "", false),
            ("?b*", "ab", true),
            ("*a*a*", "banana", true),
            ("b*n", "banana", false),
            ("aa:bb:cc", "aa:bb:cc", true),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn a_scanner_is_found_by_its_link_its_serial_number_or_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let places = machine(dir.path());
        let node = |n: u8| places.dev.join(format!("event{n}"));
        assert_eq!(places.matching("usb-Acme_*-event-kbd"), [node(1), node(2)]);
        assert_eq!(places.matching("A2"), [node(2)]);
        assert_eq!(places.matching("Acme Scanner"), [node(1), node(2)]);
        assert_eq!(
            places.matching("/dev/input/event9"),
            [PathBuf::from("/dev/input/event9")]
        );
        assert!(places.matching("usb-Nobody*").is_empty());
        let all = places.all();
        assert_eq!(
            all.iter()
                .map(|d| (d.keyboard, d.pattern()))
                .collect::<Vec<_>>(),
            [
                (false, node(0).display().to_string()),
                (true, "usb-Acme_Scanner_A1-event-kbd".to_owned()),
                (true, "usb-Acme_Scanner_A2-event-kbd".to_owned()),
            ]
        );
    }

    /// A mouse and two scanners of one make, as udev and sysfs show them.
    #[expect(
        clippy::disallowed_methods,
        reason = "nothing here must survive a power cut"
    )]
    fn machine(root: &Path) -> Places {
        let places = Places {
            dev: root.join("input"),
            sys: root.join("class"),
        };
        std::fs::create_dir_all(places.dev.join("by-id")).unwrap();
        let keyboard = "10000 7 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe";
        for (n, name, uniq, keys) in [
            (0, "Mouse", "", "70000 0 0 0 0"),
            (1, "Acme Scanner", "A1", keyboard),
            (2, "Acme Scanner", "A2", keyboard),
        ] {
            let node = places.dev.join(format!("event{n}"));
            std::fs::write(&node, "").unwrap();
            let about = places.sys.join(format!("event{n}/device"));
            std::fs::create_dir_all(about.join("capabilities")).unwrap();
            std::fs::write(about.join("name"), format!("{name}\n")).unwrap();
            std::fs::write(about.join("uniq"), format!("{uniq}\n")).unwrap();
            std::fs::write(about.join("capabilities/key"), keys).unwrap();
            if n > 0 {
                let link = format!("by-id/usb-Acme_Scanner_{uniq}-event-kbd");
                std::os::unix::fs::symlink(&node, places.dev.join(link)).unwrap();
            }
        }
        places
    }

    proptest! {
        #[test]
        fn a_glob_made_of_the_text_fits_it(text in "[a-z0-9_-]{1,30}", cut in 0_usize..30) {
            let cut = cut.min(text.len());
            prop_assert!(glob(&text, &text));
            let pattern = format!("{}*", &text[..cut]);
            prop_assert!(glob(&pattern, &text));
            let longer = format!("{text}x");
            prop_assert!(!glob(&longer, &text));
        }
    }
}
