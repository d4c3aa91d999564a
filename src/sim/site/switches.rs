//! Switches: open questions about a system, as words that a command line takes.
//!
//! Each switch is a small enum; one table carries names, words and sentences, so that parsing,
//! error texts and `sim --help` agree. [`switches!`] makes them all for one simulator.

use serde::Serialize;

/// One switch as documentation: its name, what it is about, its words (the first is the default).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SwitchHelp {
    /// `S1` … `S19`, `bad-key`, …
    pub name: &'static str,
    /// What is in doubt.
    pub about: &'static str,
    /// Word and meaning, default first.
    pub words: &'static [(&'static str, &'static str)],
}

/// A `--switch` text that names no switch or no word of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SwitchError {
    /// Not `NAME=WORD`.
    #[error("'{0}' is not NAME=WORD, e.g. S2=new-consignment")]
    Shape(String),
    /// No such switch.
    #[error("no switch '{name}'; there are {valid}")]
    Name {
        /// What was given.
        name: String,
        /// All names.
        valid: String,
    },
    /// The switch has no such word.
    #[error("switch {name} has no word '{word}'; it has {valid}")]
    Word {
        /// The switch.
        name: String,
        /// What was given.
        word: String,
        /// Its words.
        valid: String,
    },
}

/// Makes the enums of a simulator's switches and the `Switches` that holds them.
macro_rules! switches {
    ($( $field:ident : $kind:ident = $name:literal, $about:literal {
        $first:ident = $first_word:literal : $first_means:literal
        $(, $variant:ident = $word:literal : $means:literal)* $(,)?
    } )*) => {
        $(
            #[doc = $about]
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
            pub enum $kind {
                #[doc = $first_means]
                #[default]
                $first,
                $(#[doc = $means] $variant,)*
            }
            impl $kind {
                /// The word that `--switch` takes.
                pub fn word(self) -> &'static str {
                    match self { Self::$first => $first_word, $(Self::$variant => $word,)* }
                }
            }
        )*

        /// The setting of every switch.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Switches {
            $(#[doc = $about] pub $field: $kind,)*
        }

        impl Switches {
            /// Every switch with its words, in order.
            pub const TABLE: &'static [$crate::sim::site::switches::SwitchHelp] = &[$($crate::sim::site::switches::SwitchHelp {
                name: $name,
                about: $about,
                words: &[($first_word, $first_means) $(, ($word, $means))*],
            },)*];

            /// Sets the switch `name` to `word`, both as in [`Self::TABLE`]; case does not matter.
            ///
            /// # Errors
            /// Names what there is instead.
            pub fn set(&mut self, name: &str, word: &str) -> Result<(), $crate::sim::site::switches::SwitchError> {
                $(if name.eq_ignore_ascii_case($name) {
                    self.$field = match word.to_ascii_lowercase().as_str() {
                        $first_word => $kind::$first,
                        $($word => $kind::$variant,)*
                        _ => return Err($crate::sim::site::switches::unknown_word(Self::TABLE, $name, word)),
                    };
                    return Ok(());
                })*
                Err($crate::sim::site::switches::unknown_name(Self::TABLE, name))
            }

            /// Applies one `NAME=WORD`.
            ///
            /// # Errors
            /// Names what there is instead.
            pub fn apply(&mut self, text: &str) -> Result<(), $crate::sim::site::switches::SwitchError> {
                let (name, word) = text
                    .split_once('=')
                    .ok_or_else(|| $crate::sim::site::switches::SwitchError::Shape(text.to_owned()))?;
                self.set(name.trim(), word.trim())
            }

            /// Name and word of every switch as it is set now.
            pub fn settings(&self) -> Vec<(&'static str, &'static str)> {
                vec![$(($name, self.$field.word()),)*]
            }
        }
    };
}

pub(crate) use switches;

pub(crate) fn unknown_name(table: &[SwitchHelp], name: &str) -> SwitchError {
    SwitchError::Name {
        name: name.to_owned(),
        valid: join(table.iter().map(|s| s.name)),
    }
}

pub(crate) fn unknown_word(table: &[SwitchHelp], name: &str, word: &str) -> SwitchError {
    let words = table
        .iter()
        .filter(|s| s.name == name)
        .flat_map(|s| s.words.iter().map(|(word, _)| *word));
    SwitchError::Word {
        name: name.to_owned(),
        word: word.to_owned(),
        valid: join(words),
    }
}

pub(crate) fn join<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

/// Switches as the admin door shows them.
pub(crate) fn shown(settings: Vec<(&'static str, &'static str)>) -> serde_json::Value {
    let pairs = settings.into_iter();
    serde_json::Value::Object(pairs.map(|(n, w)| (n.to_owned(), w.into())).collect())
}
