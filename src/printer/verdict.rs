//! The rule that turns what was seen of a page's journey into its outcome. Pure.
//!
//! The rule: nothing taken → not started; the printer's own counter → confirmed, whatever else
//! happened; a broken line, a fault or a sudden silence → in doubt; taken and ready → accepted;
//! no back channel and an unbroken line → sent.

use super::status::Seen;
use crate::domain::{Code, PrintOutcome, Proof};

/// How handing over the bytes ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SendEnd {
    /// The kernel took all, and the peer acknowledged all it can acknowledge.
    All,
    /// Nothing moved for the progress deadline.
    Stalled,
    /// The total deadline passed.
    TooSlow,
    /// The device said that there is no paper.
    MediaOut,
    /// The line broke.
    Broken(String),
}

/// What the printer said after the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum After {
    /// Not asked: no back channel.
    NotAsked,
    /// It answered before and is silent now.
    Quiet,
    /// It answered.
    Seen(Seen),
}

/// How the line ended after our end of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LineEnd {
    /// The peer closed, or the device drained.
    Closed,
    /// The peer did not close within the deadline.
    Open,
    /// The peer reset the connection.
    Reset(String),
}

/// All that is known of one page's journey, from its first byte on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Course {
    /// Bytes the kernel accepted.
    pub taken: u64,
    /// How that ended.
    pub sent: SendEnd,
    /// The label counter before, where it may be compared: the printer was idle then.
    pub counted_before: Option<u64>,
    /// How many labels are to come out.
    pub copies: u8,
    /// The printer's word afterwards.
    pub after: After,
    /// The end of the line.
    pub line: LineEnd,
}

/// How the page's journey ended.
pub(crate) fn judge(course: Course) -> PrintOutcome {
    let in_doubt = |detail: String| PrintOutcome::InDoubt {
        bytes: course.taken,
        detail,
    };
    if course.taken == 0 {
        return not_started(course.sent);
    }
    if let (
        Some(before),
        After::Seen(Seen {
            counter: Some(now), ..
        }),
    ) = (course.counted_before, &course.after)
        && *now >= before + u64::from(course.copies)
        && course.sent == SendEnd::All
    {
        return PrintOutcome::Printed {
            proof: Proof::Confirmed,
        };
    }
    match course.sent {
        SendEnd::All => {}
        SendEnd::Stalled => return in_doubt("the printer stopped taking bytes".to_owned()),
        SendEnd::TooSlow => return in_doubt("the printer took too long".to_owned()),
        SendEnd::MediaOut => return in_doubt("the paper ran out during the label".to_owned()),
        SendEnd::Broken(cause) => return in_doubt(format!("the line broke: {cause}")),
    }
    if let LineEnd::Reset(cause) = &course.line {
        return in_doubt(format!(
            "the printer reset the line after the label: {cause}"
        ));
    }
    match course.after {
        After::NotAsked => PrintOutcome::Printed { proof: Proof::Sent },
        After::Quiet => {
            in_doubt("the printer answered before the label and is silent now".to_owned())
        }
        After::Seen(Seen {
            code: Some(_),
            detail,
            ..
        }) => in_doubt(format!("after the label the printer says: {detail}")),
        After::Seen(_) => PrintOutcome::Printed {
            proof: Proof::Accepted,
        },
    }
}

fn not_started(sent: SendEnd) -> PrintOutcome {
    let (code, detail) = match sent {
        SendEnd::MediaOut => (Code::PrinterMediaOut, "out of paper".to_owned()),
        SendEnd::Broken(cause) => (Code::PrinterOffline, cause),
        SendEnd::All | SendEnd::Stalled | SendEnd::TooSlow => (
            Code::PrinterOffline,
            "the printer takes no bytes".to_owned(),
        ),
    };
    PrintOutcome::NotStarted { code, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course() -> Course {
        Course {
            taken: 100,
            sent: SendEnd::All,
            counted_before: None,
            copies: 1,
            after: After::NotAsked,
            line: LineEnd::Closed,
        }
    }

    fn seen(code: Option<Code>, counter: Option<u64>) -> After {
        After::Seen(Seen {
            code,
            counter,
            ..Seen::default()
        })
    }

    #[test]
    fn without_a_byte_out_nothing_is_in_doubt() {
        for sent in [
            SendEnd::Stalled,
            SendEnd::TooSlow,
            SendEnd::MediaOut,
            SendEnd::Broken("reset".to_owned()),
        ] {
            let outcome = judge(Course {
                taken: 0,
                sent: sent.clone(),
                ..course()
            });
            assert!(
                matches!(outcome, PrintOutcome::NotStarted { .. }),
                "{sent:?}"
            );
        }
    }

    #[test]
    fn after_the_first_byte_every_break_is_in_doubt() {
        for sent in [
            SendEnd::Stalled,
            SendEnd::TooSlow,
            SendEnd::MediaOut,
            SendEnd::Broken("reset".to_owned()),
        ] {
            let broken = Course {
                sent,
                after: seen(None, Some(9)),
                counted_before: Some(8),
                ..course()
            };
            assert!(matches!(
                judge(broken),
                PrintOutcome::InDoubt { bytes: 100, .. }
            ));
        }
        let reset = Course {
            line: LineEnd::Reset("x".to_owned()),
            after: seen(None, None),
            ..course()
        };
        assert!(matches!(judge(reset), PrintOutcome::InDoubt { .. }));
        let quiet = Course {
            after: After::Quiet,
            ..course()
        };
        assert!(matches!(judge(quiet), PrintOutcome::InDoubt { .. }));
        let open = Course {
            after: seen(Some(Code::PrinterCoverOpen), Some(8)),
            counted_before: Some(8),
            ..course()
        };
        assert!(matches!(judge(open), PrintOutcome::InDoubt { .. }));
    }

    #[test]
    fn the_counter_outweighs_what_happened_to_the_line() {
        let counted = Course {
            counted_before: Some(8),
            after: seen(Some(Code::PrinterMediaOut), Some(9)),
            line: LineEnd::Reset("x".to_owned()),
            ..course()
        };
        assert_eq!(
            judge(counted),
            PrintOutcome::Printed {
                proof: Proof::Confirmed
            }
        );
    }

    #[test]
    fn the_first_of_two_copies_does_not_confirm_both() {
        let stopped = |counter| Course {
            copies: 2,
            counted_before: Some(8),
            after: seen(Some(Code::PrinterMediaOut), Some(counter)),
            ..course()
        };
        assert!(matches!(judge(stopped(9)), PrintOutcome::InDoubt { .. }));
        assert_eq!(
            judge(stopped(10)),
            PrintOutcome::Printed {
                proof: Proof::Confirmed
            }
        );
    }

    #[test]
    fn grades_follow_the_evidence() {
        let accepted = Course {
            after: seen(None, Some(8)),
            counted_before: Some(8),
            line: LineEnd::Open,
            ..course()
        };
        assert_eq!(
            judge(accepted),
            PrintOutcome::Printed {
                proof: Proof::Accepted
            }
        );
        let sent = Course {
            line: LineEnd::Open,
            ..course()
        };
        assert_eq!(judge(sent), PrintOutcome::Printed { proof: Proof::Sent });
    }
}
