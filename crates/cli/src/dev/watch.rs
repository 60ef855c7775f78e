//! Guests that follow their files.

use std::time::Duration;

use outlayer_client::Contract;
use tokio::time;

use super::{
    guests::Guest,
    report::{Event, Report},
};

/// How often the files are looked at.
const EVERY: Duration = Duration::from_millis(200);

/// Publishes the guests again whenever their files change. Does not end.
pub(super) async fn watch(mut guests: Vec<Guest>, contract: Contract, report: Report) {
    loop {
        time::sleep(EVERY).await;
        for guest in &mut guests {
            if !guest.has_changed().await {
                continue;
            }
            let before = guest.published();
            match guest.publish(&contract).await {
                // A build that gives the same bytes is no news.
                Ok(published) if before == Some(published.code_hash) => {}
                Ok(published) => report.say(Event::Published(published)),
                Err(error) => {
                    let reason = format!("{error:#}; the version before it stays");
                    report.say(Event::Failed { request_id: None, reason });
                }
            }
        }
    }
}
