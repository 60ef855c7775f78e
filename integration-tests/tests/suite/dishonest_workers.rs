//! A registered worker that lies in any one field of its answer. The digest that the contract
//! computes shows it.

use anyhow::Result;
use outlayer_integration_tests::{
    Testbed,
    guests::request,
    testbed::{events, settlement},
};
use outlayer_protocol::{
    Compute, ExecutionResponse, Hash32, JournalEntry, ReadEntry, Status, events::Event,
};

/// The name of the field that is altered, and the function that alters it.
type Lie = (&'static str, fn(&mut ExecutionResponse));

#[tokio::test(flavor = "multi_thread")]
async fn every_altered_field_shows_in_the_digest_of_the_event() -> Result<()> {
    let testbed = Testbed::start().await?;
    let echo = testbed.publish_guest("echo").await?;
    let caller = testbed.node.dev_create_account().await?;
    let lies: [Lie; 7] = [
        ("status", |r| {
            r.status = Status::Exited { code: 1 };
            r.output.0.clear();
        }),
        ("output", |r| r.output.0[0] ^= 1),
        ("used, more", |r| r.used = Compute::Fuel(r.used.amount() + 1)),
        ("used, less", |r| r.used = Compute::Fuel(r.used.amount() - 1)),
        ("reads", |r| r.reads.push(ReadEntry { key: "absent".into(), value_hash: None })),
        ("journal", |r| r.journal.push(JournalEntry { key: "absent".into(), value: None })),
        ("log_hash", |r| r.log_hash = Hash32::of(b"other logs")),
    ];
    for (field, lie) in lies {
        let asked = testbed.ask(&caller, &request(echo, "the truth")).await?;
        let request_id = testbed.wait_for_pending(1).await?[0].request_id;
        let mut response = testbed.execute(request_id).await?;
        let honest = testbed.digest(&response).await?;
        lie(&mut response);
        let lied = testbed.digest(&response).await?;
        let resolved = testbed.resolve(&testbed.worker, &response).await?;
        assert!(resolved.is_success(), "{field}: {resolved:?}");
        let result = testbed.finished(asked).await?;
        let events = events(&result);
        let Some(Event::ExecutionCompleted(completed)) = events.last() else {
            panic!("{field}: {events:?}")
        };
        assert_ne!(completed.digest, honest, "{field}");
        assert_eq!(completed.digest, lied, "{field}");
        assert_eq!(settlement(result)?.digest, Some(completed.digest), "{field}");
    }
    Ok(())
}
