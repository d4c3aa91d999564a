//! What makes the station act: scanners on TCP and stdin; text cleaned of terminators, bounded.
