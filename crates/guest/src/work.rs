//! What host functions do for a guest, in the terms in which it is paid for.

/// One thing that a host function does. A meter gives each its price: [`fuel`](crate::fuel) has the
/// prices in fuel; those in gas follow NEAR's fees and stand in the executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A call, whatever it does.
    Call,
    /// Reads this many bytes from the guest's memory.
    Read(u64),
    /// Writes this many bytes to the guest's memory.
    Write(u64),
    /// Draws this many random bytes and writes them to the guest's memory.
    Random(u64),
    /// Adds this many bytes, which have been read already, to the log.
    Log(u64),
    /// Begins a storage read of a key of this many bytes.
    StorageRead(u64),
    /// Begins a storage write to a key of this many bytes.
    StorageWrite(u64),
    /// Begins a storage removal of a key of this many bytes.
    StorageRemove(u64),
    /// Asks the snapshot for a value.
    Fetch,
    /// Receives a value of this many bytes from the snapshot.
    Fetched(u64),
    /// Finds, in a storage read, a value of this many bytes.
    Found(u64),
    /// Stores, in a storage write, a value of this many bytes.
    Stored(u64),
    /// Sends a request of this many bytes over HTTP.
    Exchange(u64),
    /// Receives, from an exchange, what takes this many bytes of the transcript.
    Exchanged(u64),
    /// Plans a promise that waits for this many others.
    Promise(u64),
    /// Plans a call of a function, with this many bytes of method and arguments.
    PlannedCall(u64),
    /// Plans a transfer.
    PlannedTransfer,
    /// Removes, in a storage removal, a value of this many bytes.
    Removed(u64),
}
