//! The station's durable record: journal (the acknowledgement), sled index, spool of documents.
