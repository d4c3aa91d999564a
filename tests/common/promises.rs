//! What must hold when everything has come to rest: the promises P1 to P6 of product.md.

use super::{PREFIX, Paper, World};
use printstation::domain::writeback::is_due;
use printstation::domain::{OrderId, PageRole, PageState, State, WritebackState};
use printstation::station::Verify;
use std::collections::BTreeMap;
use std::time::Duration;

impl World {
    /// Healthy devices, an honest person and enough time: everything must come to its end.
    pub fn finish(&mut self) {
        self.disturbed = true;
        self.crash_after = None;
        self.heal();
        self.run();
        for round in 0..40 {
            self.wait(Duration::from_secs(if round == 0 { 5 } else { 60 }));
            if self.settled() && round > 0 {
                return;
            }
            self.command("RESUME");
            self.answer_doubts();
        }
        panic!(
            "with healthy devices it does not drain: {:?}, open acts {:?}, orders {:?}",
            self.station.glance(),
            self.acts_open(),
            self.memory
                .orders()
                .map(|o| (
                    &o.number,
                    o.order_id,
                    o.state(),
                    o.standing,
                    &o.intent,
                    o.tracking()
                ))
                .collect::<Vec<_>>()
        );
    }

    pub fn heal(&mut self) {
        self.cloud.down = false;
        self.cloud.plan.clear();
        self.cloud.keyless.clear();
        self.cloud.cc_down = false;
        self.cloud.cc_keyless = false;
        self.sinks.down = false;
        self.sinks.plan.clear();
        self.memory.full = false;
        self.memory.no_new_orders = false;
        for printer in self.printers.values_mut() {
            printer.trouble = None;
            printer.plan.clear();
        }
        self.cloud.show_numbers();
    }

    fn settled(&self) -> bool {
        let glance = self.station.glance();
        glance.working == 0
            && glance.queued == 0
            && self.replies_waiting() == 0
            && self.acts_open().is_empty()
            && !self.memory.orders().any(|o| moving(o.state()))
            && self
                .memory
                .orders()
                .all(|o| o.live().all(|s| !s.tracking.is_empty()))
            && !self
                .memory
                .orders()
                .any(|o| o.writebacks.iter().any(|job| is_due(o, job.n)))
    }

    /// What was printed has its numbers in every sink, once, and in no other order's place.
    fn check_writebacks(&self) {
        for order in self.memory.orders() {
            let set = order.tracking();
            for job in &order.writebacks {
                if job.state == WritebackState::Done && job.tracking == set && !job.overwrite {
                    let key = (order.id.clone(), job.sink.clone());
                    let stands = self.sinks.stands.get(&key);
                    let theirs = order.deeds.iter().any(|d| d.what.ends_with("keep theirs"));
                    assert!(
                        stands == Some(&set) || theirs,
                        "{} calls {set:?} written to {}: {stands:?}",
                        order.id,
                        job.sink
                    );
                }
                assert!(
                    order.state() != State::Printed || job.state != WritebackState::Waiting,
                    "{} is printed and its number waits",
                    order.id
                );
                assert!(!is_due(order, job.n), "{} never ends", job.sink);
            }
        }
        for ((id, sink), stands) in &self.sinks.stands {
            let order = self.memory.order(id);
            for number in stands.iter().filter(|n| n.starts_with("TRK")) {
                assert!(
                    order.is_some_and(|o| o.shipments.iter().any(|s| s.tracking.contains(number))),
                    "{number} stands in {id} ({sink}) and is not its own"
                );
            }
        }
        let mut made: BTreeMap<&str, usize> = BTreeMap::new();
        for (uuid, _) in &self.cloud.creates {
            *made.entry(uuid).or_default() += 1;
        }
        for (uuid, times) in made {
            assert!(
                times <= 1,
                "{uuid} was made a Starshipit order {times} times"
            );
        }
    }

    /// A person looks at the paper and answers what the station cannot know.
    fn answer_doubts(&mut self) {
        let doubtful: Vec<(OrderId, Vec<(i64, usize)>)> = self
            .memory
            .orders()
            .filter(|o| o.state() == State::InDoubt)
            .map(|o| {
                let pages = o
                    .live()
                    .flat_map(|s| {
                        s.pages
                            .iter()
                            .enumerate()
                            .map(move |(n, p)| (s.order_id, n, p))
                    })
                    .filter(|(_, _, p)| p.state == PageState::InDoubt && p.role == PageRole::Label)
                    .map(|(id, n, _)| (id, n))
                    .collect();
                (o.id.clone(), pages)
            })
            .collect();
        for (id, pages) in doubtful {
            let out = pages.iter().all(|(order_id, page)| {
                self.paper.iter().any(|p| {
                    matches!(p, Paper::Page { order_id: o, page: n, .. } if o == order_id && n == page)
                })
            });
            if self.settings.verify == Verify::Strict {
                // Nobody is there to scan the label that came out last.
                self.scan_at("checker", &format!("{PREFIX}CANCEL"));
            }
            self.scan_at("checker", &format!("{PREFIX}ORDER-{id}"));
            if out {
                self.scan_at("checker", &format!("{PREFIX}YES"));
            } else {
                let asked = self.asked.clone();
                self.scan_at("checker", &format!("{PREFIX}REPRINT"));
                // The truth about a page that did not come out allows no second copy.
                self.asked = asked;
                self.armed.remove("checker");
            }
            self.advance(Duration::from_secs(2));
        }
    }

    /// P1, P2, P4 and "nothing vanishes", once everything is at rest.
    pub fn check_promises(&self) {
        self.check_writebacks();
        let mut families: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for ((account, _), order) in &self.cloud.orders {
            let sold = self
                .cloud
                .sales
                .iter()
                .filter(|(_, id)| *id == order.remote.order_id)
                .count();
            assert!(
                sold <= 1,
                "P1: {} was bought {sold} times as {}",
                order.remote.number,
                order.remote.order_id
            );
            *families
                .entry((account.as_str(), &order.remote.number))
                .or_default() += sold;
            if sold > 0 {
                // P2: what was sold to this station has its number in the ledger.
                let known = self
                    .memory
                    .orders()
                    .flat_map(|o| &o.shipments)
                    .find(|s| s.order_id == order.remote.order_id)
                    .unwrap_or_else(|| {
                        panic!(
                            "{} was sold and is not in the ledger",
                            order.remote.order_id
                        )
                    });
                for number in order.remote.tracking.iter().filter(|_| !known.superseded) {
                    assert!(
                        known.tracking.contains(number),
                        "P2: {number} is not in the ledger"
                    );
                }
            }
        }
        for ((account, number), sold) in families {
            let asked = self
                .asked
                .get(number)
                .copied()
                .unwrap_or_default()
                .purchases;
            assert!(
                sold <= 1 + asked,
                "P1: {sold} consignments for {account}/{number}, {asked} more asked for"
            );
        }
        let mut pages: BTreeMap<(i64, usize), (usize, &str)> = BTreeMap::new();
        for paper in &self.paper {
            if let Paper::Page {
                order_id,
                page,
                job,
                ..
            } = paper
            {
                pages
                    .entry((*order_id, *page))
                    .or_insert((0, &job.number))
                    .0 += 1;
            }
        }
        for ((order_id, page), (times, number)) in &pages {
            let asked = self
                .asked
                .get(*number)
                .copied()
                .unwrap_or_default()
                .reprints;
            assert!(
                *times <= 1 + asked,
                "P4: page {page} of {number} ({order_id}) came out {times} times, {asked} REPRINTs"
            );
        }
        for order in self.memory.orders() {
            for shipment in &order.shipments {
                for (n, page) in shipment.pages.iter().enumerate() {
                    if matches!(page.state, PageState::Printed(_)) {
                        assert!(
                            pages.contains_key(&(shipment.order_id, n))
                                || self.vouched.contains(&(shipment.order_id, n)),
                            "P4: page {n} of {} is called printed and never came out",
                            order.number
                        );
                    }
                }
            }
        }
        assert!(
            self.open_tokens.is_empty(),
            "nobody answered {:?}",
            self.open_tokens
        );
    }
}

/// Something is still on its way by itself.
fn moving(state: State) -> bool {
    matches!(
        state,
        State::Buying
            | State::Pushing
            | State::Replacing
            | State::Cloning
            | State::Printing
            | State::WaitingPrinter
            | State::Queued
            | State::InDoubt
    )
}
