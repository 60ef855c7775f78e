//! Code from the URLs that requests name.

use std::sync::Arc;

use reqwest::{Url, redirect};

use crate::{
    CodeConfig, CodeError, DownloadError, UrlError,
    guard::{PublicOnly, check_url},
};

/// Downloads code. Clones are cheap.
#[derive(Clone, Debug)]
pub(crate) struct Web {
    http: reqwest::Client,
    allow_private: bool,
}

impl Web {
    pub(crate) fn new(config: &CodeConfig) -> Result<Self, reqwest::Error> {
        let (allow_private, most) = (config.allow_private_urls, config.redirects);
        let policy = redirect::Policy::custom(move |attempt| {
            if attempt.previous().len() > most {
                attempt.error(format!("more than {most} redirects"))
            } else if let Err(error) = check_url(attempt.url(), allow_private) {
                attempt.error(error)
            } else {
                attempt.follow()
            }
        });
        let mut builder =
            reqwest::Client::builder().timeout(config.timeout).redirect(policy).referer(false);
        if !allow_private {
            builder = builder.dns_resolver(Arc::new(PublicOnly));
        }
        Ok(Self { http: builder.build()?, allow_private })
    }

    /// The bytes at `url`, at most `limit` of them. Their hash has not been checked.
    pub(crate) async fn download(&self, url: &str, limit: usize) -> Result<Vec<u8>, CodeError> {
        let failed = |source: DownloadError| CodeError::Download { url: shown(url), source };
        let parsed = Url::parse(url).map_err(|error| failed(UrlError::Invalid(error).into()))?;
        check_url(&parsed, self.allow_private).map_err(|error| failed(error.into()))?;
        let sent = self.http.get(parsed).send().await;
        let mut response = sent.map_err(|error| failed(error.into()))?;
        if !response.status().is_success() {
            return Err(failed(DownloadError::Status(response.status())));
        }
        let mut bytes = Vec::new();
        while let Some(received) = response.chunk().await.map_err(|error| failed(error.into()))? {
            if bytes.len() + received.len() > limit {
                return Err(CodeError::TooLarge { source_name: shown(url), limit });
            }
            bytes.extend_from_slice(&received);
        }
        Ok(bytes)
    }
}

/// A URL as a message may show it.
pub(crate) fn shown(url: &str) -> String {
    url.escape_debug().take(200).collect()
}
