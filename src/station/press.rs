//! A hand on a button: what a press means (product.md section 3, contract 13).
//!
//! A button has no context of its own: it uses the bench's newest one. It may say YES to "labelled
//! elsewhere" and to "confirm"; never to a page in doubt, to REDO or to CLOSE-DAY. Where orders are
//! armed by their scan, it ships the armed one. With nothing open it ships the next order waiting at
//! this bench (`next.rs`), or finds nothing waiting.

use super::context::LastOrder;
use super::{Effect, QuestionKind, ScanMode, Station, Token};
use crate::domain::{
    ActKind, Code, Command, Moment, Outcome, ScanReply, ScanText, Signal, Source, State,
};

/// What a press of a button is configured to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Press {
    /// The main act: ship what is armed, answer a harmless question.
    Dispatch,
    /// The last label of the bench again.
    ReprintLast,
    /// YES to a harmless question.
    Yes,
    /// CANCEL.
    Cancel,
    /// PAUSE, or RESUME when paused.
    Pause,
    /// A test label.
    Test,
    /// Ship the next order waiting at this bench, whatever is asked.
    Next,
}

impl Station {
    pub(super) fn pressed(
        &mut self,
        token: Option<Token>,
        button: &str,
        press: Press,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        // Whose command it is: the newest context's. A bench where nothing has happened yet has none.
        let newest = self.newest_source();
        let nobody = newest.is_none();
        let source = newest.unwrap_or_else(|| Source {
            trigger: button.to_owned(),
            user: None,
        });
        let text = self.as_command(&Command::Yes);
        match press {
            Press::Next => {
                if !self.press_next(token, button, &source, &text, out) {
                    self.nothing_waiting(token, source, text, out);
                }
            }
            Press::Dispatch if nobody => {
                if !self.press_next(token, button, &source, &text, out) {
                    self.nothing_waiting(token, source, text, out);
                }
            }
            Press::ReprintLast if nobody => self.nothing_waiting(token, source, text, out),
            Press::Dispatch | Press::Yes => self.press_yes(token, button, press, source, now, out),
            Press::ReprintLast => self.press_reprint(token, source, now, out),
            Press::Cancel => {
                let text = self.as_command(&Command::Cancel);
                self.cancel_pending(token, text, source, now, out);
            }
            Press::Pause => {
                let pause = !self.paused;
                let command = if pause {
                    Command::Pause
                } else {
                    Command::Resume
                };
                let text = self.as_command(&command);
                self.pause_or_resume(token, pause, text, source, now, out);
            }
            Press::Test => {
                let text = self.as_command(&Command::Test);
                self.ticket_for(token, &Command::Test, text, source, out);
            }
        }
    }

    fn press_yes(
        &mut self,
        token: Option<Token>,
        button: &str,
        press: Press,
        source: Source,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let text = self.as_command(&Command::Yes);
        let question = self.context(&source, now).question.as_ref();
        let harmless = question.map(|question| match &question.kind {
            QuestionKind::Elsewhere => true,
            QuestionKind::Before { kind, .. } => *kind != ActKind::Redo,
            QuestionKind::InDoubt | QuestionKind::CloseDay => false,
        });
        match harmless {
            Some(true) => self.yes(token, text, source, now, out),
            Some(false) => {
                let mut reply = ScanReply::new(
                    Outcome::Question,
                    "A press does not answer this question; scan YES or NO.",
                );
                if let Some(question) = self.context(&source, now).question.clone() {
                    reply.code = question.code;
                    reply.order = self.orders.get(&question.order).map(|o| o.number.clone());
                    reply.next = match question.code {
                        Some(code) => crate::domain::outcome::next_step(
                            code.explain().way,
                            &self.settings.prefix,
                        ),
                        None => format!("{0}YES or {0}NO", self.settings.prefix),
                    };
                }
                self.answer_directly(token, source, text.to_string(), reply, out);
            }
            None if press == Press::Dispatch && self.dispatch_ahead(&source, now) => {
                let reply = ScanReply::new(
                    Outcome::Ignored,
                    "The order is still being looked up; it ships when it is found.",
                );
                self.answer_directly(token, source, text.to_string(), reply, out);
            }
            None if press == Press::Dispatch => {
                if !self.press_next(token, button, &source, &text, out) {
                    self.nothing_waiting(token, source, text, out);
                }
            }
            None => {
                let reply = self.coded(Outcome::Refused, Code::NoQuestion, None);
                self.answer_directly(token, source, text.to_string(), reply, out);
            }
        }
    }

    /// Where a scan only arms, a hand may be quicker than the look-up: the press is the YES that
    /// would be asked for.
    fn dispatch_ahead(&mut self, source: &Source, now: Moment) -> bool {
        if self.settings.mode != ScanMode::Arm || self.closed_for_work().is_some() {
            return false;
        }
        let last_act = self.context(source, now).last_act;
        let running = last_act.and_then(|act| self.running.get_mut(&act));
        let Some(running) = running.filter(|r| r.act.kind == ActKind::Ship && !r.act.queued) else {
            return false;
        };
        running.act.confirmed = true;
        true
    }

    fn press_reprint(
        &mut self,
        token: Option<Token>,
        source: Source,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let text = self.as_command(&Command::Reprint);
        match self.last_order(&source, now) {
            // Unlike a scanned REPRINT it does not lie in wait for the next order.
            LastOrder::None => self.nothing_waiting(token, source, text, out),
            LastOrder::Known(id)
                if self
                    .orders
                    .get(&id)
                    .is_some_and(|o| o.state() == State::InDoubt) =>
            {
                let mut reply = self.coded(Outcome::Question, Code::PrinterInDoubt, None);
                reply.order = self.orders.get(&id).map(|o| o.number.clone());
                self.answer_directly(token, source, text.to_string(), reply, out);
            }
            LastOrder::Known(_) | LastOrder::StillSought => {
                self.act_on_last(token, &Command::Reprint, text, source, now, out);
            }
        }
    }

    /// Nothing to do is no error: it has a signal of its own.
    pub(super) fn nothing_waiting(
        &self,
        token: Option<Token>,
        source: Source,
        text: ScanText,
        out: &mut Vec<Effect>,
    ) {
        out.push(Effect::Signal(Signal::NothingWaiting));
        out.push(Effect::Answer {
            token,
            source,
            scanned: text.to_string(),
            reply: Box::new(ScanReply::new(
                Outcome::Ignored,
                "Nothing is waiting at this bench.",
            )),
            last: true,
        });
    }

    /// The text of the command that a press stands for.
    fn as_command(&self, command: &Command) -> ScanText {
        let text = format!("{}{}", self.settings.prefix, command.name());
        #[expect(
            clippy::expect_used,
            reason = "a command's name is short and printable, with or without a prefix"
        )]
        ScanText::parse(&text)
            .or_else(|_| ScanText::parse(&command.name()))
            .expect("a command's name is readable")
    }
}
