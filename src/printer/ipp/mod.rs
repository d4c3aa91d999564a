//! IPP printers and CUPS queues: a page is a job, and the printer says how it went.
//!
//! A page's journey: "are you well, and what do you take?" → the page in the best format that it
//! takes (PWG raster 1-bit, PWG raster gray, PDF; a label printer's own language goes untouched) →
//! Print-Job → Get-Job-Attributes until it ends. IPP has what raw lines lack: a refused job is
//! proven not started. "Completed" of a printer that counted the page confirms it; of a CUPS queue
//! it only means that the queue is rid of it.

pub(crate) mod client;
pub(crate) mod wire;

use super::language::{self, Options};
use super::settings::{IppTarget, Language, Limits, Settings};
use super::status::Seen;
use super::status::ipp::{self as status, Work};
use super::{Job, PageBytes};
use crate::domain::{Bitmap, Code, PrintOutcome, Proof};
use client::{Patience, Trouble};
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use wire::{Operation, Reply, Request};

/// First pause between two looks at a job; it doubles to the longest.
const ASK_AGAIN: Duration = Duration::from_millis(50);
const ASK_LATER: Duration = Duration::from_millis(400);

/// How an IPP page ended, its size, and what the printer said last.
#[derive(Debug)]
pub(super) struct Course {
    pub outcome: PrintOutcome,
    pub bytes: u64,
    pub seen: Option<Seen>,
}

/// Asks the printer how it is and what it takes.
///
/// # Errors
/// In words, when it cannot be reached or does not answer in IPP.
pub(super) async fn look(target: &IppTarget, limits: &Limits) -> Result<(Seen, Reply), String> {
    let message = Request::new(Operation::GetPrinterAttributes, &target.uri())
        .user()
        .wanted(&status::PRINTER)
        .finish();
    let reply = ask(target, limits, message)
        .await
        .map_err(Trouble::detail)?;
    if !reply.is_good() {
        return Err(format!("the printer answers {:#06x}", reply.status));
    }
    let seen = status::printer(&reply).ok_or("the printer does not say its state")?;
    Ok((seen, reply))
}

/// A short question.
async fn ask(target: &IppTarget, limits: &Limits, message: Vec<u8>) -> Result<Reply, Trouble> {
    let patience = Patience {
        connect: limits.connect,
        progress: limits.connect,
        total: limits.connect * 2,
    };
    client::send(target, message, patience, || ()).await.1
}

/// Prints one page.
pub(super) async fn print(
    settings: &Settings,
    target: &IppTarget,
    language: Language,
    job: &Job,
    on_first: impl FnOnce() + Send,
) -> Course {
    let limits = settings.paced();
    let not_started = |code: Code, detail: String, seen: Option<Seen>| Course {
        outcome: PrintOutcome::NotStarted { code, detail },
        bytes: 0,
        seen,
    };
    let (seen, printer) = match look(target, &limits).await {
        Ok(found) => found,
        Err(detail) => return not_started(Code::PrinterOffline, detail, None),
    };
    if let Some(code) = seen.code {
        let detail = seen.detail.clone();
        return not_started(code, detail, Some(seen));
    }
    let (mime, page) = match document(settings, language, job, &printer).await {
        Ok(document) => document,
        Err((code, detail)) => return not_started(code, detail, Some(seen)),
    };
    let bytes = page.len() as u64;
    let message = print_job(settings, target, job, mime, page);
    let patience = Patience {
        connect: limits.connect,
        progress: limits.progress,
        total: limits.total(message.len()),
    };
    let (taken, sent) = client::send(target, message, patience, on_first).await;
    let outcome = match sent {
        Err(Trouble::NotSent(detail)) => PrintOutcome::NotStarted {
            code: Code::PrinterOffline,
            detail,
        },
        Err(Trouble::Broken(detail) | Trouble::Stopped(detail)) if taken == 0 => {
            PrintOutcome::NotStarted {
                code: Code::PrinterOffline,
                detail,
            }
        }
        Err(trouble) => PrintOutcome::InDoubt {
            bytes: taken,
            detail: trouble.detail(),
        },
        // No job was made of it: nothing can come out.
        Ok(reply) if !reply.is_good() => PrintOutcome::NotStarted {
            code: refusal(reply.status),
            detail: format!("the printer refused the job ({:#06x})", reply.status),
        },
        Ok(reply) => {
            let is_queue = printer.texts("cups-version").next().is_some();
            return follow(target, &limits, &reply, (bytes, job.copies), is_queue).await;
        }
    };
    Course {
        outcome,
        bytes,
        seen: Some(seen),
    }
}

fn refusal(status: u16) -> Code {
    match status {
        // Bad request, attributes or formats that it does not take: trying again changes nothing.
        0x0400 | 0x040a | 0x040b | 0x0411 => Code::ConfigInvalid,
        // Not accepting, busy, cancelled by it.
        0x0506..=0x0508 => Code::PrinterPaused,
        _ => Code::PrinterOffline,
    }
}

fn print_job(
    settings: &Settings,
    target: &IppTarget,
    job: &Job,
    mime: &str,
    page: Vec<u8>,
) -> Vec<u8> {
    let name = format!("{} {}/{}", job.order, job.page, job.of);
    let request = Request::new(Operation::PrintJob, &target.uri())
        .user()
        .name("job-name", &name)
        .format(mime);
    let mut message = match &job.content {
        PageBytes::Picture(_) => {
            #[expect(clippy::cast_possible_truncation, reason = "clamped")]
            let hundredths = |mm: f64| (mm * 100.0).round().clamp(100.0, 1e6) as i32;
            let (width, height) = settings.media_mm;
            request
                .job()
                .media((hundredths(width), hundredths(height)))
                .keyword("print-scaling", "none")
                .finish()
        }
        PageBytes::Raw { .. } => request.finish(),
    };
    message.extend_from_slice(&page);
    message
}

/// The page in the best format that the printer takes.
async fn document(
    settings: &Settings,
    language: Language,
    job: &Job,
    printer: &Reply,
) -> Result<(&'static str, Vec<u8>), (Code, String)> {
    let takes = |mime: &str| {
        printer
            .texts("document-format-supported")
            .any(|f| f.eq_ignore_ascii_case(mime))
    };
    let raw = if takes("application/vnd.cups-raw") {
        "application/vnd.cups-raw"
    } else {
        "application/octet-stream"
    };
    let picture = match &job.content {
        PageBytes::Raw {
            language: spoken,
            bytes,
        } if *spoken == language => return Ok((raw, bytes.repeat(job.copies.into()))),
        PageBytes::Raw {
            language: spoken, ..
        } => {
            return Err((
                Code::ConfigInvalid,
                format!(
                    "the document is {} and the printer speaks {}",
                    spoken.as_str(),
                    language.as_str()
                ),
            ));
        }
        PageBytes::Picture(picture) => picture,
    };
    let mut options = Options {
        copies: job.copies,
        ..Options::from(settings)
    };
    let (mime, language) = match language {
        Language::Pwg if takes("image/pwg-raster") => {
            let types: Vec<&str> = printer
                .texts("pwg-raster-document-type-supported")
                .collect();
            options.gray = !types.contains(&"black_1");
            ("image/pwg-raster", Language::Pwg)
        }
        Language::Pwg | Language::Pdf if takes("application/pdf") => {
            ("application/pdf", Language::Pdf)
        }
        Language::Pwg | Language::Pdf => {
            return Err((
                Code::ConfigInvalid,
                "the printer takes neither PWG raster nor PDF: if it is a label printer behind a \
                 queue, set its language to zpl, epl, tspl or escpos"
                    .to_owned(),
            ));
        }
        other => (raw, other),
    };
    let bytes = encode(language, picture.clone(), options).await?;
    Ok((mime, bytes))
}

async fn encode(
    language: Language,
    page: Bitmap,
    options: Options,
) -> Result<Vec<u8>, (Code, String)> {
    spawn_blocking(move || language::encode(language, &page, &options))
        .await
        .map_err(|error| (Code::Internal, error.to_string()))
}

/// Asks for the job until it ends, needs a hand, or time is up.
async fn follow(
    target: &IppTarget,
    limits: &Limits,
    accepted: &Reply,
    (bytes, copies): (u64, u8),
    is_queue: bool,
) -> Course {
    let accepted_as = |proof: Proof, seen: Option<Seen>| Course {
        outcome: PrintOutcome::Printed { proof },
        bytes,
        seen,
    };
    let in_doubt = |detail: String, seen: Option<Seen>| Course {
        outcome: PrintOutcome::InDoubt { bytes, detail },
        bytes,
        seen,
    };
    let Some(id) = accepted.integer("job-id") else {
        return accepted_as(Proof::Sent, None);
    };
    let deadline = Instant::now() + limits.confirm * u32::from(copies);
    let mut pause = ASK_AGAIN;
    loop {
        let message = Request::new(Operation::GetJobAttributes, &target.uri())
            .job_id(id)
            .user()
            .wanted(&status::JOB)
            .finish();
        let reply = match ask(target, limits, message).await {
            Ok(reply) => reply,
            Err(trouble) => return in_doubt(trouble.detail(), None),
        };
        match status::job(&reply) {
            Some(Work::Done { counted }) if counted >= copies.into() && !is_queue => {
                return accepted_as(Proof::Confirmed, Some(Seen::default()));
            }
            Some(Work::Done { .. }) => return accepted_as(Proof::Accepted, None),
            Some(Work::Stuck(seen)) => {
                cancel(target, limits, id).await;
                let detail = format!("after the page the printer says: {}", seen.detail);
                return in_doubt(detail, Some(seen));
            }
            // Jobs are forgotten at once by some printers, and it was well before.
            None => return accepted_as(Proof::Sent, None),
            Some(Work::Open) => {}
        }
        // A job that waits may wait for a hand.
        match look(target, limits).await {
            Ok((seen, _)) if seen.code.is_some() => {
                cancel(target, limits, id).await;
                let detail = format!("after the page the printer says: {}", seen.detail);
                return in_doubt(detail, Some(seen));
            }
            Ok(_) => {}
            Err(detail) => return in_doubt(detail, None),
        }
        if Instant::now() + pause >= deadline {
            // All bytes taken, the printer well and at work.
            return accepted_as(Proof::Accepted, Some(Seen::default()));
        }
        sleep(pause).await;
        pause = (pause * 2).min(ASK_LATER);
    }
}

/// What is in doubt must not come out later, beside the copy that a person then asks for.
async fn cancel(target: &IppTarget, limits: &Limits, id: i32) {
    let message = Request::new(Operation::CancelJob, &target.uri())
        .job_id(id)
        .user()
        .finish();
    if let Err(trouble) = ask(target, limits, message).await {
        tracing::warn!(job = id, cause = %trouble.detail(), "a job that is in doubt was not cancelled");
    }
}
