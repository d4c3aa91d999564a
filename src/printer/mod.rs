//! Printers: languages (what bytes), connections (how they travel), status (did it come out).
