//! Whether the contract takes a request: its values against the contract's bounds, its texts,
//! whether its longest execution would end in time, and whether its largest answer could be
//! settled.

use std::collections::BinaryHeap;

use outlayer_json::Quoted;

use crate::{
    CodeRef, CodeSource, Compute, ExecutionRequest, Limit, RefusalCode, ResourceLimits,
    capacity::{MAX_PROOF_BYTES, max_output_bytes, proof_bytes},
    code_name::MAX_NAMED_URL_BYTES,
    config::{Config, RequestBounds},
    context::is_reserved_variable,
    http::HostError,
    kept_result::MAX_KEEP_RESULT_BLOCKS,
    secrets::MAX_SECRETS,
};

/// Why a request is not taken. Each error says what was found and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// A value is above the contract's bound.
    #[error("{which} is {found}, more than the {max} that this contract allows")]
    AboveBound {
        /// The value that is too large.
        which: Limit,
        /// What the request asks for.
        found: u64,
        /// The most that the contract allows.
        max: u64,
    },
    /// Several workers could not agree in time.
    #[error(
        "several workers need {found} blocks to agree, two executions of the longest kind among \
         them: expected at most the {max} blocks until the yield times out"
    )]
    Agreement {
        /// How many blocks the workers may need.
        found: u64,
        /// How many there are.
        max: u64,
    },
    /// The largest answer could not be settled, see [`capacity`](crate::capacity).
    #[error(
        "settling the largest answer would read {found} bytes of state, a receipt of NEAR may read \
         {max}: ask for less input, output or journal, or fewer keys"
    )]
    Settlement {
        /// The most bytes that the settlement would read.
        found: u64,
        /// What NEAR allows.
        max: u64,
    },
    /// The execution might not end in time, see [`window`](crate::window).
    #[error(
        "{asked} might take longer than an execution may: with {memory_bytes} bytes of memory and \
         code of {max_module_bytes} bytes, at most {most} is accepted; ask for less compute, or \
         declare less memory or less code"
    )]
    Window {
        /// The compute that the request asks for.
        asked: Compute,
        /// The memory that it declares, bytes.
        memory_bytes: u64,
        /// The code that it declares, bytes.
        max_module_bytes: u32,
        /// The most compute that is accepted with this memory and code.
        most: Compute,
    },
    /// A value is zero and must not be.
    #[error("{which} is 0, at least 1 is needed")]
    Zero {
        /// The value that is zero.
        which: Limit,
    },
    /// The URL of the code does not start with `https://` or `http://`.
    #[error("the code's url must start with https:// or http://, found {}", Quoted(.found))]
    UrlScheme {
        /// The first 80 characters of the URL.
        found: String,
    },
    /// The name of an environment variable cannot be used.
    #[error(
        "{} is not a valid name for an environment variable: expected characters other \
         than '=' and NUL, at least one",
        Quoted(.found)
    )]
    VariableName {
        /// The first 80 characters of the name.
        found: String,
    },
    /// The system sets this environment variable itself.
    #[error(
        "the environment variable {} is the system's own: TZ, LANG and OUTLAYER_* cannot \
         be set",
        Quoted(.found)
    )]
    ReservedVariable {
        /// The first 80 characters of the name.
        found: String,
    },
    /// An environment variable is given twice.
    #[error("the environment variable {} is given twice", Quoted(.found))]
    DuplicateVariable {
        /// The first 80 characters of the name.
        found: String,
    },
    /// An argument, name or value has a NUL byte, which WASI cannot pass.
    #[error("arguments and environment cannot hold a NUL byte, found one in {}", Quoted(.found))]
    NulByte {
        /// The first 80 characters of the text.
        found: String,
    },
    /// The hosts that may be reached over HTTP are none, too many, or no hosts.
    #[error(transparent)]
    Hosts(#[from] HostError),
}

impl RequestError {
    /// The code with which the contract reports the error.
    pub fn code(&self) -> RefusalCode {
        match self {
            Self::AboveBound { .. } => RefusalCode::RequestAboveBound,
            Self::Settlement { .. } => RefusalCode::RequestTooLarge,
            Self::Window { .. } | Self::Agreement { .. } => RefusalCode::RequestTooSlow,
            Self::Zero { .. } => RefusalCode::RequestZero,
            Self::UrlScheme { .. } => RefusalCode::UrlScheme,
            Self::VariableName { .. } => RefusalCode::VariableName,
            Self::ReservedVariable { .. } => RefusalCode::ReservedVariable,
            Self::DuplicateVariable { .. } => RefusalCode::DuplicateVariable,
            Self::NulByte { .. } => RefusalCode::NulByte,
            Self::Hosts(_) => RefusalCode::HttpHost,
        }
    }
}

/// The start of a text, for an error.
fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}

impl CodeRef {
    /// Checks what a version of named code stands for.
    ///
    /// # Errors
    /// [`RequestError::AboveBound`] when the URL is longer than [`MAX_NAMED_URL_BYTES`], or
    /// [`RequestError::UrlScheme`].
    pub fn validate_named(&self) -> Result<(), RequestError> {
        let found = self.url.as_ref().map_or(0, |url| url.len() as u64);
        let max = MAX_NAMED_URL_BYTES.into();
        if found > max {
            return Err(RequestError::AboveBound { which: Limit::UrlBytes, found, max });
        }
        self.validate_scheme()
    }

    fn validate_scheme(&self) -> Result<(), RequestError> {
        match &self.url {
            Some(url) if !(url.starts_with("https://") || url.starts_with("http://")) => {
                Err(RequestError::UrlScheme { found: clip(url) })
            }
            _ => Ok(()),
        }
    }
}

impl ExecutionRequest {
    /// Checks the request against the contract's bounds, whether its longest execution would end in
    /// time, and whether its largest answer could be settled.
    ///
    /// # Errors
    /// The first [`RequestError`] found.
    pub fn validate(&self, config: &Config) -> Result<(), RequestError> {
        let RequestBounds {
            limits: max,
            input_bytes,
            args_env_bytes,
            url_bytes,
            approvals,
            http_exchanges,
            http_bytes,
            http_ms,
        } = config.bounds;
        let (http, has_http) = (self.http_limits(), self.http.is_some());
        let asked = &self.limits;
        let most_compute = config.max_compute(asked.compute.meter()).amount();
        let keep = u64::from(self.keep_result_blocks);
        let spares = self.seats().saturating_sub(self.approvals);
        let found_url_bytes = self.code.text_bytes();
        let bounds = [
            (Limit::Compute, asked.compute.amount(), most_compute, true),
            (Limit::MemoryBytes, asked.memory_bytes, max.memory_bytes, true),
            (Limit::TableElements, asked.table_elements.into(), max.table_elements.into(), false),
            (Limit::Instances, asked.instances.into(), max.instances.into(), true),
            (Limit::OutputBytes, asked.output_bytes.into(), max.output_bytes.into(), false),
            (Limit::LogBytes, asked.log_bytes.into(), max.log_bytes.into(), false),
            (Limit::JournalBytes, asked.journal_bytes.into(), max.journal_bytes.into(), false),
            (Limit::StorageReads, asked.storage_reads.into(), max.storage_reads.into(), false),
            (Limit::StorageWrites, asked.storage_writes.into(), max.storage_writes.into(), false),
            (Limit::HostCalls, asked.host_calls, max.host_calls, true),
            (Limit::ModuleBytes, asked.max_module_bytes.into(), max.max_module_bytes.into(), true),
            (Limit::PlanBytes, asked.plan_bytes.into(), max.plan_bytes.into(), false),
            (Limit::InputBytes, self.input.len() as u64, input_bytes.into(), false),
            (Limit::ArgsEnvBytes, self.args_env_bytes(), args_env_bytes.into(), false),
            (Limit::UrlBytes, found_url_bytes, url_bytes.into(), false),
            (Limit::Approvals, self.approvals.into(), approvals.into(), true),
            (Limit::Approvals, self.seats().into(), approvals.into(), true),
            // As many liars as approvals could agree on a lie, so no more are allowed for.
            (Limit::Spares, spares.into(), self.approvals.saturating_sub(1).into(), false),
            (Limit::KeepResultBlocks, keep, MAX_KEEP_RESULT_BLOCKS.into(), false),
            (Limit::HttpExchanges, http.exchanges.into(), http_exchanges.into(), has_http),
            (Limit::HttpBytes, http.bytes.into(), http_bytes.into(), has_http),
            (Limit::HttpMs, http.ms.into(), http_ms.into(), has_http),
            (Limit::Secrets, self.secrets.len() as u64, MAX_SECRETS.into(), false),
        ];
        for (which, found, max, nonzero) in bounds {
            if found > max {
                return Err(RequestError::AboveBound { which, found, max });
            }
            if nonzero && found == 0 {
                return Err(RequestError::Zero { which });
            }
        }
        self.validate_window(config)?;
        self.validate_capacity()?;
        if let CodeSource::Exact(code) = &self.code {
            code.validate_scheme()?;
        }
        if let Some(http) = &self.http {
            http.check_hosts()?;
        }
        self.validate_texts()
    }

    /// Checks that the longest execution ends in time.
    fn validate_window(&self, config: &Config) -> Result<(), RequestError> {
        let ResourceLimits { compute: asked, memory_bytes, max_module_bytes, .. } = self.limits;
        let most = config.most_compute(&self.limits, self.http_limits());
        if asked.amount() > most.amount() {
            return Err(RequestError::Window { asked, memory_bytes, max_module_bytes, most });
        }
        let (found, max) = (
            config.agreement_blocks(&self.limits, self.http_limits()),
            config.yield_timeout_blocks,
        );
        if self.approvals > 1 && found > max {
            return Err(RequestError::Agreement { found, max });
        }
        Ok(())
    }

    /// Checks that the largest answer can be settled within one receipt.
    fn validate_capacity(&self) -> Result<(), RequestError> {
        // The plan comes beside the output.
        let found = u64::from(self.limits.output_bytes) + u64::from(self.limits.plan_bytes);
        let max = u64::from(max_output_bytes(self.response_format));
        if found > max {
            let which = Limit::OutputBytes;
            return Err(RequestError::AboveBound { which, found, max });
        }
        let found = proof_bytes(self);
        if found > MAX_PROOF_BYTES {
            return Err(RequestError::Settlement { found, max: MAX_PROOF_BYTES });
        }
        Ok(())
    }

    fn validate_texts(&self) -> Result<(), RequestError> {
        let secrets = || self.secrets.iter().map(|secret| &secret.name);
        let names = || self.env.iter().map(|(name, _)| name).chain(secrets());
        for name in names() {
            if name.is_empty() || name.contains('=') {
                return Err(RequestError::VariableName { found: clip(name) });
            }
            if is_reserved_variable(name) {
                return Err(RequestError::ReservedVariable { found: clip(name) });
            }
        }
        // A heap, because `sort_unstable` alone would be 9 KB of the contract's Wasm.
        let names: BinaryHeap<_> = names().collect();
        if let Some([name, _]) =
            names.into_sorted_vec().array_windows().find(|[one, next]| one == next)
        {
            return Err(RequestError::DuplicateVariable { found: clip(name) });
        }
        let texts = self.args.iter().chain(self.env.iter().flat_map(|(name, value)| [name, value]));
        match texts.chain(secrets()).find(|text| text.contains('\0')) {
            Some(text) => Err(RequestError::NulByte { found: clip(text) }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Hash32, HttpAccess, HttpLimits, ResponseFormat,
        capacity::{MAX_OUTPUT_BYTES, MAX_RETURNED_BYTES, max_output_bytes},
        config, request,
        reserve::max_body_bytes,
    };

    fn check(change: impl FnOnce(&mut ExecutionRequest)) -> Result<(), RequestError> {
        let mut request = request::sample();
        change(&mut request);
        request.validate(&config::sample())
    }

    /// A request that allows nothing but an output.
    fn asked(format: ResponseFormat, output_bytes: u32) -> ExecutionRequest {
        let mut asked = request::sample();
        asked.response_format = format;
        asked.limits.output_bytes = output_bytes;
        asked.limits.journal_bytes = 0;
        asked.limits.storage_reads = 0;
        asked.limits.storage_writes = 0;
        asked
    }

    #[test]
    fn fewer_workers_are_spare_than_must_agree() {
        let spares = |approvals, spares| check(|r| (r.approvals, r.spares) = (approvals, spares));
        let refused =
            |found, max| Err(RequestError::AboveBound { which: Limit::Spares, found, max });
        assert_eq!(spares(1, 9), Ok(()));
        assert_eq!(spares(2, 1), Ok(()));
        assert_eq!(spares(2, 2), refused(2, 1));
        assert_eq!(spares(3, 2), Ok(()));
        assert_eq!((spares(2, 9).is_err(), spares(5, 1).is_err()), (true, true));
    }

    #[test]
    fn the_sample_is_valid_and_bounds_name_what_was_found() {
        assert_eq!(check(|_| ()), Ok(()));
        let error = check(|r| r.limits.memory_bytes = u64::MAX).unwrap_err();
        assert!(matches!(
            error,
            RequestError::AboveBound { which: Limit::MemoryBytes, found: u64::MAX, .. }
        ));
        assert!(
            error.to_string().starts_with("memory_bytes is 18446744073709551615, more than the ")
        );
        assert_eq!(check(|r| r.approvals = 0), Err(RequestError::Zero { which: Limit::Approvals }));
        assert_eq!(
            check(|r| r.limits.compute = Compute::Gas(0)),
            Err(RequestError::Zero { which: Limit::Compute })
        );
    }

    #[test]
    fn what_might_not_end_in_time_is_refused_with_the_most_that_would() {
        let config = config::sample();
        let most = |memory_bytes: u64, compute: Compute| {
            let change = |r: &mut ExecutionRequest| {
                (r.limits.memory_bytes, r.limits.compute) = (memory_bytes, compute);
            };
            let error = check(change).unwrap_err();
            let RequestError::Window { asked, most, .. } = error else { panic!("{error}") };
            assert_eq!(asked, compute);
            assert!(error.to_string().contains(&format!("at most {most} is accepted")), "{error}");
            let accepted = |compute| {
                check(|r| (r.limits.memory_bytes, r.limits.compute) = (memory_bytes, compute))
            };
            assert_eq!(accepted(most), Ok(()));
            let more = Compute::new(most.meter(), most.amount() + 1);
            assert!(matches!(accepted(more), Err(RequestError::Window { .. })));
            most.amount()
        };
        let fuel = Compute::Fuel(1_000_000_000_000);
        let gas = Compute::Gas(1_000_000_000_000_000_000);
        for compute in [fuel, gas] {
            let rows = [16 << 20, 64 << 20, 256 << 20].map(|memory| most(memory, compute));
            assert!(rows.is_sorted_by(|less, more| less > more), "{rows:?}");
        }
        // The owner's own bound comes first, and is what the message names where it is lower.
        let low = Config { max_fuel: 1_000, ..config };
        let mut request = request::sample();
        request.limits.compute = Compute::Fuel(1_001);
        let error = request.validate(&low).unwrap_err();
        assert!(matches!(
            error,
            RequestError::AboveBound { which: Limit::Compute, max: 1_000, .. }
        ));
    }

    #[test]
    fn a_request_for_http_names_hosts_and_stays_within_bounds_and_time() {
        let reaching = |change: fn(&mut HttpAccess)| {
            check(|request| {
                let mut access = HttpAccess::to(vec!["api.example.com".to_owned()]);
                change(&mut access);
                request.http = Some(access);
            })
        };
        let above = |which, found, max| Err(RequestError::AboveBound { which, found, max });
        assert_eq!(reaching(|_| ()), Ok(()));
        let no_host = HostError::Host { found: "https://a.b".to_owned() };
        assert_eq!(reaching(|http| http.hosts.push("https://a.b".to_owned())), Err(no_host.into()));
        assert_eq!(reaching(|http| http.hosts.clear()), Err(HostError::Count { found: 0 }.into()));
        assert_eq!(reaching(|http| http.max_exchanges = 17), above(Limit::HttpExchanges, 17, 16));
        assert_eq!(
            reaching(|http| http.max_bytes = 65_537),
            above(Limit::HttpBytes, 65_537, 65_536)
        );
        assert_eq!(reaching(|http| http.max_ms = 30_001), above(Limit::HttpMs, 30_001, 30_000));
        for zero in [
            reaching(|http| http.max_exchanges = 0),
            reaching(|http| http.max_bytes = 0),
            reaching(|http| http.max_ms = 0),
        ] {
            assert!(matches!(zero, Err(RequestError::Zero { .. })), "{zero:?}");
        }
        // The time for exchanges is not there for computing.
        let mut request = request::sample();
        let config = config::sample();
        request.limits.compute = config.most_compute(&request.limits, HttpLimits::default());
        assert_eq!(request.validate(&config), Ok(()));
        request.http = Some(HttpAccess::to(vec!["a.b".to_owned()]));
        assert!(matches!(request.validate(&config), Err(RequestError::Window { .. })));
        request.limits.compute = config.most_compute(&request.limits, request.http_limits());
        assert_eq!(request.validate(&config), Ok(()));
    }

    #[test]
    fn declared_code_takes_from_the_time_for_compute() {
        let config = config::sample();
        let largest = config.bounds.limits.max_module_bytes;
        let mut request = request::sample();
        request.limits.compute = config.most_compute(&request.limits, HttpLimits::default());
        assert_eq!(request.validate(&config), Ok(()));
        request.limits.max_module_bytes = largest;
        assert!(matches!(request.validate(&config), Err(RequestError::Window { .. })));
        request.limits.compute = Compute::Fuel(1);
        assert_eq!(request.validate(&config), Ok(()));
        let of_code = |bytes| check(|r| r.limits.max_module_bytes = bytes);
        assert_eq!(of_code(0), Err(RequestError::Zero { which: Limit::ModuleBytes }));
        assert_eq!(
            of_code(largest + 1),
            Err(RequestError::AboveBound {
                which: Limit::ModuleBytes,
                found: u64::from(largest) + 1,
                max: largest.into(),
            })
        );
        // A window that the code alone exceeds leaves nothing.
        let short = Config { yield_timeout_blocks: 1, ..config };
        let error = request.validate(&short).unwrap_err();
        assert!(error.to_string().contains("at most 0 fuel is accepted"), "{error}");
    }

    #[test]
    fn a_callers_variables_cannot_shadow_the_systems() {
        let var = |name: &str| vec![(name.to_owned(), "x".to_owned())];
        for name in ["TZ", "LANG", "OUTLAYER_RANDOM_SEED", "OUTLAYER_"] {
            assert_eq!(
                check(|r| r.env = var(name)),
                Err(RequestError::ReservedVariable { found: name.to_owned() })
            );
        }
        assert_eq!(
            check(|r| r.env = var("A=B")),
            Err(RequestError::VariableName { found: "A=B".to_owned() })
        );
        assert_eq!(
            check(|r| r.env = var("A\0B")),
            Err(RequestError::NulByte { found: "A\0B".to_owned() })
        );
        assert_eq!(
            check(|r| r.env = [var("A"), var("A")].concat()),
            Err(RequestError::DuplicateVariable { found: "A".to_owned() })
        );
    }

    #[test]
    fn only_web_addresses_name_code() {
        let at = |url: &str| CodeRef { hash: Hash32::default(), url: Some(url.to_owned()) };
        let found = || "file:///etc/passwd".to_owned();
        let error = check(|r| r.code = at(&found()).into()).unwrap_err();
        assert_eq!(error, RequestError::UrlScheme { found: found() });
        assert_eq!(at(&found()).validate_named(), Err(RequestError::UrlScheme { found: found() }));
    }

    #[test]
    fn a_name_counts_as_the_longest_url_that_it_may_stand_for() {
        let url = |bytes: u32| CodeRef {
            hash: Hash32::default(),
            url: Some(format!("https://{}", "u".repeat(bytes as usize - 8))),
        };
        let max = u64::from(MAX_NAMED_URL_BYTES);
        assert_eq!(url(MAX_NAMED_URL_BYTES).validate_named(), Ok(()));
        let refused = |found, max| RequestError::AboveBound { which: Limit::UrlBytes, found, max };
        let long = url(MAX_NAMED_URL_BYTES + 1);
        assert_eq!(long.validate_named(), Err(refused(max + 1, max)));

        let mut request = request::sample();
        request.code = CodeSource::Named { name: "alice.near/median".to_owned() };
        let mut config = config::sample();
        config.bounds.url_bytes = 400;
        assert_eq!(request.validate(&config), Ok(()));
        config.bounds.url_bytes = 399;
        assert_eq!(request.validate(&config), Err(refused(400, 399)));
    }

    #[test]
    fn the_largest_output_is_accepted_and_one_byte_more_is_not() {
        for format in [ResponseFormat::Json, ResponseFormat::Borsh] {
            let max = max_output_bytes(format);
            assert_eq!(asked(format, max).validate(&config::sample()), Ok(()));
            let refused = RequestError::AboveBound {
                which: Limit::OutputBytes,
                found: u64::from(max) + 1,
                max: max.into(),
            };
            assert_eq!(asked(format, max + 1).validate_capacity(), Err(refused));
        }
    }

    /// The view `get_response` gives a byte, and all of the answer that is staged. A request with
    /// writes has less room: what they replace is read, too.
    #[test]
    fn the_largest_answer_that_is_accepted_comes_in_one_result_of_a_view() {
        let with_transcript = |bytes| {
            let mut request = asked(ResponseFormat::Borsh, MAX_OUTPUT_BYTES / 2);
            request.limits.storage_reads = 16;
            request.limits.plan_bytes = 8 << 10;
            let access = HttpAccess::to(vec!["a.example".to_owned()]);
            request.http = Some(HttpAccess { max_bytes: bytes, ..access });
            request
        };
        let (mut accepted, mut refused) = (1, MAX_OUTPUT_BYTES);
        while refused - accepted > 1 {
            let bytes = accepted.midpoint(refused);
            match with_transcript(bytes).validate_capacity() {
                Ok(()) => accepted = bytes,
                Err(_) => refused = bytes,
            }
        }
        let refused = with_transcript(refused).validate_capacity();
        assert!(matches!(refused, Err(RequestError::Settlement { .. })), "{refused:?}");
        let largest = with_transcript(accepted);
        let body = max_body_bytes(&largest.limits, largest.http_limits());
        assert!(body > MAX_PROOF_BYTES * 9 / 10, "{body}");
        assert!(body < MAX_RETURNED_BYTES, "{body}");
    }

    #[test]
    fn what_is_asked_for_together_must_fit() {
        let mut largest = asked(ResponseFormat::Borsh, MAX_OUTPUT_BYTES);
        largest.input = vec![0; 100_000].into();
        let found = proof_bytes(&largest);
        assert_eq!(
            largest.validate_capacity(),
            Err(RequestError::Settlement { found, max: MAX_PROOF_BYTES })
        );
        largest.limits.output_bytes -= 100_000;
        assert_eq!(largest.validate_capacity(), Ok(()));
        largest.limits.storage_writes = 1;
        assert!(largest.validate_capacity().is_err());
    }
}
