//! The command line: one file per verb; composition root, no logic.
