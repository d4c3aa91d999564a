//! The signed update: two slots, a trial, and a way back that needs neither network nor the new binary.
//!
//! Downloading, verifying and extracting are `self_update`'s; what is not in that crate is here:
//!
//! * `version.rs`: versions, this machine's target, ELF headers
//! * `keys.rs`: whom this station believes; the list of keys can be changed by a root key
//! * `trust.rs`: what was believed last, kept where only root writes
//! * `channel.rs`: the signed channel document, read strictly
//! * `policy.rs`: PURE: which release, now or when, and why not
//! * `fetch.rs`, `resume.rs`: bounded downloads that go on where they stopped
//! * `install.rs`: archive to inactive slot, checked before and after
//! * `slots.rs`: two slots, `current`, `previous`
//! * `trial.rs`: a release on trial, and what proves it
//! * `state.rs`: what was tried, refused, held; for `update status`
//! * `station.rs`: the running station: status, and the lease under which it rests
//! * `machine.rs`: clock, disk and mounts, as far as an update needs them
//! * `apply.rs`, `look.rs`, `steps.rs`: the steps in their order; `settings.rs`, `words.rs`: theirs
//! * `release.rs`: makes and signs a release directory
//!
//! Invariants. A power cut at any step leaves `current` on a whole slot. The trial is armed before
//! `current` moves. No release is believed because of its label: version and target are in the
//! archive's name, the name is in the signature, and the binary says the same. What decides about
//! trust is never kept where the station's own user may write.
//!
//! It must work when the station does not: it uses nothing of it but its control socket.

mod apply;
pub mod channel;
pub mod fetch;
pub mod install;
pub mod keys;
mod look;
pub mod machine;
pub mod policy;
pub mod release;
mod resume;
mod settings;
pub mod slots;
pub mod state;
pub mod station;
mod steps;
pub mod trial;
pub mod trust;
pub mod version;
mod words;

pub use apply::Updater;
pub use settings::Settings;
pub use words::{Ended, Step, UpdateError};

/// Where the slots are.
pub const INSTALL_ROOT: &str = "/opt/printstation";
/// Public keys of the channel.
pub const KEYS_DIR: &str = "/etc/printstation/update-keys";
/// In the station's state folder: trial, memory.
pub const STATE: &str = "update";
/// Name of the program, and of its file in a slot.
pub const PROGRAM: &str = "printstation";
