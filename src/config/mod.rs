//! Configuration: raw (serde) to model (validated); secrets by reference only.
