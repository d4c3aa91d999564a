//! What the packer perceives: patterns of lamp, LED and buzzer for every signal.
