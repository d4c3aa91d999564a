//! The switches S1–S19: behaviours of Starshipit that nobody has confirmed.
//!
//! The words are what `--switch S2=new-consignment` takes; see [`crate::sim::site::switches`].

use crate::sim::site::switches::switches;
pub use crate::sim::site::switches::{SwitchError, SwitchHelp};

switches! {
    duplicate: Duplicate = "S1", "duplicate order_number on create" {
        NewOrder = "new-order": "a second order with a new id",
        Refuse = "refuse": "success:false with errors",
        Conflict = "conflict-409": "HTTP 409 with errors",
        Existing = "existing": "the order that is there is returned",
    }
    repeat: RepeatPrint = "S2", "print of a printed order without reprint" {
        SameLabel = "same-label": "the same label again, nothing sold",
        Refuse = "refuse": "success:false",
        NewConsignment = "new-consignment": "sold again: the worst case",
    }
    numbers: Numbers = "S3", "tracking_numbers of an order with several parcels" {
        PerParcel = "per-parcel": "one number per parcel",
        One = "one": "one number for the consignment",
        Nulls = "nulls": "one entry per parcel, all but the first null",
        Late = "late": "empty at first, filled after Options::tracking_delay",
    }
    entries: Entries = "S4", "labels of an order with several parcels" {
        OnePdf = "one-pdf": "one PDF with a page per parcel",
        PerParcel = "per-parcel": "one entry per parcel",
    }
    failure: FailureStatus = "S5", "how a business failure is sent" {
        Ok200 = "200": "HTTP 200 with success:false",
        Bad400 = "400": "HTTP 400 with the same body",
        Html500 = "html-500": "HTTP 500 with an HTML page",
    }
    create: CreateReply = "S6", "soft failure of create" {
        Plain = "off": "success:true when the order was made",
        Soft = "soft-failure": "success:false together with the order that was made",
    }
    list: ListShape = "S7", "shape of the order list" {
        DataOrders = "data-orders": "data.orders",
        Order = "order": "a list under order",
        Orders = "orders": "a list under orders",
    }
    carrier: CarrierType = "S8", "type of carrier in an order" {
        IntThenCode = "int-then-code": "-1 while none is assigned, then a code",
        Code = "code": "always text, None while none is assigned",
    }
    zone: Zone = "S9", "zone of dates" {
        Utc = "z": "7 digits and Z",
        Missing = "none": "7 digits, no zone",
    }
    nulls: Nulls = "S10", "fields without a value" {
        Omitted = "omitted": "left out",
        Null = "null": "present as null",
    }
    latency: PrintLatency = "S11", "latency and fate of the print call" {
        Given = "given": "Options::print_latency (--print-latency)",
        OneSecond = "1s": "one second",
        TwentySeconds = "20s": "twenty seconds",
        DropAfter = "drop-after": "sold, then the connection is reset",
        DropBefore = "drop-before": "the connection is closed, nothing sold",
    }
    geometry: Geometry = "S12", "label geometry" {
        Rotated = "rotate-90": "150 x 100 mm MediaBox with /Rotate 90",
        Portrait = "portrait": "100 x 150 mm, not rotated",
        A4 = "a4": "A4 with the label in its upper left corner",
        Invoice = "invoice": "rotate-90, and an A4 commercial invoice as an extra entry",
    }
    early_reprint: EarlyReprint = "S13", "reprint:true on an order that was never printed" {
        Refuse = "refuse": "success:false",
        Prints = "prints": "prints, and sells",
    }
    twins: Twins = "S14", "which order a look-up by number finds among duplicates" {
        Newest = "newest": "the newest",
        Oldest = "oldest": "the oldest",
    }
    copy_number: CopyNumber = "S15", "order number of a clone or replacement" {
        Same = "same": "the number of the source",
        Suffixed = "suffixed": "the number of the source and -1, -2, …",
        Empty = "empty": "empty text",
    }
    archived: ArchivedVisible = "S16", "archived orders visible by number" {
        Yes = "yes": "found",
        No = "no": "not found",
    }
    copy_reply: CopyReply = "S17", "reply of clone and replace" {
        Sent = "sent": "arrives",
        Lost = "lost": "the copy is made, the connection is reset",
    }
    writable: Writable = "S18", "free text written to an order by PUT (reference, shipping_description, metadatas)" {
        Kept = "kept": "kept",
        Dropped = "dropped": "answered with success and forgotten",
    }
    race: Race = "S19", "two print calls for one unprinted order at the same time" {
        OneSale = "one-sale": "the second waits and then counts as a repeat (S2)",
        BothSell = "both-sell": "both sell",
    }
    bad_subscription: BadSubscription = "bad-subscription", "missing or unknown Ocp-Apim-Subscription-Key" {
        Forbidden = "403": "HTTP 403, gateway body",
        Unauthorized = "401": "HTTP 401, gateway body",
    }
    bad_key: BadKey = "bad-key", "missing or unknown StarShipIT-Api-Key" {
        Ok200 = "200": "HTTP 200, success:false",
        Unauthorized = "401": "HTTP 401, gateway body",
        Forbidden = "403": "HTTP 403, gateway body",
    }
    retry_after: RetryAfter = "retry-after", "Retry-After on the rate limiter's 429" {
        Sent = "sent": "Retry-After: 1",
        Absent = "absent": "no such header",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_switch_or_word_is_told_what_there_is() {
        let mut switches = Switches::default();
        let name = switches.apply("S99=x").unwrap_err().to_string();
        assert!(name.contains("S99") && name.contains("S1,") && name.contains("retry-after"));
        let word = switches.apply("S2=twice").unwrap_err().to_string();
        assert!(
            word.contains("same-label, refuse, new-consignment"),
            "{word}"
        );
        assert!(switches.apply("S2").is_err());
        assert_eq!(switches, Switches::default());
    }

    #[test]
    fn every_word_of_every_switch_can_be_set_and_is_shown_as_set() {
        for help in Switches::TABLE {
            for (word, _) in help.words {
                let mut switches = Switches::default();
                switches.set(help.name, word).unwrap();
                assert!(switches.settings().contains(&(help.name, word)));
            }
        }
    }
}
