//! The command sheet.
