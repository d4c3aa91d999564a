//! The simulated printer itself, without a network: bytes in, answers out, labels kept.
//!
//! Like a real one it answers questions while it cannot print, takes bytes into its buffer
//! meanwhile, and prints what it holds when it is cured.
//!
//! Long because five languages report the same faults, each in its own bytes, side by side.

use super::{Event, Query, brother_ql, epl, escpos, tspl, zpl};
use crate::domain::{Bitmap, Timestamp};
use std::collections::VecDeque;

/// What the simulated printer understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// ZPL II, as a Zebra.
    Zpl,
    /// ESC/POS, as a receipt printer with a cutter.
    Escpos,
    /// EPL2, as an older Zebra.
    Epl,
    /// TSPL, as a TSC.
    Tspl,
    /// Brother QL raster, with the labels that `Options::tape_mm` names.
    BrotherQl,
}

/// How a simulated printer is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name in file names.
    pub name: String,
    /// What it understands.
    pub language: Speaks,
    /// Dots per inch.
    pub dpi: u32,
    /// Dots across the head.
    pub width_dots: u32,
    /// Length of a label where the language does not say, dots.
    pub height_dots: u32,
    /// It warns that its head is dirty (ZPL).
    pub is_dirty: bool,
    /// It counts its labels (ZPL odometer).
    pub counts: bool,
    /// It is silent while it is open or out of labels, as Zebra's manual says.
    pub is_mute_when_unfit: bool,
    /// A label that a cut line left open stays in its reader, as in a printer whose network card
    /// is a box of its own.
    pub keeps_open_label: bool,
    /// Bytes it takes while it cannot print.
    pub buffer: usize,
    /// Width and length of the labels in it, millimetres (Brother QL).
    pub tape_mm: (u8, u8),
}

impl Options {
    /// A 203 dpi 4-inch printer with a counter.
    pub fn new(name: impl Into<String>, language: Speaks) -> Self {
        Self {
            name: name.into(),
            language,
            dpi: 203,
            width_dots: 832,
            height_dots: 1218,
            is_dirty: false,
            counts: true,
            is_mute_when_unfit: false,
            keeps_open_label: false,
            buffer: 512 * 1024,
            tape_mm: (102, 153),
        }
    }
}

/// A way to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No labels left.
    PaperOut,
    /// Head or cover open.
    CoverOpen,
    /// The pause button was pressed.
    Paused,
    /// No ribbon left.
    RibbonOut,
    /// Labels are jammed.
    Jam,
    /// Takes no more than this.
    Slow {
        /// Bytes per second.
        bytes_per_s: u32,
    },
    /// Resets the connection, once, after this many further bytes of labels.
    CutAfter {
        /// Bytes of labels; 0 = at once.
        bytes: u64,
    },
    /// Answers nothing.
    Silent,
    /// Reads nothing more after this many further bytes of labels.
    StopReading {
        /// Bytes of labels; 0 = at once.
        after: u64,
    },
    /// Refuses connections.
    Offline,
}

/// A label that came out.
#[derive(Debug, Clone)]
pub struct Label {
    /// When it was complete.
    pub at: Timestamp,
    /// What is on it.
    pub image: Bitmap,
    /// The bytes that made it.
    pub bytes: Vec<u8>,
    /// What the reader did not understand; empty for a sound label.
    pub errors: Vec<String>,
}

impl Label {
    /// The barcodes on it, read by rxing; takes a while.
    pub fn codes(&self) -> Vec<String> {
        let white = 255;
        let pixels = (0..self.image.height).flat_map(|y| {
            (0..self.image.width).map(move |x| if self.image.is_black(x, y) { 0 } else { white })
        });
        rxing::helpers::detect_multiple_in_luma(
            pixels.collect(),
            self.image.width,
            self.image.height,
        )
        .map(|found| found.iter().map(|code| code.getText().to_owned()).collect())
        .unwrap_or_default() // rxing says "not found" as an error
    }
}

/// What is wrong now.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct State {
    pub paper_out: bool,
    pub cover_open: bool,
    pub paused: bool,
    pub ribbon_out: bool,
    pub jammed: bool,
    pub silent: bool,
    pub bytes_per_s: Option<u32>,
    pub cut: bool,
    pub stopped: bool,
    pub offline: bool,
}

impl State {
    pub(super) fn is_unfit(&self) -> bool {
        self.paper_out || self.cover_open || self.paused || self.ribbon_out || self.jammed
    }

    pub(super) fn apply(&mut self, fault: Fault) {
        match fault {
            Fault::PaperOut => self.paper_out = true,
            Fault::CoverOpen => self.cover_open = true,
            Fault::Paused => self.paused = true,
            Fault::RibbonOut => self.ribbon_out = true,
            Fault::Jam => self.jammed = true,
            Fault::Slow { bytes_per_s } => self.bytes_per_s = Some(bytes_per_s.max(1)),
            Fault::CutAfter { .. } => self.cut = true,
            Fault::Silent => self.silent = true,
            Fault::StopReading { .. } => self.stopped = true,
            Fault::Offline => self.offline = true,
        }
    }
}

#[derive(Debug)]
enum Reader {
    Zpl(zpl::Reader),
    Escpos(escpos::Reader),
    Epl(epl::Reader),
    Tspl(tspl::Reader),
    BrotherQl(brother_ql::Reader),
}

impl Reader {
    fn new(options: &Options) -> Self {
        let (width, height, dpi) = (options.width_dots, options.height_dots, options.dpi);
        match options.language {
            Speaks::Zpl => Self::Zpl(zpl::Reader::new(width, height)),
            Speaks::Escpos => Self::Escpos(escpos::Reader::new(width, dpi)),
            Speaks::Epl => Self::Epl(epl::Reader::new(width)),
            Speaks::Tspl => Self::Tspl(tspl::Reader::new(width, height, dpi)),
            Speaks::BrotherQl => Self::BrotherQl(brother_ql::Reader::default()),
        }
    }

    fn feed(&mut self, byte: u8, events: &mut Vec<Event>) {
        match self {
            Self::Zpl(reader) => reader.feed(byte, events),
            Self::Escpos(reader) => reader.feed(byte, events),
            Self::Epl(reader) => reader.feed(byte, events),
            Self::Tspl(reader) => reader.feed(byte, events),
            Self::BrotherQl(reader) => reader.feed(byte, events),
        }
    }

    fn is_inside(&self) -> bool {
        match self {
            Self::Zpl(reader) => reader.is_inside(),
            Self::Escpos(reader) => reader.is_inside(),
            Self::Epl(reader) => reader.is_inside(),
            Self::Tspl(reader) => reader.is_inside(),
            Self::BrotherQl(reader) => reader.is_inside(),
        }
    }

    fn forget(&mut self) {
        match self {
            Self::Zpl(reader) => reader.forget(),
            Self::Escpos(reader) => reader.forget(),
            Self::Epl(reader) => reader.forget(),
            Self::Tspl(reader) => reader.forget(),
            Self::BrotherQl(reader) => reader.forget(),
        }
    }
}

/// The printer.
#[derive(Debug)]
pub struct Machine {
    options: Options,
    pub(super) state: State,
    /// A fault that comes after this many further bytes of labels.
    armed: Option<(u64, Fault)>,
    reader: Reader,
    labels: Vec<Label>,
    waiting: VecDeque<Label>,
    waiting_bytes: usize,
    partial: u64,
    questions: u64,
    taken: u64,
}

impl Machine {
    /// A printer in good order.
    pub fn new(options: Options) -> Self {
        let reader = Reader::new(&options);
        Self {
            options,
            state: State::default(),
            armed: None,
            reader,
            labels: Vec::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            partial: 0,
            questions: 0,
            taken: 0,
        }
    }

    /// How it was made.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Takes bytes until one of them brings a cut or a stop; returns how many it took and what it
    /// answers.
    pub fn feed(&mut self, bytes: &[u8], now: Timestamp) -> (usize, Vec<u8>) {
        let mut answers = Vec::new();
        let mut events = Vec::new();
        for (index, byte) in bytes.iter().enumerate() {
            if self.state.cut || self.state.stopped || self.state.offline {
                return (index, answers);
            }
            self.reader.feed(*byte, &mut events);
            if self.is_inside()
                || events
                    .iter()
                    .any(|event| matches!(event, Event::Label { .. }))
            {
                self.count_byte();
            }
            for event in events.drain(..) {
                match event {
                    Event::Label {
                        image,
                        bytes,
                        errors,
                    } => {
                        self.waiting_bytes += bytes.len();
                        self.waiting.push_back(Label {
                            at: now,
                            image,
                            bytes,
                            errors,
                        });
                        self.print_waiting(now);
                        answers.extend(self.tell());
                    }
                    Event::Query(query) => {
                        self.questions += 1;
                        answers.extend(self.answer(&query));
                    }
                    Event::Cancel => {
                        self.waiting.clear();
                        self.waiting_bytes = 0;
                    }
                }
            }
        }
        (bytes.len(), answers)
    }

    fn count_byte(&mut self) {
        self.taken += 1;
        if let Some((left, fault)) = &mut self.armed {
            *left = left.saturating_sub(1);
            if *left == 0 {
                let fault = *fault;
                self.armed = None;
                self.state.apply(fault);
            }
        }
    }

    fn is_inside(&self) -> bool {
        self.reader.is_inside()
    }

    /// What it says by itself after a label: only Brother does.
    fn tell(&self) -> Vec<u8> {
        if !matches!(self.reader, Reader::BrotherQl(_)) || self.state.silent {
            return Vec::new();
        }
        if self.state.is_unfit() {
            return self.brother(2, 0);
        }
        [self.brother(6, 1), self.brother(1, 1), self.brother(6, 0)].concat()
    }

    /// A status of 32 bytes.
    fn brother(&self, kind: u8, phase: u8) -> Vec<u8> {
        let state = &self.state;
        let flag = u8::from;
        let mut frame = vec![0; 32];
        let (width, length) = self.options.tape_mm;
        for (at, value) in [
            (0, 0x80),
            (1, 0x20),
            (2, b'B'),
            (3, b'4'),
            (4, b'C'),
            (5, b'0'),
            (8, flag(state.paper_out) | flag(state.ribbon_out) << 1),
            (
                9,
                flag(state.cover_open) << 4 | flag(state.paused) << 5 | flag(state.jammed) << 6,
            ),
            (10, width),
            (11, if length == 0 { 0x0a } else { 0x0b }),
            (17, length),
            (18, kind),
            (19, phase),
        ] {
            if let Some(byte) = frame.get_mut(at) {
                *byte = value;
            }
        }
        frame
    }

    fn print_waiting(&mut self, now: Timestamp) {
        if self.state.is_unfit() {
            return;
        }
        self.waiting_bytes = 0;
        self.labels.extend(
            self.waiting
                .drain(..)
                .map(|label| Label { at: now, ..label }),
        );
    }

    /// Makes it misbehave, in addition to what it does already.
    pub fn set(&mut self, fault: Fault) {
        match fault {
            Fault::CutAfter { bytes } => self.set_after(bytes, fault),
            Fault::StopReading { after } => self.set_after(after, fault),
            other => self.state.apply(other),
        }
    }

    /// Makes it misbehave when it has taken `bytes` further bytes of labels.
    pub fn set_after(&mut self, bytes: u64, fault: Fault) {
        if bytes == 0 {
            self.state.apply(fault);
        } else {
            self.armed = Some((bytes, fault));
        }
    }

    /// Cures everything; what it holds is printed.
    pub fn clear(&mut self, now: Timestamp) {
        self.state = State::default();
        self.armed = None;
        self.print_waiting(now);
    }

    /// The line ended: what is open will never be complete.
    pub fn end_of_line(&mut self) {
        if self.is_inside() && !self.options.keeps_open_label {
            self.partial += 1;
            self.reader.forget();
        }
    }

    /// Labels that came out, oldest first.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// Labels that a cut line left open.
    pub fn partial(&self) -> u64 {
        self.partial
    }

    /// Status questions it was asked.
    pub fn questions(&self) -> u64 {
        self.questions
    }

    /// Bytes of labels it took.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// It cannot print and its buffer is full.
    pub(super) fn is_full(&self) -> bool {
        self.state.is_unfit() && self.waiting_bytes >= self.options.buffer
    }

    fn answer(&self, query: &Query) -> Vec<u8> {
        let state = &self.state;
        if state.silent
            || (self.options.is_mute_when_unfit && (state.paper_out || state.cover_open))
        {
            return Vec::new();
        }
        let flag = |is_set: bool| u8::from(is_set);
        match query {
            Query::Status => format!(
                "\x02030,{paper},{pause},{length:04},{waiting:03},0,0,{open_format},000,0,0,0\x03\r\n\
                 \x02000,0,{head},{ribbon},0,2,4,0,{remaining:08},1,000\x03\r\n\x020000,0\x03\r\n",
                paper = flag(state.paper_out),
                pause = flag(state.is_unfit()),
                ribbon = flag(state.ribbon_out),
                length = self.options.height_dots.min(9999),
                waiting = self.waiting.len().min(999),
                open_format = flag(self.is_inside()),
                head = flag(state.cover_open),
                remaining = 0,
            )
            .into_bytes(),
            Query::Errors => {
                let errors = u32::from(state.paper_out)
                    | u32::from(state.ribbon_out) << 1
                    | u32::from(state.cover_open) << 2
                    | u32::from(state.jammed) << 14
                    | u32::from(state.paused) << 16;
                let warnings = u32::from(self.options.is_dirty) << 1;
                format!(
                    "\x02\r\n  PRINTER STATUS\r\n   ERRORS:         {} 00000000 {errors:08X}\r\n   \
                     WARNINGS:       {} 00000000 {warnings:08X}\r\n\x03",
                    flag(errors != 0),
                    flag(warnings != 0),
                )
                .into_bytes()
            }
            Query::Variable(name) if self.options.counts => match name.as_str() {
                "odometer.total_label_count" => format!("\"{}\"", self.labels.len()).into_bytes(),
                "odometer.total_print_length" => run(1000 + 15 * self.labels.len()),
                "odometer.headclean" => run(15 * self.labels.len()),
                _ => b"\"?\"".to_vec(),
            },
            Query::Variable(_) => Vec::new(),
            Query::RealTime(kind) => {
                let byte = 0x12
                    | match kind {
                        1 if state.is_unfit() => 0x08,
                        2 => {
                            flag(state.cover_open) << 2
                                | flag(state.paused) << 3
                                | flag(state.paper_out) << 5
                        }
                        3 => flag(state.jammed) << 3,
                        4 if state.paper_out => 0x6c,
                        _ => 0,
                    };
                vec![byte]
            }
            Query::EplErrors => {
                let errors: Vec<&str> = [
                    (state.paper_out || state.ribbon_out || state.jammed, "07"),
                    (state.cover_open, "11"),
                    (state.paused, "12"),
                ]
                .into_iter()
                .filter_map(|(is_so, number)| is_so.then_some(number))
                .collect();
                let list = if errors.is_empty() {
                    "00".to_owned()
                } else {
                    errors.join(",")
                };
                format!("{list}\r\n").into_bytes()
            }
            Query::TsplStatus => vec![
                flag(state.cover_open)
                    | flag(state.jammed) << 1
                    | flag(state.paper_out) << 2
                    | flag(state.ribbon_out) << 3
                    | flag(state.paused) << 4,
            ],
            Query::BrotherStatus => self.brother(0, 0),
        }
    }
}

/// A length as the odometers of Zebra printers say it.
fn run(cm: usize) -> Vec<u8> {
    format!("\"{} INCHES, {cm} CENTIMETERS\"", cm * 100 / 254).into_bytes()
}
