//! The commands with which a person deploys, publishes, asks and verifies, as processes of their
//! own, against the real contract.

mod comparing;
mod credentials;
mod dapp;
mod deploying;
mod home;
mod requests;
mod secrets;
mod testnet_page;
