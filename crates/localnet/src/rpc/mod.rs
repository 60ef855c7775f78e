//! The JSON-RPC server, with requests and responses in nearcore's formats.

mod answer;
mod blocks;
mod changes;
mod config;
mod light_client;
mod methods;
mod pages;
mod params;
mod query;
mod receipts;
mod sandbox;
mod server;
mod status;
mod thread;
mod transactions;
mod validators;
mod views;

pub use methods::METHODS;
pub use server::serve;
pub(crate) use thread::ServerThread;
