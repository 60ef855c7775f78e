//! The whole round trip, through near-workspaces, on whatever node `NEAR_SANDBOX_BIN_PATH` names.

mod agreement;
mod crowd;
mod dapps;
mod deploy;
mod edges;
mod faults;
mod guests;
mod kinds;
mod lies;
mod links;
mod outputs;
mod readme;
mod refusals;
mod replay;
mod restart;
mod settle;
mod storage;
mod timeout;
