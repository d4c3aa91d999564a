//! Codes: one stable word for every refusal and fault, with its three sentences and its way forward.
//!
//! The table is read by the page, the ticket, the log, the JSON and the tests; nobody words a
//! refusal anywhere else (product.md section 4).

use serde::{Deserialize, Serialize};

/// What the packer does next, in one scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Scan one of these command barcodes (names without the site's prefix).
    Commands(&'static [&'static str]),
    /// Scan the same order again.
    SameOrder,
    /// Nothing to scan: it goes on by itself when the cause is cured.
    ByItself,
    /// No scan helps; call the office and say this.
    Office(&'static str),
}

/// The three sentences of a code and its way forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What happened.
    pub happened: &'static str,
    /// What the station does now.
    pub station: &'static str,
    /// What you do.
    pub you: &'static str,
    /// The same as one scan.
    pub way: Way,
}

macro_rules! codes {
    ($($variant:ident $text:literal { $happened:literal $station:literal $you:literal $way:expr })*) => {
        /// A refusal or a fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code {
            $(
                #[doc = $happened]
                #[serde(rename = $text)]
                $variant,
            )*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// The stable word, e.g. `already-printed`.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $text),* }
            }

            /// The sentences and the way forward.
            pub fn explain(self) -> Explanation {
                match self {
                    $(Code::$variant => Explanation {
                        happened: $happened,
                        station: $station,
                        you: $you,
                        way: $way,
                    }),*
                }
            }
        }
    };
}

use Way::{ByItself, Commands, Office, SameOrder};

codes! {
    BadScan "bad-scan" {
        "The scan is not a readable order or command."
        "Nothing was done."
        "Scan it again; if it stays unreadable, type the order number on the page."
        SameOrder
    }
    OrderNotFound "order-not-found" {
        "No order with this number was found."
        "Nothing was bought or printed; it looks again at the next scan."
        "Check that you scanned the order and not a product, then scan it again."
        SameOrder
    }
    OrderAmbiguous "order-ambiguous" {
        "Several orders fit this scan."
        "Nothing was bought or printed."
        "Scan the ORDER barcode of the right one on the page or the ticket."
        Commands(&["ORDER-"])
    }
    OrderCancelled "order-cancelled" {
        "The order was cancelled."
        "Nothing is bought or printed for it."
        "Put the goods aside and ask the office."
        Office("the order number, and that its goods are packed")
    }
    OrderOnHold "order-on-hold" {
        "The order is on hold."
        "Nothing is bought or printed until it is released."
        "Put it aside; scan it again when the office has released it."
        SameOrder
    }
    OrderChanged "order-changed" {
        "The order was changed after its label was bought."
        "The old label is kept back."
        "Scan REDO and then the order to get a new label."
        Commands(&["REDO"])
    }
    AlreadyPrinted "already-printed" {
        "The label of this order was printed before."
        "Nothing is printed again by itself."
        "Scan REPRINT for the same label, or NEXT-PARCEL for one more parcel."
        Commands(&["REPRINT", "NEXT-PARCEL"])
    }
    PrintedElsewhere "printed-elsewhere" {
        "The label of this order was made elsewhere."
        "It waits for your answer; nothing new is bought."
        "Scan YES to print that same label here."
        Commands(&["YES"])
    }
    ClaimedElsewhere "claimed-elsewhere" {
        "Another bench is working on this order."
        "Nothing was bought here."
        "Look at the other bench; scan the order again if it gave up."
        SameOrder
    }
    AccountUnknown "account-unknown" {
        "No shipping account is set for this order."
        "Nothing was bought."
        "Put it aside and call the office."
        Office("the order number, and that no route names an account for it")
    }
    NotPushed "not-pushed" {
        "The order has not reached Starshipit yet."
        "Nothing was bought."
        "Scan it again in a minute."
        SameOrder
    }
    AddressRefused "address-refused" {
        "The address of the order was refused."
        "Nothing was bought."
        "Put it aside; scan it again when the office has corrected the address."
        SameOrder
    }
    WeightMissing "weight-missing" {
        "The order has no weight."
        "Nothing is bought until there is one."
        "Weigh the parcel and scan a WEIGHT barcode, or type the weight on the page."
        Commands(&["WEIGHT-"])
    }
    CourierMissing "courier-missing" {
        "The order has no courier."
        "Nothing is bought until there is one."
        "Scan a COURIER barcode, or choose one on the page."
        Commands(&["COURIER-"])
    }
    PackagingMissing "packaging-missing" {
        "The order has no packaging."
        "Nothing is bought until there is one."
        "Scan a BOX barcode, or choose one on the page."
        Commands(&["BOX-"])
    }
    CourierRefused "courier-refused" {
        "The courier refused the shipment."
        "Nothing was bought; the courier's reason is shown."
        "Correct what it names, then scan the order again."
        SameOrder
    }
    QuotaExhausted "quota-exhausted" {
        "The label quota of the Starshipit account is used up."
        "Nothing was bought."
        "Call the office; scan the order again when the plan is raised."
        Office("that the Starshipit label quota is used up")
    }
    StarshipitUnauthorized "starshipit-unauthorized" {
        "Starshipit refused the station's key."
        "Nothing was bought; other accounts go on."
        "Call the office."
        Office("the account name, and that its API key or subscription key is refused")
    }
    StarshipitUnreachable "starshipit-unreachable" {
        "Starshipit cannot be reached."
        "Order scans are queued; nothing is bought twice."
        "Go on scanning; scan RESUME when the network is back."
        Commands(&["RESUME"])
    }
    CartoncloudUnauthorized "cartoncloud-unauthorized" {
        "CartonCloud refused the station."
        "Printing goes on; tracking numbers wait."
        "Call the office."
        Office("that CartonCloud refuses the station's API client or lacks the role shown")
    }
    CartoncloudUnreachable "cartoncloud-unreachable" {
        "CartonCloud cannot be reached."
        "Tracking numbers wait and are sent later."
        "Go on; nothing is lost."
        ByItself
    }
    RateLimited "rate-limited" {
        "The shipping service asks to slow down."
        "Nothing was bought; the station keeps its distance."
        "Scan the order again in a minute."
        SameOrder
    }
    LabelUnreadable "label-unreadable" {
        "The label that came back is damaged."
        "The shipment and its tracking number are kept; nothing is printed."
        "Scan the order again to fetch the label once more."
        SameOrder
    }
    LabelMissing "label-missing" {
        "The shipment was made, but no label came with it."
        "The tracking number is kept; nothing is printed."
        "Scan the order again to fetch the label once more."
        SameOrder
    }
    LabelDoesNotFit "label-does-not-fit" {
        "The label is larger than the paper in this printer."
        "The shipment is kept; nothing is cut off and printed."
        "Load the right labels or choose another printer, then scan the order again."
        SameOrder
    }
    LabelMismatch "label-mismatch" {
        "The barcode on the label is not this order's tracking number."
        "The shipment is kept; the label is held back."
        "Put it aside and call the office."
        Office("the order number, and that the label shows another tracking number")
    }
    PrinterOffline "printer-offline" {
        "The printer does not answer."
        "The label waits and prints when the printer is back."
        "Switch the printer on and check its cable."
        ByItself
    }
    PrinterMediaOut "printer-media-out" {
        "The printer has no labels or ribbon left."
        "The label waits and prints when the roll is in."
        "Put in a new roll and close the printer."
        ByItself
    }
    PrinterCoverOpen "printer-cover-open" {
        "The printer is open."
        "The label waits and prints when it is closed."
        "Close the printer."
        ByItself
    }
    PrinterPaused "printer-paused" {
        "The printer is paused."
        "The label waits and prints when the printer goes on."
        "Press the pause button of the printer."
        ByItself
    }
    PrinterInDoubt "printer-in-doubt" {
        "The station cannot know whether this label came out."
        "It prints nothing by itself."
        "Look: scan YES if the label is there, REPRINT if it is not."
        Commands(&["YES", "REPRINT"])
    }
    QueueFull "queue-full" {
        "The station holds as much unfinished work as it can keep safely."
        "New scans are refused; what it holds is kept."
        "Wait until the network or the printer is back, then scan again."
        SameOrder
    }
    Expired "expired" {
        "This scan waited too long."
        "It will not print by itself any more."
        "Scan the order again if its parcel is still here."
        SameOrder
    }
    DiskFull "disk-full" {
        "The station's card is full."
        "What it holds is kept; new scans are refused."
        "Call the office."
        Office("the station's name, and that its card is full")
    }
    LedgerQuarantined "ledger-quarantined" {
        "Part of the station's memory was damaged and set aside."
        "Open work was restored; older orders are asked from Starshipit."
        "Go on; tell the office."
        Office("the station's name, and that its ledger was quarantined")
    }
    ClockNotSet "clock-not-set" {
        "The station's clock is not set."
        "It waits for the network time; printing of held labels goes on."
        "Check the network; call the office if it stays."
        Office("the station's name, and that its clock is not set")
    }
    WritebackConflict "writeback-conflict" {
        "Another tracking number already stands in the order."
        "Nothing was overwritten; both numbers are shown."
        "Choose which number is right on the page."
        Office("the order number and both tracking numbers")
    }
    WritebackUnsupported "writeback-unsupported" {
        "No place in CartonCloud takes the tracking number of this order."
        "The number is kept here and in the export."
        "Tell the office."
        Office("the order number and its tracking number")
    }
    WritebackUnconfirmed "writeback-unconfirmed" {
        "The tracking number is not visible in the order yet."
        "The station keeps looking."
        "Tell the office if it stays for a day."
        Office("the order number and its tracking number")
    }
    VerifyMismatch "verify-mismatch" {
        "The label that you scanned belongs to another order."
        "Nothing was changed."
        "Take the label off and scan the right one."
        SameOrder
    }
    NotThisSite "not-this-site" {
        "This command barcode belongs to another site."
        "Nothing was done."
        "Use the command sheet of this site."
        Office("that a command sheet of another site is in use")
    }
    NoQuestion "no-question" {
        "There is no question to answer."
        "Nothing was done."
        "Scan the order first."
        SameOrder
    }
    PrefetchLimit "prefetch-limit" {
        "The daily limit for labels bought ahead is reached."
        "Labels are bought when their order is scanned."
        "Go on scanning."
        ByItself
    }
    Paused "paused" {
        "This bench is paused."
        "It takes no new work."
        "Scan RESUME to go on."
        Commands(&["RESUME"])
    }
    UpdateRefused "update-refused" {
        "The update was refused."
        "The station goes on with the version it has."
        "Tell the office."
        Office("the station's name and the reason shown by `printstation update status`")
    }
    ConfigInvalid "config-invalid" {
        "The configuration has a mistake."
        "The station does not start with it."
        "Correct the line that is named and run `printstation config check`."
        Office("the file and line that are named")
    }
    Internal "internal" {
        "The station made a mistake of its own."
        "What it holds is kept; the part at fault starts again."
        "Scan the order again; call the office if it stays."
        SameOrder
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Command;

    #[test]
    fn every_code_has_three_sentences_and_a_unique_word() {
        let mut words = std::collections::BTreeSet::new();
        for code in Code::ALL {
            let e = code.explain();
            for sentence in [e.happened, e.station, e.you] {
                assert!(
                    sentence.ends_with('.') && sentence.len() > 8,
                    "{code}: {sentence}"
                );
            }
            assert!(words.insert(code.as_str()), "{code} twice");
            assert!(
                code.as_str()
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'-')
            );
        }
    }

    #[test]
    fn every_way_forward_is_a_command_that_exists() {
        for code in Code::ALL {
            if let Way::Commands(names) = code.explain().way {
                assert!(!names.is_empty());
                for name in names {
                    let spoken = if name.ends_with('-') {
                        format!("{name}1")
                    } else {
                        (*name).to_owned()
                    };
                    assert!(Command::by_name(&spoken).is_some(), "{code}: {name}");
                }
            }
        }
    }
}
