//! Tests in near-sdk's mocked VM: [`world`] plays the chain around the contract (balances,
//! receipts, yields), [`audit`] checks the books and the state against it.

mod agreement;
mod audit;
mod claims;
mod code;
mod former_requests;
mod governance;
mod interleavings;
mod layout;
mod many;
mod money;
mod names;
pub(crate) mod node;
mod parts;
mod prices;
mod refusal_codes;
mod refused_requests;
mod requests;
mod reserve;
mod results;
mod secrets;
mod stake;
mod storage;
mod upgrade;
mod world;
