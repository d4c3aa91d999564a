//! Command barcodes: Code 128, text `<prefix><NAME>` (product.md section 3).

use crate::domain::{Code, OrderId, ScanText};

/// What a command barcode asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Same label again, no new shipment.
    Reprint,
    /// Replace the shipment; needs the order again.
    Redo,
    /// One more parcel for the order.
    NextParcel,
    /// The next order has this many parcels (1..=20).
    Parcels(u8),
    /// Answer to the open question.
    Yes,
    /// Answer to the open question.
    No,
    /// Weight of the pending order, in grams.
    Weight(u32),
    /// A packaging preset for the pending order.
    Box(String),
    /// Courier, or `courier:service`, for the pending order.
    Courier(String),
    /// Drop what is pending at this bench.
    Cancel,
    /// Take no new work.
    Pause,
    /// Take work again; also releases what queued offline.
    Resume,
    /// Print a status ticket.
    Status,
    /// Print a test label.
    Test,
    /// Print the hand-over list.
    CloseDay,
    /// Who is at the bench from now on.
    User(String),
    /// Why the last reprint was needed.
    Reason(String),
    /// One order of several that share a number, by its ledger id.
    Order(OrderId),
}

/// The commands without an argument, as printed on the sheet.
pub const PLAIN: [(&str, Command); 12] = [
    ("REPRINT", Command::Reprint),
    ("REDO", Command::Redo),
    ("NEXT-PARCEL", Command::NextParcel),
    ("YES", Command::Yes),
    ("NO", Command::No),
    ("CANCEL", Command::Cancel),
    ("PAUSE", Command::Pause),
    ("RESUME", Command::Resume),
    ("STATUS", Command::Status),
    ("TEST", Command::Test),
    ("CLOSE-DAY", Command::CloseDay),
    ("PARCELS-2", Command::Parcels(2)),
];

/// Most parcels that one order may be asked to have.
pub const MAX_PARCELS: u8 = 20;

impl Command {
    /// Reads a command barcode.
    ///
    /// `None`: not a command, so an order reference. `Some(Err(..))`: a command that must not be
    /// taken for an order: another site's ([`Code::NotThisSite`]) or one we do not know
    /// ([`Code::BadScan`]).
    pub fn parse(prefix: &str, scan: &ScanText) -> Option<Result<Self, Code>> {
        let text = scan.as_str();
        if let Some(name) = strip_prefix_folded(text, prefix) {
            return Some(Self::by_name(name).ok_or(Code::BadScan));
        }
        let name = other_sites_name(text)?;
        Self::by_name(name).map(|_| Err(Code::NotThisSite))
    }

    /// The command of a name without prefix, e.g. `REPRINT` or `WEIGHT-1.25`.
    pub fn by_name(name: &str) -> Option<Self> {
        let folded = name.to_ascii_uppercase();
        if let Some((_, command)) = PLAIN
            .iter()
            .find(|(plain, c)| *plain == folded && !matches!(c, Self::Parcels(_)))
        {
            return Some(command.clone());
        }
        let (verb, rest) = folded.split_once('-')?;
        // The argument keeps its case: presets, couriers and badges are matched by the station.
        let argument = &name[name.len() - rest.len()..];
        if argument.is_empty() {
            return None;
        }
        match verb {
            "PARCELS" => argument
                .parse()
                .ok()
                .filter(|n| (1..=MAX_PARCELS).contains(n))
                .map(Self::Parcels),
            "WEIGHT" => grams(argument).map(Self::Weight),
            "BOX" => Some(Self::Box(argument.to_owned())),
            "COURIER" => Some(Self::Courier(argument.to_owned())),
            "USER" => Some(Self::User(argument.to_owned())),
            "REASON" => Some(Self::Reason(argument.to_owned())),
            "ORDER" => Some(Self::Order(OrderId(argument.to_owned()))),
            _ => None,
        }
    }

    /// The name on the barcode, without prefix.
    pub fn name(&self) -> String {
        match self {
            Self::Reprint => "REPRINT".into(),
            Self::Redo => "REDO".into(),
            Self::NextParcel => "NEXT-PARCEL".into(),
            Self::Parcels(n) => format!("PARCELS-{n}"),
            Self::Yes => "YES".into(),
            Self::No => "NO".into(),
            Self::Weight(g) => format!("WEIGHT-{}.{:03}", g / 1000, g % 1000),
            Self::Box(x) => format!("BOX-{x}"),
            Self::Courier(x) => format!("COURIER-{x}"),
            Self::Cancel => "CANCEL".into(),
            Self::Pause => "PAUSE".into(),
            Self::Resume => "RESUME".into(),
            Self::Status => "STATUS".into(),
            Self::Test => "TEST".into(),
            Self::CloseDay => "CLOSE-DAY".into(),
            Self::User(x) => format!("USER-{x}"),
            Self::Reason(x) => format!("REASON-{x}"),
            Self::Order(id) => format!("ORDER-{id}"),
        }
    }
}

/// Kilograms as written (`1.25`, `0,5`, `12`) to grams; more than zero, at most 1000 kg.
fn grams(kilograms: &str) -> Option<u32> {
    let text = kilograms.replace(',', ".");
    if !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    let grams = (value * 1000.0).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bounded in the same line"
    )]
    (1.0..=1_000_000.0).contains(&grams).then_some(grams as u32)
}

fn strip_prefix_folded<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    (!prefix.is_empty() && head.eq_ignore_ascii_case(prefix)).then(|| &text[prefix.len()..])
}

/// The name behind a prefix as the installer makes them: `PS`, four characters, a dot.
fn other_sites_name(text: &str) -> Option<&str> {
    let (head, name) = text.split_once('.')?;
    let random = head.get(2..)?;
    (head.get(..2)?.eq_ignore_ascii_case("PS")
        && random.len() == 4
        && random.bytes().all(|b| b.is_ascii_alphanumeric()))
    .then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Result<Command, Code>> {
        Command::parse("PS7K4D.", &ScanText::parse(text).unwrap())
    }

    #[test]
    fn every_name_reads_back_as_its_command() {
        for (name, command) in PLAIN {
            assert_eq!(Command::by_name(name), Some(command.clone()));
            assert_eq!(command.name(), name);
        }
        for command in [
            Command::Weight(1250),
            Command::Box("small".into()),
            Command::Order("ss:main:7".into()),
        ] {
            assert_eq!(Command::by_name(&command.name()), Some(command));
        }
    }

    #[test]
    fn an_order_number_is_not_a_command() {
        assert_eq!(parse("WEB-20417"), None);
        assert_eq!(parse("PS7K4D"), None);
        assert_eq!(parse("PSABCD.WEB-1"), None);
    }

    #[test]
    fn another_sites_command_is_never_an_order() {
        assert_eq!(parse("PSAAAA.REDO"), Some(Err(Code::NotThisSite)));
        assert_eq!(parse("ps7k4d.redo"), Some(Ok(Command::Redo)));
        assert_eq!(parse("PS7K4D.DANCE"), Some(Err(Code::BadScan)));
    }

    #[test]
    fn weights_are_kilograms_and_never_zero() {
        assert_eq!(parse("PS7K4D.WEIGHT-1.25"), Some(Ok(Command::Weight(1250))));
        assert_eq!(parse("PS7K4D.WEIGHT-0"), Some(Err(Code::BadScan)));
        assert_eq!(parse("PS7K4D.WEIGHT-1e9"), Some(Err(Code::BadScan)));
        assert_eq!(parse("PS7K4D.PARCELS-21"), Some(Err(Code::BadScan)));
    }
}
