//! What lies on the bench's scale.

/// The scale, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Load {
    /// It moves, is overloaded, cannot be read or is not there.
    #[default]
    Unknown,
    /// Nothing lies on it.
    Empty,
    /// So many grams, at rest.
    Stable(u32),
}
