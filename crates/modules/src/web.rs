//! Code from the URLs that requests name.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use outlayer_fetch::{Guard, UrlError};
use reqwest::{Url, redirect};
use tokio::time::{Instant, timeout_at};

use crate::{CodeConfig, CodeError, DownloadError};

/// The longest time that a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// Downloads code. Clones are cheap.
#[derive(Clone, Debug)]
pub(crate) struct Web {
    /// It is made for the first download, because it reads the system's certificates. Most stores
    /// never download anything.
    http: Arc<OnceLock<reqwest::Client>>,
    guard: Guard,
    slow_start: Duration,
    timeout: Duration,
    redirects: usize,
    bytes_per_second: u32,
}

impl Web {
    pub(crate) fn new(config: &CodeConfig) -> Self {
        Self::guarded(config, Guard::new(config.allow_private_urls))
    }

    pub(crate) fn guarded(config: &CodeConfig, guard: Guard) -> Self {
        Self {
            http: Arc::default(),
            guard,
            slow_start: config.slow_start,
            timeout: config.timeout,
            redirects: config.redirects,
            bytes_per_second: config.min_bytes_per_second.max(1),
        }
    }

    fn http(&self) -> Result<&reqwest::Client, reqwest::Error> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let (guard, most) = (self.guard, self.redirects);
        let policy = redirect::Policy::custom(move |attempt| {
            if attempt.previous().len() > most {
                attempt.error(format!("more than {most} redirects"))
            } else if let Err(error) = guard.check(attempt.url()) {
                attempt.error(error)
            } else {
                attempt.follow()
            }
        });
        // A proxy would resolve names by itself and connect to addresses that nobody has checked.
        let http = reqwest::Client::builder()
            .timeout(self.timeout)
            .connect_timeout(self.timeout.min(CONNECT))
            .redirect(policy)
            .referer(false)
            .no_proxy()
            .dns_resolver(Arc::new(guard))
            .build()?;
        // When another thread was faster, its client is as good.
        Ok(self.http.get_or_init(|| http))
    }

    /// The bytes at `url`, at most `limit` of them. Their hash has not been checked.
    pub(crate) async fn download(&self, url: &str, limit: usize) -> Result<Vec<u8>, CodeError> {
        let failed = |source: DownloadError| CodeError::Download { url: shown(url), source };
        let too_large = || CodeError::TooLarge { source_name: shown(url), limit };
        let parsed = Url::parse(url).map_err(|error| failed(UrlError::Invalid(error).into()))?;
        self.guard.check(&parsed).map_err(|error| failed(error.into()))?;
        let http = self.http().map_err(|error| failed(error.into()))?;
        let sent = http.get(parsed).send().await;
        let mut response = sent.map_err(|error| failed(error.into()))?;
        if !response.status().is_success() {
            return Err(failed(DownloadError::Status(response.status())));
        }
        let announced = response.content_length().unwrap_or(0);
        if usize::try_from(announced).unwrap_or(usize::MAX) > limit {
            return Err(too_large());
        }
        let began = Instant::now();
        let mut bytes = Vec::new();
        loop {
            let next = timeout_at(began + self.allowed(bytes.len()), response.chunk()).await;
            let next = next.map_err(|_| {
                failed(DownloadError::TooSlow {
                    received: bytes.len(),
                    after: began.elapsed(),
                    least: self.bytes_per_second,
                })
            })?;
            let Some(received) = next.map_err(|error| failed(error.into()))? else {
                return Ok(bytes);
            };
            if received.len() > limit - bytes.len() {
                return Err(too_large());
            }
            bytes.extend_from_slice(&received);
        }
    }

    /// The time within which more than so many bytes must have arrived.
    fn allowed(&self, received: usize) -> Duration {
        let received = u64::try_from(received).unwrap_or(u64::MAX);
        let millis = received.saturating_mul(1_000) / u64::from(self.bytes_per_second);
        self.slow_start + Duration::from_millis(millis)
    }
}

/// A URL as a message may show it.
pub(crate) fn shown(url: &str) -> String {
    url.escape_debug().take(200).collect()
}
