//! A reader of Prometheus' text format (version 0.0.4), written from its description alone, and stricter
//! than Prometheus: every sample has its HELP and TYPE before it, families are not mixed, no sample
//! comes twice, histograms add up.

use std::collections::{BTreeMap, BTreeSet};

/// What was read: value by name and labels, in the order of their names.
#[derive(Debug, Default)]
pub struct Exposition {
    pub samples: BTreeMap<(String, BTreeMap<String, String>), f64>,
    pub types: BTreeMap<String, String>,
}

impl Exposition {
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut read = Self::default();
        let mut helped = BTreeSet::new();
        let mut closed: BTreeSet<String> = BTreeSet::new();
        let mut family = String::new();
        if !text.ends_with('\n') {
            return Err("the last line has no end".to_owned());
        }
        for line in text.lines() {
            let wrong = |why: &str| Err(format!("{why}: {line}"));
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
                if help.is_empty() || !helped.insert(name.to_owned()) {
                    return wrong("no help, or twice");
                }
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let Some((name, kind)) = rest.split_once(' ') else {
                    return wrong("a type without a word");
                };
                if !["counter", "gauge", "histogram"].contains(&kind) {
                    return wrong("an unknown type");
                }
                closed.insert(std::mem::replace(&mut family, name.to_owned()));
                if closed.contains(name) || !helped.contains(name) {
                    return wrong("a family twice, or without help");
                }
                read.types.insert(name.to_owned(), kind.to_owned());
            } else if line.starts_with('#') || line.is_empty() {
                return wrong("neither HELP, TYPE nor a sample");
            } else {
                let (name, labels, value) = sample(line).ok_or(format!("no sample: {line}"))?;
                let is_histogram = read.types.get(&family).is_some_and(|t| t == "histogram");
                let of_family = name == family
                    || is_histogram
                        && ["_bucket", "_sum", "_count"]
                            .iter()
                            .any(|end| name == format!("{family}{end}"));
                if !of_family {
                    return wrong("a sample outside its family");
                }
                if read.samples.insert((name, labels), value).is_some() {
                    return wrong("a sample twice");
                }
            }
        }
        read.histograms()?;
        Ok(read)
    }

    /// The value of a sample.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        self.samples.get(&(name.to_owned(), labels)).copied()
    }

    /// Buckets grow, and the last is the count.
    fn histograms(&self) -> Result<(), String> {
        for (name, _) in self.types.iter().filter(|(_, kind)| *kind == "histogram") {
            let mut series: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> = BTreeMap::new();
            for ((sample, labels), value) in &self.samples {
                if *sample == format!("{name}_bucket") {
                    let mut rest = labels.clone();
                    let le = rest.remove("le").ok_or(format!("{name}: no le"))?;
                    let le = number(&le).ok_or(format!("{name}: le {le}"))?;
                    series.entry(rest).or_default().push((le, *value));
                }
            }
            for (labels, mut buckets) in series {
                buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
                let grows = buckets.windows(2).all(|w| w[0].1 <= w[1].1);
                let last = buckets.last().copied().unwrap_or_default();
                let count = self.samples.get(&(format!("{name}_count"), labels.clone()));
                let sum = self.samples.get(&(format!("{name}_sum"), labels));
                if !grows || last.0 != f64::INFINITY || count != Some(&last.1) || sum.is_none() {
                    return Err(format!("{name} does not add up: {buckets:?} {count:?}"));
                }
            }
        }
        Ok(())
    }
}

type Sample = (String, BTreeMap<String, String>, f64);

fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let name = &line[..end];
    let valid = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let mut labels = BTreeMap::new();
    let mut rest = &line[end..];
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let (label, after) = rest.split_once("=\"")?;
            let mut value = String::new();
            let mut chars = after.char_indices();
            let close = loop {
                let (at, c) = chars.next()?;
                match c {
                    '"' => break at,
                    '\\' => match chars.next()?.1 {
                        'n' => value.push('\n'),
                        c @ ('\\' | '"') => value.push(c),
                        _ => return None,
                    },
                    c => value.push(c),
                }
            };
            if !valid(label) || labels.insert(label.to_owned(), value).is_some() {
                return None;
            }
            rest = &after[close + 1..];
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
    }
    let value = number(rest.strip_prefix(' ')?)?;
    valid(name).then(|| (name.to_owned(), labels, value))
}

fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        text => text.parse().ok(),
    }
}
