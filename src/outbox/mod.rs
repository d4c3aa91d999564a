//! Writebacks: what is due, retry, give-up, conflicts; the contract that every sink fulfils.
