//! The whole round trip, through near-workspaces, on whatever node `NEAR_SANDBOX_BIN_PATH` names.

mod accounts;
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
mod network;
mod outputs;
mod readme;
mod refusals;
mod replay;
mod replays;
mod restart;
mod settle;
mod stake;
mod storage;
mod timeout;
