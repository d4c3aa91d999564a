//! The closed sets of the configuration: every word that a value may be, with its sentence.

use serde::Serialize;

/// A closed set of words in the configuration.
pub(crate) trait Word: Copy + 'static {
    /// Every word and its meaning.
    const WORDS: &'static [(&'static str, Self)];
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant),* }
        impl Word for $name {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$variant)),*];
        }
        impl $name {
            /// The word in the configuration.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }
    };
}

words! {
    /// A job that one station of a site has (contract 5).
    Duty {
        /// Push sale orders into Starshipit.
        Push = "push",
        /// Compare both sides.
        Reconcile = "reconcile",
        /// Act on CartonCloud statuses.
        OnStatus = "on_status",
        /// Buy ahead.
        Prefetch = "prefetch",
    }
}
words! {
    /// When an order is claimed in Starshipit before it is bought.
    Claim {
        /// Where stations share a key.
        Auto = "auto",
        /// Before every purchase.
        Always = "always",
        /// Never.
        Never = "never",
    }
}
words! {
    /// What a scan does.
    ScanMode {
        /// Ships at once.
        Print = "print",
        /// Arms the order; a button press ships it.
        Arm = "arm",
    }
}
words! {
    /// By what an order is looked up when no pattern says so.
    Fallback {
        /// Its number.
        OrderNumber = "order_number",
        /// Its customer reference.
        Reference = "reference",
        /// One of its tracking numbers.
        Tracking = "tracking",
    }
}
words! {
    /// How a scanner says that a scan is complete (contract 22).
    ScanEnd {
        /// CR, LF or TAB; CR LF is one.
        Suffix = "suffix",
        /// Silence.
        Idle = "idle",
    }
}
words! {
    /// What a button press does.
    ButtonAct {
        /// The main act: ship what is armed, answer a harmless question, ship the next order.
        Dispatch = "dispatch",
        /// The last label of this bench again.
        ReprintLast = "reprint_last",
        /// YES to an open question.
        Yes = "yes",
        /// CANCEL.
        Cancel = "cancel",
        /// PAUSE, or RESUME when paused.
        Pause = "pause",
        /// A test label.
        Test = "test",
        /// Ship the next order waiting at this bench (`next_statuses`).
        PrintNext = "print_next",
        /// Nothing.
        None = "none",
    }
}
words! {
    /// What to do with an order that was labelled elsewhere.
    OnPrintedElsewhere {
        /// YES or a press prints that label here.
        Ask = "ask",
        /// The first scan prints it.
        PrintOnce = "print_once",
        /// It is refused.
        Refuse = "refuse",
    }
}
words! {
    /// When courier, service, parcels and weight are shown before buying (contract 38).
    Confirm {
        /// Never.
        Never = "never",
        /// When Starshipit would refuse or the label would be wrong by construction.
        Missing = "missing",
        /// Before every purchase.
        Always = "always",
    }
}
words! {
    /// What reaching a CartonCloud status does.
    StatusAct {
        /// Nothing.
        Nothing = "nothing",
        /// Buys ahead.
        Prefetch = "prefetch",
        /// Prints.
        Print = "print",
    }
}
words! {
    /// A place that takes tracking numbers.
    Sink {
        /// The consignment's tracking field.
        Consignment = "consignment",
        /// A document on the sale order.
        OrderDocument = "order_document",
        /// Custom fields of the sale order.
        OrderProperties = "order_properties",
        /// A file.
        Csv = "csv",
    }
}
words! {
    /// When `order_document` is used (contract 17).
    DocumentWhen {
        /// Only when no earlier sink is done.
        Fallback = "fallback",
        /// Always.
        Always = "always",
    }
}
words! {
    /// What to do with another number that already stands there.
    OnConflict {
        /// Keep it and say so.
        Keep = "keep",
        /// Replace it.
        Overwrite = "overwrite",
    }
}
words! {
    /// What a printer understands.
    Language {
        /// ZPL II.
        Zpl = "zpl",
        /// EPL2.
        Epl = "epl",
        /// TSPL.
        Tspl = "tspl",
        /// ESC/POS.
        Escpos = "escpos",
        /// Brother raster.
        BrotherQl = "brother-ql",
        /// IPP with PWG raster.
        Ipp = "ipp",
        /// Pictures, for `file:` printers.
        Png = "png",
        /// Found out at start (contract 23).
        Auto = "auto",
    }
}
words! {
    /// What the printer does after a label.
    AfterLabel {
        /// Stops at the tear bar.
        TearOff = "tear-off",
        /// Peels, waits until the label is taken.
        Peel = "peel",
        /// Cuts.
        Cut = "cut",
    }
}
words! {
    /// What an unreadable barcode on our own bitmap does (contract 33).
    ReadBackPolicy {
        /// Prints and warns.
        Warn = "warn",
        /// Holds the label back.
        Hold = "hold",
    }
}
words! {
    /// What happens to queued scans when the network is back.
    OfflineRelease {
        /// The station asks.
        Ask = "ask",
        /// They print, each behind a ticket.
        Print = "print",
    }
}
words! {
    /// What a held label does when its re-check cannot answer.
    Unverified {
        /// Prints.
        Print = "print",
        /// Waits.
        Hold = "hold",
    }
}
words! {
    /// When writebacks of held labels fall due (contract 7).
    PrefetchWriteback {
        /// At the scan.
        OnRelease = "on_release",
        /// At once.
        OnPurchase = "on_purchase",
    }
}
words! {
    /// Whether the label on the parcel is scanned back.
    VerifyMode {
        /// No.
        Off = "off",
        /// It is asked for.
        Ask = "ask",
        /// Nothing else is taken until it was.
        Strict = "strict",
    }
}
words! {
    /// Form of the log.
    LogFormat {
        /// journald, else text.
        Auto = "auto",
        /// Lines for people.
        Text = "text",
        /// Lines for machines.
        Json = "json",
    }
}
words! {
    /// `require` of a writeback: when the order counts as written.
    RequireWord {
        /// One sink is enough.
        Any = "any",
        /// Every sink.
        All = "all",
    }
}
