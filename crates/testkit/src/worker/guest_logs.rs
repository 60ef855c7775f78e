//! What guests log, read from the logs of the workers that execute them.

use std::collections::{HashMap, HashSet};

use near_workspaces::AccountId;
use outlayer_protocol::RequestId;
use serde_json::Value;

/// What a worker's log says where it shows a guest's.
const MESSAGE: &str = "the guest's logs";

/// The guests' logs by request, and the workers that tell them.
#[derive(Debug, Default)]
pub(crate) struct GuestLogs {
    by_request: HashMap<RequestId, String>,
    told_by: HashSet<AccountId>,
}

impl GuestLogs {
    /// Notes that the log of this worker is read.
    pub(crate) fn listen_to(&mut self, worker_id: AccountId) {
        self.told_by.insert(worker_id);
    }

    pub(crate) fn is_told_by(&self, worker_id: &AccountId) -> bool {
        self.told_by.contains(worker_id)
    }

    /// Takes a line of a worker's log, in JSON.
    pub(crate) fn take(&mut self, line: &str) {
        let Ok(line) = serde_json::from_str::<Value>(line) else { return };
        if line["message"] != MESSAGE {
            return;
        }
        if let (Some(request_id), Some(logs)) = (line["request"].as_u64(), line["logs"].as_str()) {
            self.by_request.insert(request_id, logs.to_owned());
        }
    }

    pub(crate) fn of(&self, request_id: RequestId) -> Option<String> {
        self.by_request.get(&request_id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_line_about_a_guest_s_logs_is_taken() {
        let mut logs = GuestLogs::default();
        for line in [
            "no JSON",
            r#"{"message":"executed","request":1,"logs":"no"}"#,
            r#"{"message":"the guest's logs","logs":"no"}"#,
            r#"{"message":"the guest's logs","request":2,"logs":"yes\n"}"#,
        ] {
            logs.take(line);
        }
        assert_eq!((logs.of(1), logs.of(2)), (None, Some("yes\n".to_owned())));
    }
}
