//! printstation: scan an order, get its label, and its tracking number where it belongs.

pub mod alert;
pub mod cartoncloud;
pub mod cli;
pub mod config;
pub mod csv;
pub mod doctor;
pub mod domain;
pub mod label;
pub mod ledger;
pub mod outbox;
pub mod printer;
pub mod runtime;
pub mod shopify;
pub mod signal;
pub mod sim;
pub mod starshipit;
pub mod station;
pub mod system;
pub mod trigger;
pub mod update;
pub mod web;
pub mod webhook;
