//! Bench page and API: reads snapshots, sends inputs.
