//! What a request costs. All arithmetic on yoctoNEAR is checked: an amount that does not fit is an
//! error, and never wraps.
//!
//! Workers are paid for two things: the gas of the calls that they sign, which
//! [`answer_gas`] models from what the request asks for, and their work.

pub mod answer_gas;

use near_account_id::AccountId;
use near_token::NearToken;

use crate::{
    Compute, ExecutionRequest, ExecutionResponse, HttpLimits, RefusalCode, ResourceLimits,
    agreement::PAID_VOIDS,
    config::{Config, Prices},
    live_request::LiveRequest,
    request::seats,
    reserve::{kept_result_bytes, reserved_bytes},
    storage::journal_bytes,
};

/// What workers are paid for a unit of gas at least, the protocol's share deducted: twice NEAR's
/// lowest price (`min_gas_price` in mainnet's genesis), because the price rises while the network
/// is busy.
pub const LEAST_GAS_PRICE: NearToken = NearToken::from_yoctonear(200_000_000);

/// Why a request has no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PricingError {
    /// An amount is 2^128 yoctoNEAR or more.
    #[error("the {what} does not fit into 128 bits of yoctoNEAR")]
    Overflow {
        /// The name of the amount.
        what: &'static str,
    },
    /// The execution could cost more than the request allows.
    #[error(
        "the execution could cost {} yoctoNEAR, more than the max_fee of {} that the request \
         allows",
        found.as_yoctonear(),
        max.as_yoctonear()
    )]
    AboveMaxFee {
        /// The most that the execution could cost.
        found: NearToken,
        /// [`ExecutionRequest::max_fee`].
        max: NearToken,
    },
}

impl PricingError {
    /// The code with which the contract reports the error.
    pub fn code(&self) -> RefusalCode {
        match self {
            Self::Overflow { .. } => RefusalCode::AmountOverflow,
            Self::AboveMaxFee { .. } => RefusalCode::FeeAboveMax,
        }
    }
}

const OVERFLOW: PricingError = PricingError::Overflow { what: "fee" };

/// What the price of a request depends on, besides what its execution uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The most that the execution may use.
    pub limits: ResourceLimits,
    /// How many workers must agree.
    pub approvals: u8,
    /// How many more workers than that execute the request; not counted where one approval is
    /// enough.
    pub spares: u8,
    /// Bytes of arguments, environment and URL.
    pub text_bytes: u32,
    /// Length of the input, bytes.
    pub input_bytes: u32,
    /// What the request says about HTTP.
    pub http: HttpLimits,
    /// Whether a refund may have to create the payer's account, see [`may_be_created`].
    pub new_payer: bool,
    /// Whether its worker claims the request, because its execution takes long.
    pub takes_claims: bool,
}

/// Whether a transfer may have to create its receiver, which costs more. `None` is a payer that is
/// not known yet, so it may.
pub fn may_be_created(payer: Option<&AccountId>) -> bool {
    payer.is_none_or(|id| match id.as_bytes() {
        [b'0', b'x' | b's', rest @ ..] if rest.len() == 40 => is_hex(rest),
        bytes => bytes.len() == 64 && is_hex(bytes),
    })
}

fn is_hex(text: &[u8]) -> bool {
    text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl Asked {
    /// What the price of a request depends on that is made under `config`.
    pub fn of(config: &Config, request: &ExecutionRequest) -> Self {
        Self {
            limits: request.limits,
            approvals: request.approvals,
            spares: request.spares,
            text_bytes: length(request.text_bytes()),
            input_bytes: length(request.input.len() as u64),
            http: request.http_limits(),
            new_payer: may_be_created(request.refund_to.as_ref()),
            takes_claims: config.takes_claims(request),
        }
    }

    /// How many workers execute the request.
    pub fn seats(&self) -> u8 {
        seats(self.approvals, self.spares)
    }

    /// Whether a round of its workers may be void, because a key that they read has changed.
    pub fn may_be_void(&self) -> bool {
        self.approvals > 1 && self.limits.storage_reads > 0
    }
}

fn length(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

impl From<&LiveRequest> for Asked {
    fn from(request: &LiveRequest) -> Self {
        Self {
            limits: request.limits,
            approvals: request.approvals(),
            spares: request.seats().saturating_sub(request.approvals()),
            text_bytes: length(request.text_bytes()),
            input_bytes: request.input_bytes,
            http: request.http_limits(),
            new_payer: may_be_created(Some(request.payer())),
            takes_claims: request.claims.is_some(),
        }
    }
}

/// What an answer costs, and how it is divided. The protocol's share is deducted from each amount
/// when it is paid, see [`protocol_share`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fee {
    /// For the worker that sends the response: the gas of sending it, and the price of the bytes of
    /// input, output, journal, plan and transcript.
    pub submit: NearToken,
    /// For each worker that executed: the price of the code, of the exchanges that may be made and
    /// of the compute that was used, the gas of claiming the request if it takes claims, and where
    /// several workers must agree the gas of committing and revealing.
    pub share: NearToken,
    /// How many shares there are: 1 where one approval is enough, else approvals and spares.
    pub shares: u8,
    /// For each worker at the most, for rounds that were void before the last one: as many shares
    /// without compute as rounds that may follow a void one ([`PAID_VOIDS`]); 0 where no round can
    /// be void, because one approval is enough or the request reads no storage.
    pub voided: NearToken,
    /// For whoever closes the request: the gas of `close`; 0 where one approval is enough.
    pub close: NearToken,
}

impl Fee {
    /// The whole fee, if every share of it is paid, and as many void rounds as may be.
    pub fn total(&self) -> NearToken {
        self.checked_total().unwrap_or(NearToken::from_yoctonear(u128::MAX))
    }

    fn checked_total(&self) -> Option<NearToken> {
        let shares = self.share.checked_add(self.voided)?.checked_mul(self.shares.into())?;
        self.submit.checked_add(shares)?.checked_add(self.close)
    }
}

/// What one worker is paid for its code: `declared bytes x module byte price`.
///
/// # Errors
/// [`PricingError::Overflow`].
pub fn module_fee(prices: &Prices, limits: &ResourceLimits) -> Result<NearToken, PricingError> {
    prices.per_module_byte.checked_mul(limits.max_module_bytes.into()).ok_or(OVERFLOW)
}

/// What one worker is paid for HTTP: `declared exchanges x exchange price`.
fn http_fee(prices: &Prices, http: HttpLimits) -> Option<NearToken> {
    prices.per_exchange.checked_mul(http.exchanges.into())
}

/// The fee for an execution that used `used` and gave `data_bytes` of output, journal, plan and
/// transcript.
///
/// # Errors
/// [`PricingError::Overflow`]. An amount that does not fit is found here, so that
/// [`Fee::total`] fits.
pub fn fee(
    prices: &Prices,
    asked: &Asked,
    used: Compute,
    data_bytes: u64,
) -> Result<Fee, PricingError> {
    let module = module_fee(prices, &asked.limits)?;
    let gas = |gas: u64| prices.gas_price.checked_mul(gas.into());
    let unit = match used {
        Compute::Fuel(_) => prices.per_fuel,
        Compute::Gas(_) => prices.per_gas,
    };
    let bytes = data_bytes.saturating_add(asked.input_bytes.into());
    let own = answer_gas::agree(asked).saturating_add(answer_gas::claim(asked));
    let parts = || {
        let compute = unit.checked_mul(used.amount().into())?;
        let data = prices.per_byte.checked_mul(bytes.into())?;
        let least = gas(own)?.checked_add(module)?.checked_add(http_fee(prices, asked.http)?)?;
        let voids = if asked.may_be_void() { PAID_VOIDS } else { 0 };
        let fee = Fee {
            submit: gas(answer_gas::submit(asked, data_bytes))?.checked_add(data)?,
            share: least.checked_add(compute)?,
            shares: asked.seats(),
            voided: least.checked_mul(voids.into())?,
            close: gas(answer_gas::close(asked))?,
        };
        fee.checked_total().map(|_| fee)
    };
    parts().ok_or(OVERFLOW)
}

/// The most that an execution within the limits can cost.
///
/// # Errors
/// [`PricingError::Overflow`].
pub fn max_fee(prices: &Prices, asked: &Asked) -> Result<Fee, PricingError> {
    let limits = &asked.limits;
    let data_bytes = limits.data_bytes().saturating_add(asked.http.bytes.into());
    fee(prices, asked, limits.compute, data_bytes)
}

/// What a worker is due that has committed in a round which is void then, or that has committed to
/// a request, or claimed it, which is then cancelled: a share with no compute in it.
///
/// # Errors
/// [`PricingError::Overflow`].
pub fn least_fee(prices: &Prices, asked: &Asked) -> Result<NearToken, PricingError> {
    let nothing = Compute::new(asked.limits.compute.meter(), 0);
    fee(prices, asked, nothing, 0).map(|fee| fee.share)
}

/// What `response` costs. What the response reports is cut to the limits, so that no part of the
/// fee is above that of [`max_fee`].
///
/// # Errors
/// [`PricingError::Overflow`], which cannot happen where [`max_fee`] fits.
pub fn response_fee(
    prices: &Prices,
    asked: &Asked,
    response: &ExecutionResponse,
) -> Result<Fee, PricingError> {
    let limits = &asked.limits;
    let used =
        Compute::new(limits.compute.meter(), response.used.amount().min(limits.compute.amount()));
    let output = (response.output.len() as u64).min(limits.output_bytes.into());
    let journal = journal_bytes(&response.journal).min(limits.journal_bytes.into());
    let plan = (response.plan.len() as u64).min(limits.plan_bytes.into());
    let transcript = (response.transcript.len() as u64).min(asked.http.bytes.into());
    fee(prices, asked, used, output + journal + plan + transcript)
}

/// The protocol's share of an amount that a worker is paid, rounded down.
pub fn protocol_share(amount: NearToken, bps: u16) -> NearToken {
    const WHOLE_BPS: u128 = 10_000;
    let bps = u128::from(bps).min(WHOLE_BPS);
    let amount = amount.as_yoctonear();
    // Computed from quotient and remainder so that no wider integer is needed.
    NearToken::from_yoctonear(amount / WHOLE_BPS * bps + amount % WHOLE_BPS * bps / WHOLE_BPS)
}

/// The deposit that a request needs: the most that it can cost, and the reserve for its storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The most that the execution can cost, and how that would be divided.
    pub fee: Fee,
    /// [`Fee::total`] of `fee`.
    pub max_fee: NearToken,
    /// The part of each share that pays for downloading and compiling the code.
    pub module_fee: NearToken,
    /// What is set aside for the request's storage while it lives. It always comes back.
    pub storage_reserve: NearToken,
    /// The part of `storage_reserve` that is held after settlement, until the result that the
    /// request has kept is removed.
    pub result_reserve: NearToken,
    /// The price of a byte of contract storage.
    pub byte_cost: NearToken,
    /// `max_fee` and `storage_reserve` together, which is the least deposit that is accepted.
    pub total: NearToken,
}

/// The quote for `request`. `payer` is the account that gets refunds, or `None` for a request
/// without [`refund_to`](ExecutionRequest::refund_to) whose caller is not known. `id_bytes` is the
/// length of the account ids of contract, requester, signer and payer together
/// ([`MOST_ID_BYTES`](crate::reserve::MOST_ID_BYTES) where they are not known), and `byte_cost` the
/// price of a byte of contract storage (`env::storage_byte_cost()`).
///
/// # Errors
/// [`PricingError`]: an amount does not fit, or the execution could cost more than the request
/// allows.
pub fn quote(
    config: &Config,
    request: &ExecutionRequest,
    payer: Option<&AccountId>,
    id_bytes: u64,
    byte_cost: NearToken,
) -> Result<Quote, PricingError> {
    let asked = Asked { new_payer: may_be_created(payer), ..Asked::of(config, request) };
    let fee = max_fee(&config.prices, &asked)?;
    let max_fee = fee.total();
    if let Some(max) = request.max_fee.filter(|max| max_fee > *max) {
        return Err(PricingError::AboveMaxFee { found: max_fee, max });
    }
    let module_fee = module_fee(&config.prices, &request.limits)?;
    let cost = |bytes: u64| {
        let cost = byte_cost.checked_mul(bytes.into());
        cost.ok_or(PricingError::Overflow { what: "storage reserve" })
    };
    let storage_reserve = cost(reserved_bytes(request, id_bytes, config.takes_claims(request)))?;
    let result_reserve = cost(kept_result_bytes(request))?;
    let total =
        max_fee.checked_add(storage_reserve).ok_or(PricingError::Overflow { what: "total" })?;
    Ok(Quote { fee, max_fee, module_fee, storage_reserve, result_reserve, byte_cost, total })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{config, request, reserve::MOST_ID_BYTES, response};

    const PRICES: Prices = Prices {
        gas_price: NearToken::from_yoctonear(1_000),
        per_fuel: NearToken::from_yoctonear(3),
        per_gas: NearToken::from_yoctonear(2),
        per_byte: NearToken::from_yoctonear(10),
        per_module_byte: NearToken::from_yoctonear(100),
        per_exchange: NearToken::from_yoctonear(1_000),
    };

    fn yocto(amount: u128) -> NearToken {
        NearToken::from_yoctonear(amount)
    }

    fn asked(approvals: u8, spares: u8) -> Asked {
        let limits = ResourceLimits { max_module_bytes: 4, ..ResourceLimits::default() };
        Asked {
            limits,
            approvals,
            spares,
            text_bytes: 0,
            input_bytes: 7,
            http: HttpLimits::default(),
            new_payer: false,
            takes_claims: false,
        }
    }

    #[test]
    fn an_implicit_account_is_what_near_creates_when_it_is_paid() {
        for prefix in ["", "0x", "0s", "0", "x", "00"] {
            for length in [1, 39, 40, 41, 61, 62, 63, 64] {
                for letter in ["a", "0", "f", "g", "-"] {
                    let text = format!("{prefix}{}b", letter.repeat(length - 1));
                    let Ok(id) = text.parse::<AccountId>() else { continue };
                    let expected =
                        id.get_account_type() != near_account_id::AccountType::NamedAccount;
                    assert_eq!(may_be_created(Some(&id)), expected, "{id}");
                }
            }
        }
        assert!(may_be_created(None));
    }

    #[test]
    fn a_fee_is_the_gas_of_the_answer_and_the_work() {
        let one = asked(1, 9);
        let gas = |gas: u64| 1_000 * u128::from(gas);
        let submit = gas(answer_gas::submit(&one, 5));
        let expected =
            |share| Fee { submit: yocto(submit + 120), share: yocto(share), ..Fee::default() };
        for (used, share) in
            [(Compute::Fuel(5), 415), (Compute::Gas(5), 410), (Compute::Fuel(0), 400)]
        {
            let found = fee(&PRICES, &one, used, 5).unwrap();
            assert_eq!(found, Fee { shares: 1, ..expected(share) });
            assert_eq!(found.total(), yocto(submit + 120 + share));
        }
        assert_eq!(least_fee(&PRICES, &one), Ok(yocto(400)));
        assert_eq!(module_fee(&PRICES, &one.limits), Ok(yocto(400)));
        // Exchanges are paid for as they are declared.
        let http = HttpLimits { exchanges: 2, bytes: 5, ms: 9 };
        let reaching = Asked { http, ..one };
        assert_eq!(least_fee(&PRICES, &reaching), Ok(yocto(2_400)));
        let most = |asked| max_fee(&PRICES, asked).unwrap();
        let (with, without) = (most(&reaching), most(&one));
        assert_eq!(with.submit.as_yoctonear() - without.submit.as_yoctonear(), 50);
    }

    #[test]
    fn an_agreement_has_a_share_for_every_seat_and_a_price_for_its_close() {
        let three = asked(2, 1);
        let found = fee(&PRICES, &three, Compute::Fuel(5), 5).unwrap();
        let gas = |gas: u64| 1_000 * u128::from(gas);
        assert_eq!(found.share, yocto(gas(answer_gas::agree(&three)) + 415));
        assert_eq!(found.close, yocto(gas(answer_gas::close(&three))));
        assert_eq!(found.shares, 3);
        let whole = found.submit.as_yoctonear() + found.close.as_yoctonear();
        assert_eq!(found.total(), yocto(whole + 3 * found.share.as_yoctonear()));
        let far = Asked { new_payer: true, ..three };
        let dearer = fee(&PRICES, &far, Compute::Fuel(5), 5).unwrap();
        assert_eq!(dearer, Fee { close: yocto(gas(answer_gas::close(&far))), ..found });
        assert!(dearer.close > found.close);
        let without_compute = found.share.as_yoctonear() - 15;
        assert_eq!(least_fee(&PRICES, &three), Ok(yocto(without_compute)));
        assert_eq!(found.voided, yocto(0));
    }

    #[test]
    fn only_an_agreement_that_reads_storage_pays_beforehand_for_void_rounds() {
        let with_reads =
            |asked: Asked| Asked { limits: asked.limits.with_storage(1, 0, 0), ..asked };
        let of = |asked: &Asked| fee(&PRICES, asked, Compute::Fuel(5), 5).unwrap();
        let (three, one) = (with_reads(asked(2, 1)), with_reads(asked(1, 0)));
        let least = least_fee(&PRICES, &three).unwrap();
        let found = of(&three);
        assert_eq!(found.voided, least.saturating_mul(PAID_VOIDS.into()));
        let shares = found.share.as_yoctonear() + found.voided.as_yoctonear();
        let whole = found.submit.as_yoctonear() + found.close.as_yoctonear();
        assert_eq!(found.total(), yocto(whole + 3 * shares));
        assert_eq!(of(&one).voided, yocto(0));
        // What one more void round costs is there when nobody is due a share.
        assert!(found.share >= least);
    }

    #[test]
    fn amounts_that_do_not_fit_are_errors() {
        let most = yocto(u128::MAX);
        let one = asked(1, 0);
        let of = |prices: Prices, used| fee(&prices, &one, used, 0);
        assert_eq!(of(Prices { per_fuel: most, ..PRICES }, Compute::Fuel(1)), Err(OVERFLOW));
        assert_eq!(of(Prices { per_gas: most, ..PRICES }, Compute::Gas(2)), Err(OVERFLOW));
        assert_eq!(of(Prices { per_byte: most, ..PRICES }, Compute::Gas(0)), Err(OVERFLOW));
        assert_eq!(of(Prices { gas_price: most, ..PRICES }, Compute::Gas(0)), Err(OVERFLOW));
        assert!(of(PRICES, Compute::Fuel(u64::MAX)).is_ok());
        let half = Prices { per_module_byte: yocto(u128::MAX / 5), ..PRICES };
        assert_eq!(module_fee(&half, &one.limits).unwrap(), yocto(u128::MAX / 5 * 4));
        // One share fits, three do not.
        assert!(of(half, Compute::Fuel(1)).is_ok());
        assert_eq!(fee(&half, &asked(2, 1), Compute::Fuel(1), 0), Err(OVERFLOW));
        let overflow = |what| Err(PricingError::Overflow { what });
        assert_eq!(
            quote(&config::sample(), &request::sample(), None, 0, most),
            overflow("storage reserve")
        );
    }

    #[test]
    fn the_quote_is_the_most_that_a_request_can_cost_plus_its_reserve() {
        let (config, request) = (config::sample(), request::sample());
        let quote = quote(&config, &request, None, 99, yocto(10)).unwrap();
        assert_eq!(quote.fee, max_fee(&config.prices, &Asked::of(&config, &request)).unwrap());
        assert_eq!(quote.max_fee, quote.fee.total());
        assert_eq!(quote.module_fee, module_fee(&config.prices, &request.limits).unwrap());
        assert!(quote.module_fee > yocto(0) && quote.module_fee < quote.fee.share);
        assert_eq!(
            quote.storage_reserve,
            yocto(10 * u128::from(reserved_bytes(&request, 99, false)))
        );
        assert_eq!(
            quote.total,
            yocto(quote.max_fee.as_yoctonear() + quote.storage_reserve.as_yoctonear())
        );
    }

    #[test]
    fn a_request_that_could_cost_more_than_its_cap_has_no_price() {
        let (config, mut request) = (config::sample(), request::sample());
        let found = quote(&config, &request, None, 0, yocto(1)).unwrap().max_fee;
        request.max_fee = Some(found);
        assert_eq!(quote(&config, &request, None, 0, yocto(1)).unwrap().max_fee, found);
        let max = yocto(found.as_yoctonear() - 1);
        request.max_fee = Some(max);
        let error = quote(&config, &request, None, 0, yocto(1)).unwrap_err();
        assert_eq!(error, PricingError::AboveMaxFee { found, max });
        for amount in [found, max] {
            assert!(error.to_string().contains(&amount.as_yoctonear().to_string()), "{error}");
        }
    }

    /// What the README promises under the default configuration and limits.
    #[test]
    fn a_small_request_is_cheap() {
        const BYTE_COST: u128 = 10_000_000_000_000_000_000;
        let config = config::sample();
        let mut request = request::sample();
        request.input = Vec::new().into();
        let url = Some(format!("https://{}", "u".repeat(52)));
        request.code = crate::CodeRef { hash: crate::Hash32::of(b"code"), url }.into();
        let asked = Asked::of(&config, &request);
        let cost = |fuel| fee(&config.prices, &asked, Compute::Fuel(fuel), 0).unwrap().total();
        let (nothing, billion) = (cost(0).as_yoctonear(), cost(1_000_000_000).as_yoctonear());
        let milli = 10u128.pow(21);
        assert!(nothing <= 12 * milli / 10, "{nothing}");
        assert!(billion - nothing <= milli, "{billion}");
        request.limits.compute = Compute::Fuel(1_000_000_000);
        let quote = quote(&config, &request, None, MOST_ID_BYTES, yocto(BYTE_COST)).unwrap();
        assert!(quote.total.as_yoctonear() <= 30 * milli, "{quote:?}");
    }

    proptest! {
        #[test]
        fn the_protocols_share_is_its_part_rounded_down(
            amount in any::<u64>(),
            bps in any::<u16>(),
        ) {
            let share = protocol_share(yocto(amount.into()), bps).as_yoctonear();
            prop_assert_eq!(share, u128::from(amount) * u128::from(bps.min(10_000)) / 10_000);
        }

        #[test]
        fn no_share_exceeds_what_it_is_a_share_of(amount in any::<u128>(), bps in any::<u16>()) {
            let share = protocol_share(yocto(amount), bps).as_yoctonear();
            prop_assert!(share <= amount);
            prop_assert!(bps < 10_000 || share == amount);
        }

        #[test]
        fn no_response_costs_more_than_the_quote(
            used in any::<u64>(),
            limit in 1..u64::MAX,
            output in 0usize..9_000,
            allowed in 0u32..5_000,
            (plan, allowed_plan) in (0usize..500, 0u32..500),
            (transcript, bytes) in (0usize..500, 0u32..500),
            input_bytes in any::<u32>(),
            (approvals, spares) in (1u8..6, any::<u8>()),
            takes_claims in any::<bool>(),
        ) {
            let prices = config::sample().prices;
            let limits = ResourceLimits {
                compute: Compute::Fuel(limit),
                output_bytes: allowed,
                plan_bytes: allowed_plan,
                ..ResourceLimits::default()
            };
            let response = ExecutionResponse {
                used: Compute::Fuel(used),
                output: vec![0; output].into(),
                plan: vec![0; plan].into(),
                transcript: vec![0; transcript].into(),
                ..response::sample(7)
            };
            let new_payer = input_bytes % 2 == 0;
            let asked = Asked {
                limits,
                approvals,
                spares,
                text_bytes: 9,
                input_bytes,
                http: HttpLimits { exchanges: 3, bytes, ms: 1 },
                new_payer,
                takes_claims,
            };
            let cost = response_fee(&prices, &asked, &response).unwrap();
            let most = max_fee(&prices, &asked).unwrap();
            prop_assert!(cost.submit <= most.submit && cost.share <= most.share);
            prop_assert_eq!((cost.shares, cost.close), (most.shares, most.close));
            prop_assert!(cost.share >= least_fee(&prices, &asked).unwrap());
        }
    }
}
