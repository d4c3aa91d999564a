//! Edges of a button to presses: the pure part. Time is passed in.
//!
//! A press counts when the button goes down; with a long press configured, when it comes up again
//! before that. Held at start it never counts. After a press the button rests a second: whoever
//! hammers it means one act. Held for half a minute it is stuck, which is said once.

use std::time::Duration;

/// After a gesture, presses are ignored for so long.
pub const REST: Duration = Duration::from_secs(1);
/// Held longer than this: stuck, or a wire touches another.
pub const STUCK: Duration = Duration::from_secs(30);

/// What a hand did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gesture {
    /// Pressed.
    Press,
    /// Pressed for long.
    Long,
}

/// What came of time or an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Gesture(Gesture),
    /// Held for [`STUCK`].
    Stuck,
    /// Let go after that.
    Freed,
}

/// One button.
#[derive(Debug)]
pub(super) struct Button {
    debounce: Duration,
    long: Option<Duration>,
    /// The line as last heard, and as believed.
    raw: bool,
    down: bool,
    /// No edge has been heard: the level at start needs no time to settle.
    fresh: bool,
    /// When the belief last changed.
    since: Duration,
    /// This hold may still be a gesture.
    counts: bool,
    stuck: bool,
    rests_until: Duration,
}

impl Button {
    /// `held`: it is down now, at time `at`.
    pub(super) fn new(
        debounce: Duration,
        long: Option<Duration>,
        held: bool,
        at: Duration,
    ) -> Self {
        Self {
            debounce,
            long,
            raw: held,
            down: held,
            fresh: true,
            since: at,
            counts: false,
            stuck: false,
            rests_until: Duration::ZERO,
        }
    }

    /// When [`Button::tick`] is due, if no edge comes before.
    pub(super) fn due(&self) -> Option<Duration> {
        if self.raw != self.down {
            return Some(self.since + self.debounce);
        }
        if !self.down {
            return None;
        }
        let long = self
            .long
            .filter(|_| self.counts)
            .map(|long| self.since + long);
        long.or((!self.stuck).then_some(self.since + STUCK))
    }

    /// The line changed.
    pub(super) fn edge(&mut self, down: bool, at: Duration, out: &mut Vec<Said>) {
        self.tick(at, out);
        self.raw = down;
        let settled = std::mem::take(&mut self.fresh) || at >= self.since + self.debounce;
        if self.raw != self.down && settled {
            self.believe(down, at, out);
        }
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, at: Duration, out: &mut Vec<Said>) {
        if self.raw != self.down && at >= self.since + self.debounce {
            let settled = self.since + self.debounce;
            self.believe(self.raw, settled, out);
        }
        if !self.down {
            return;
        }
        if let Some(long) = self.long
            && self.counts
            && at >= self.since + long
        {
            self.gesture(Gesture::Long, self.since + long, out);
        }
        if !self.stuck && at >= self.since + STUCK {
            self.stuck = true;
            self.counts = false;
            out.push(Said::Stuck);
        }
    }

    fn believe(&mut self, down: bool, at: Duration, out: &mut Vec<Said>) {
        let held = at.saturating_sub(self.since);
        self.down = down;
        self.since = at;
        if down {
            self.counts = at >= self.rests_until;
            if self.counts && self.long.is_none() {
                self.gesture(Gesture::Press, at, out);
            }
            return;
        }
        if std::mem::take(&mut self.stuck) {
            out.push(Said::Freed);
        }
        if self.counts {
            let long = self.long.is_some_and(|long| held >= long);
            let gesture = if long { Gesture::Long } else { Gesture::Press };
            self.gesture(gesture, at, out);
        }
    }

    fn gesture(&mut self, gesture: Gesture, at: Duration, out: &mut Vec<Said>) {
        self.counts = false;
        self.rests_until = at + REST;
        out.push(Said::Gesture(gesture));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    const LONG: Option<Duration> = Some(Duration::from_millis(1500));

    /// Edges at milliseconds, a tick each millisecond.
    fn play(button: &mut Button, edges: &[(u64, bool)], until: u64) -> Vec<(u64, Said)> {
        let mut all = Vec::new();
        for now in 0..=until {
            let mut out = Vec::new();
            for (_, down) in edges.iter().filter(|(at, _)| *at == now) {
                button.edge(*down, ms(now), &mut out);
            }
            button.tick(ms(now), &mut out);
            all.extend(out.into_iter().map(|said| (now, said)));
        }
        all
    }

    fn button(long: Option<Duration>) -> Button {
        Button::new(ms(20), long, false, Duration::ZERO)
    }

    const PRESS: Said = Said::Gesture(Gesture::Press);
    const LONG_PRESS: Said = Said::Gesture(Gesture::Long);

    #[test]
    fn held_at_start_it_never_counts_until_it_was_let_go() {
        let mut held = Button::new(ms(20), LONG, true, Duration::ZERO);
        assert_eq!(play(&mut held, &[(5000, false)], 10_000), []);
        let mut held = Button::new(ms(20), LONG, true, Duration::ZERO);
        let said = play(
            &mut held,
            &[(100, false), (2000, true), (2100, false)],
            5000,
        );
        assert_eq!(said, [(2100, PRESS)]);
    }

    #[test]
    fn a_stuck_button_is_said_once_and_does_nothing() {
        for long in [None, LONG] {
            let mut held = Button::new(ms(20), long, true, Duration::ZERO);
            let said = play(&mut held, &[(70_000, false)], 80_000);
            assert_eq!(said, [(30_000, Said::Stuck), (70_000, Said::Freed)]);
        }
        let said = play(&mut button(LONG), &[(100, true), (40_000, false)], 50_000);
        assert_eq!(
            said,
            [
                (1600, LONG_PRESS),
                (30_100, Said::Stuck),
                (40_000, Said::Freed)
            ]
        );
    }

    #[test]
    fn a_plain_press_counts_at_once_and_hammering_is_one_act() {
        let edges: Vec<(u64, bool)> = (0..8)
            .flat_map(|n| [(100 + n * 120, true), (160 + n * 120, false)])
            .collect();
        assert_eq!(play(&mut button(None), &edges, 2000), [(100, PRESS)]);
        let later = [(100, true), (160, false), (1101, true), (1160, false)];
        assert_eq!(
            play(&mut button(None), &later, 2000),
            [(100, PRESS), (1101, PRESS)]
        );
    }

    #[test]
    fn a_long_press_counts_while_held_and_a_short_one_when_let_go() {
        let said = play(&mut button(LONG), &[(100, true), (300, false)], 3000);
        assert_eq!(said, [(300, PRESS)]);
        let said = play(&mut button(LONG), &[(100, true), (2500, false)], 4000);
        assert_eq!(said, [(1600, LONG_PRESS)]);
    }

    #[test]
    fn contacts_that_bounce_give_one_press_and_end_in_the_true_state() {
        let edges = [
            (100, true),
            (101, false),
            (102, true),
            (104, false),
            (105, true),
            (300, false),
            (301, true),
            (303, false),
        ];
        assert_eq!(play(&mut button(None), &edges, 3000), [(100, PRESS)]);
        assert_eq!(play(&mut button(LONG), &edges, 3000), [(300, PRESS)]);
        // Up again within the bounce: the release is believed when the line has settled.
        let short = [(100, true), (110, false)];
        assert_eq!(play(&mut button(LONG), &short, 5000), [(120, PRESS)]);
    }

    #[test]
    fn edges_that_come_late_are_judged_by_when_they_happened() {
        let mut late = button(LONG);
        let mut out = Vec::new();
        late.edge(true, ms(100), &mut out);
        late.edge(false, ms(300), &mut out);
        assert_eq!(out, [PRESS]);
        let mut late = button(LONG);
        out.clear();
        late.edge(true, ms(100), &mut out);
        late.edge(false, ms(2000), &mut out);
        assert_eq!(out, [LONG_PRESS]);
    }

    proptest! {
        #[test]
        fn no_sequence_of_edges_gives_more_acts_than_presses_or_two_within_a_second(
            steps in prop::collection::vec((0_u64..3000, any::<bool>()), 0..60),
            long in any::<bool>(),
            held in any::<bool>(),
        ) {
            let mut button = Button::new(ms(20), LONG.filter(|_| long), held, Duration::ZERO);
            let (mut now, mut level, mut presses) = (0, held, 0);
            let mut acts: Vec<u64> = Vec::new();
            for (wait, down) in steps {
                now += wait;
                presses += usize::from(down && !level);
                level = down;
                let mut out = Vec::new();
                button.edge(down, ms(now), &mut out);
                acts.extend(out.iter().filter(|s| matches!(s, Said::Gesture(_))).map(|_| now));
            }
            prop_assert!(acts.len() <= presses);
            prop_assert!(button.due().is_none_or(|due| due >= Duration::ZERO));
        }
    }
}
