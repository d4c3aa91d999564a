//! Alerts for those who have no Prometheus: what is wrong for too long, told once and called off once.
//!
//! Pure: [`Watch::look`] takes what is so and the time, and says what to tell. The runtime keeps the
//! watch in a file and posts the notices.
//!
//! Invariant: between two "raised" of the same alert and subject there is one "cleared". A subject is a
//! printer, a bench, a mark of the quota; it never names an order or a person.

use crate::domain::{Code, Moment, Mono, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long pushes, or the card, may be in trouble before anybody is told.
const PATIENCE: Duration = Duration::from_secs(600);
/// Per cent of the quota.
const MARKS: [u64; 2] = [80, 95];

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Another bench of the site does not answer.
    BenchSilent,
    /// A printer cannot print.
    PrinterDown,
    /// A tracking number has been owed for too long.
    WritebackOld,
    /// Sale orders do not get into Starshipit.
    PushFailing,
    /// The card, or what is kept on it.
    CardFailing,
    /// The labels of the month are running out.
    LabelQuota,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::BenchSilent,
        Self::PrinterDown,
        Self::WritebackOld,
        Self::PushFailing,
        Self::CardFailing,
        Self::LabelQuota,
    ];

    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BenchSilent => "bench-silent",
            Self::PrinterDown => "printer-down",
            Self::WritebackOld => "writeback-old",
            Self::PushFailing => "push-failing",
            Self::CardFailing => "card-failing",
            Self::LabelQuota => "label-quota",
        }
    }
}

/// How long is too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A bench that does not answer.
    pub bench_silent: Duration,
    /// A printer that cannot print.
    pub printer_down: Duration,
    /// A tracking number that is owed.
    pub writeback_old: Duration,
    /// Labels a month; 0: nobody counts.
    pub label_quota: u64,
    /// Something must be well for so long before its alert is called off: a printer that comes and
    /// goes is one alert.
    pub calm: Duration,
}

/// What is so now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Benches that did not answer when they were last asked.
    pub silent: Vec<String>,
    /// Printers that cannot print, and why.
    pub down: Vec<(String, Code)>,
    /// Since when the oldest tracking number is owed.
    pub oldest: Option<Timestamp>,
    /// Why sale orders do not get into Starshipit.
    pub push: Option<String>,
    /// What is wrong with card and ledger.
    pub card: Option<String>,
    /// Parcels bought in this month.
    pub bought: u64,
}

/// What an alert is about, and which of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct About {
    kind: Kind,
    subject: String,
}

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Names it: the same however often it is sent.
    pub id: String,
    /// Which alert.
    pub alert: Kind,
    /// Which printer, bench or mark; empty where there is only one.
    pub subject: String,
    /// `raised` or `cleared`.
    pub state: NoticeState,
    /// Since when it is so, or was.
    pub since: Timestamp,
    /// When this was noticed.
    pub at: Timestamp,
    /// A sentence for people.
    pub text: String,
}

/// Whether an alert comes or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeState {
    /// It is so.
    Raised,
    /// It is not so any more.
    Cleared,
}

/// An alert that was told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Raised {
    since: Timestamp,
    text: String,
}

/// What was seen and told so far.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    raised: BTreeMap<About, Raised>,
    /// Since when something has been so, or not so any more, without a break.
    lasting: BTreeMap<About, (bool, Mono, Timestamp)>,
}

/// What of a [`Watch`] outlives a restart: what was raised is called off by whoever sees it well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept(Vec<(About, Raised)>);

impl Watch {
    /// Goes on from what was kept.
    pub fn from_kept(kept: Kept) -> Self {
        Self {
            raised: kept.0.into_iter().collect(),
            lasting: BTreeMap::new(),
        }
    }

    /// What to keep.
    pub fn kept(&self) -> Kept {
        let all = self.raised.iter();
        Kept(all.map(|(a, r)| (a.clone(), r.clone())).collect())
    }

    /// The alerts that are raised.
    pub fn raised(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = self.raised.keys().map(|about| about.kind).collect();
        kinds.dedup();
        kinds
    }

    /// Looks at what is so, and says what is new.
    pub fn look(&mut self, facts: &Facts, settings: &Settings, now: Moment) -> Vec<Notice> {
        let so = conditions(facts, settings, now.wall);
        let mut notices = Vec::new();
        for (about, (patience, text)) in &so {
            let (_, since, wall) = self.lasts(about, true, now);
            if now.mono.since(since) < *patience || self.raised.contains_key(about) {
                continue;
            }
            let raised = Raised {
                since: wall,
                text: text.clone(),
            };
            notices.push(notice(about, NoticeState::Raised, &raised, now.wall));
            self.raised.insert(about.clone(), raised);
        }
        let well: Vec<About> = self
            .raised
            .keys()
            .filter(|about| !so.contains_key(about))
            .cloned()
            .collect();
        for about in well {
            let (_, since, _) = self.lasts(&about, false, now);
            if now.mono.since(since) < settings.calm {
                continue;
            }
            if let Some(raised) = self.raised.remove(&about) {
                notices.push(notice(&about, NoticeState::Cleared, &raised, now.wall));
            }
        }
        self.lasting.retain(|about, (is_so, ..)| {
            *is_so && so.contains_key(about) || !*is_so && self.raised.contains_key(about)
        });
        notices
    }

    /// Since when it has been like this.
    fn lasts(&mut self, about: &About, is_so: bool, now: Moment) -> (bool, Mono, Timestamp) {
        let fresh = (is_so, now.mono, now.wall);
        let entry = self.lasting.entry(about.clone()).or_insert(fresh);
        if entry.0 != is_so {
            *entry = fresh;
        }
        *entry
    }
}

fn notice(about: &About, state: NoticeState, raised: &Raised, at: Timestamp) -> Notice {
    let word = match state {
        NoticeState::Raised => "raised",
        NoticeState::Cleared => "cleared",
    };
    // Stands in a header.
    let subject: String = about
        .subject
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    Notice {
        id: format!(
            "{}.{subject}.{}.{word}",
            about.kind.as_str(),
            raised.since.0
        ),
        alert: about.kind,
        subject: about.subject.clone(),
        state,
        since: raised.since,
        at,
        text: raised.text.clone(),
    }
}

/// What is wrong, how long it may be so, and in words.
fn conditions(
    facts: &Facts,
    settings: &Settings,
    now: Timestamp,
) -> BTreeMap<About, (Duration, String)> {
    let mut all = BTreeMap::new();
    let mut add = |kind: Kind, subject: &str, patience: Duration, text: String| {
        let about = About {
            kind,
            subject: subject.to_owned(),
        };
        all.insert(about, (patience, text));
    };
    for bench in &facts.silent {
        let text = format!("The bench at {bench} does not answer.");
        add(Kind::BenchSilent, bench, settings.bench_silent, text);
    }
    for (printer, code) in &facts.down {
        let words = code.explain();
        let text = format!("{printer}: {} {}", words.happened, words.you);
        add(Kind::PrinterDown, printer, settings.printer_down, text);
    }
    if facts
        .oldest
        .is_some_and(|since| now.since(since) >= settings.writeback_old)
    {
        let text = "A tracking number has not reached its place for too long; \
                    `printstation writebacks` shows it.";
        add(Kind::WritebackOld, "", Duration::ZERO, text.to_owned());
    }
    if let Some(why) = &facts.push {
        let text = format!("Sale orders do not get into Starshipit: {why}");
        add(Kind::PushFailing, "", PATIENCE, text);
    }
    if let Some(why) = &facts.card {
        add(Kind::CardFailing, "", Duration::ZERO, why.clone());
    }
    if settings.label_quota > 0 {
        for mark in MARKS {
            let due = settings.label_quota.saturating_mul(mark).div_ceil(100);
            if facts.bought >= due {
                let text = format!(
                    "{mark} % of this month's {} labels are used.",
                    settings.label_quota
                );
                add(Kind::LabelQuota, &mark.to_string(), Duration::ZERO, text);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SETTINGS: Settings = Settings {
        bench_silent: Duration::from_secs(600),
        printer_down: Duration::from_secs(600),
        writeback_old: Duration::from_secs(3600),
        label_quota: 1000,
        calm: Duration::from_secs(60),
    };

    fn at(seconds: u64) -> Moment {
        Moment {
            wall: Timestamp(1_800_000_000_000 + i64::try_from(seconds).unwrap() * 1000),
            mono: Mono(seconds * 1000),
        }
    }

    fn told(notices: &[Notice]) -> Vec<(&'static str, &str, NoticeState)> {
        notices
            .iter()
            .map(|n| (n.alert.as_str(), n.subject.as_str(), n.state))
            .collect()
    }

    fn down() -> Facts {
        Facts {
            down: vec![("label".to_owned(), Code::PrinterMediaOut)],
            ..Facts::default()
        }
    }

    #[test]
    fn a_printer_is_told_of_after_ten_minutes_once_and_called_off_after_a_calm_minute_once() {
        let mut watch = Watch::default();
        let mut look = |facts: &Facts, s| watch.look(facts, &SETTINGS, at(s));
        assert_eq!(look(&down(), 0), []);
        assert_eq!(look(&down(), 599), []);
        let raised = look(&down(), 600);
        assert_eq!(
            told(&raised),
            [("printer-down", "label", NoticeState::Raised)]
        );
        assert!(raised[0].text.contains("no labels or ribbon"), "{raised:?}");
        assert_eq!(raised[0].since, at(0).wall);
        assert_eq!(look(&down(), 5_000), []);
        // A moment's relief is none.
        assert_eq!(look(&Facts::default(), 5_010), []);
        assert_eq!(look(&down(), 5_020), []);
        assert_eq!(look(&Facts::default(), 5_030), []);
        assert_eq!(look(&Facts::default(), 5_089), []);
        let cleared = look(&Facts::default(), 5_090);
        assert_eq!(
            told(&cleared),
            [("printer-down", "label", NoticeState::Cleared)]
        );
        assert_ne!(cleared[0].id, raised[0].id);
        assert_eq!(look(&Facts::default(), 9_000), []);
        // Down for five minutes, twice: ten minutes without a break are meant.
        assert_eq!(look(&down(), 10_000), []);
        assert_eq!(look(&Facts::default(), 10_300), []);
        assert_eq!(look(&down(), 10_301), []);
        assert_eq!(look(&down(), 10_700), []);
    }

    #[test]
    fn each_alert_has_its_condition_and_its_word() {
        let at_once = Facts {
            oldest: Some(at(0).wall),
            card: Some("The card is full.".to_owned()),
            bought: 800,
            ..Facts::default()
        };
        let now = at(3600);
        assert_eq!(
            told(&Watch::default().look(&at_once, &SETTINGS, now)),
            [
                ("writeback-old", "", NoticeState::Raised),
                ("card-failing", "", NoticeState::Raised),
                ("label-quota", "80", NoticeState::Raised),
            ]
        );
        assert_eq!(
            told(&Watch::default().look(&at_once, &SETTINGS, at(3599))).len(),
            2,
            "an hour is an hour"
        );
        let mut watch = Watch::default();
        let lasting = Facts {
            silent: vec!["http://bench-2.local:8631".to_owned()],
            push: Some("CartonCloud cannot be reached.".to_owned()),
            ..Facts::default()
        };
        assert_eq!(watch.look(&lasting, &SETTINGS, at(0)), []);
        let raised = watch.look(&lasting, &SETTINGS, at(600));
        assert_eq!(
            told(&raised),
            [
                (
                    "bench-silent",
                    "http://bench-2.local:8631",
                    NoticeState::Raised
                ),
                ("push-failing", "", NoticeState::Raised),
            ]
        );
        for notice in &raised {
            assert!(notice.id.is_ascii() && !notice.id.contains([' ', '/']));
        }
    }

    #[test]
    fn the_quota_is_told_of_at_80_and_at_95_per_cent_and_starts_anew_with_the_month() {
        let mut watch = Watch::default();
        let mut look = |bought, s| {
            let facts = Facts {
                bought,
                ..Facts::default()
            };
            let notices = watch.look(&facts, &SETTINGS, at(s));
            let marks = notices.iter().map(|n| n.subject.clone());
            marks.collect::<Vec<_>>()
        };
        assert_eq!(look(799, 0), [""; 0]);
        assert_eq!(look(800, 1), ["80"]);
        assert_eq!(look(949, 2), [""; 0]);
        assert_eq!(look(950, 3), ["95"]);
        assert_eq!(look(0, 10), [""; 0]);
        assert_eq!(look(0, 100), ["80", "95"]);
        assert_eq!(look(801, 200), ["80"]);
        let none = Settings {
            label_quota: 0,
            ..SETTINGS
        };
        let facts = Facts {
            bought: u64::MAX,
            ..Facts::default()
        };
        assert_eq!(Watch::default().look(&facts, &none, at(0)), []);
    }

    #[test]
    fn a_restart_neither_repeats_an_alert_nor_forgets_to_call_it_off() {
        let mut watch = Watch::default();
        watch.look(&down(), &SETTINGS, at(0));
        assert_eq!(watch.look(&down(), &SETTINGS, at(600)).len(), 1);
        let kept = serde_json::to_string(&watch.kept()).unwrap();
        let mut again = Watch::from_kept(serde_json::from_str(&kept).unwrap());
        assert_eq!(again.raised(), [Kind::PrinterDown]);
        // The clock without a battery starts anew.
        assert_eq!(again.look(&down(), &SETTINGS, at(0)), []);
        assert_eq!(again.look(&down(), &SETTINGS, at(700)), []);
        again.look(&Facts::default(), &SETTINGS, at(710));
        let cleared = again.look(&Facts::default(), &SETTINGS, at(800));
        assert_eq!(
            told(&cleared),
            [("printer-down", "label", NoticeState::Cleared)]
        );
    }

    proptest! {
        #[test]
        fn raised_and_cleared_take_turns(steps in prop::collection::vec((any::<[bool; 6]>(), 1_u64..2_000, any::<bool>()), 1..80)) {
            let mut watch = Watch::default();
            let mut last: BTreeMap<(Kind, String), NoticeState> = BTreeMap::new();
            let mut second = 0;
            for (so, pause, restart) in steps {
                second += pause;
                if restart {
                    watch = Watch::from_kept(watch.kept());
                }
                let some = |n: usize, text: &str| so[n].then(|| text.to_owned());
                let facts = Facts {
                    silent: some(0, "peer").into_iter().collect(),
                    down: some(1, "label").into_iter().map(|p| (p, Code::PrinterOffline)).collect(),
                    oldest: so[2].then(|| at(second.saturating_sub(4_000)).wall),
                    push: some(3, "why"),
                    card: some(4, "why"),
                    bought: if so[5] { 2_000 } else { 0 },
                };
                for notice in watch.look(&facts, &SETTINGS, at(second)) {
                    let before = last.insert((notice.alert, notice.subject.clone()), notice.state);
                    prop_assert_ne!(before.unwrap_or(NoticeState::Cleared), notice.state);
                }
            }
        }
    }
}
