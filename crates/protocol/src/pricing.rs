//! What a request costs. All arithmetic on yoctoNEAR is checked: an amount that does not fit is an
//! error, and never wraps.

use near_token::NearToken;

use crate::{
    Compute, ExecutionRequest, ExecutionResponse, RefusalCode, ResourceLimits,
    config::{Config, Prices},
    reserve::{kept_result_bytes, reserved_bytes},
    storage::journal_bytes,
};

/// An amount is 2^128 yoctoNEAR or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {what} does not fit into 128 bits of yoctoNEAR")]
pub struct PricingError {
    /// The name of the amount.
    pub what: &'static str,
}

impl PricingError {
    /// The code with which the contract reports the error.
    pub fn code(&self) -> RefusalCode {
        RefusalCode::AmountOverflow
    }
}

fn overflow(what: &'static str) -> PricingError {
    PricingError { what }
}

/// What a request pays for its code: `declared bytes x module byte price`.
///
/// # Errors
/// [`PricingError`] when the product does not fit.
pub fn module_fee(prices: &Prices, limits: &ResourceLimits) -> Result<NearToken, PricingError> {
    prices.per_module_byte.checked_mul(limits.max_module_bytes.into()).ok_or(overflow("fee"))
}

/// The fee: `base fee + declared bytes of code x module byte price + used x unit price + bytes x
/// byte price`, where bytes are those of input, output and journal.
///
/// # Errors
/// [`PricingError`] when the sum does not fit.
pub fn fee(
    prices: &Prices,
    limits: &ResourceLimits,
    used: Compute,
    bytes: u64,
) -> Result<NearToken, PricingError> {
    let module = module_fee(prices, limits)?;
    let unit = match used {
        Compute::Fuel(_) => prices.per_fuel,
        Compute::Gas(_) => prices.per_gas,
    };
    let compute = unit.checked_mul(used.amount().into());
    let data = prices.per_byte.checked_mul(bytes.into());
    compute
        .zip(data)
        .and_then(|(compute, data)| compute.checked_add(data)?.checked_add(module))
        .and_then(|fee| fee.checked_add(prices.base_fee))
        .ok_or(overflow("fee"))
}

/// The most that an execution within `limits` can cost.
///
/// # Errors
/// [`PricingError`] when the fee does not fit.
pub fn max_fee(
    prices: &Prices,
    limits: &ResourceLimits,
    input_bytes: u32,
) -> Result<NearToken, PricingError> {
    let bytes =
        u64::from(input_bytes) + u64::from(limits.output_bytes) + u64::from(limits.journal_bytes);
    fee(prices, limits, limits.compute, bytes)
}

/// What a request costs at the least once a worker has worked for it: the base fee, and the price
/// of its code.
///
/// # Errors
/// [`PricingError`] when the sum does not fit.
pub fn least_fee(prices: &Prices, limits: &ResourceLimits) -> Result<NearToken, PricingError> {
    fee(prices, limits, Compute::new(limits.compute.meter(), 0), 0)
}

/// What `response` costs. What the response reports is cut to the limits, so that the fee is never
/// above [`max_fee`].
///
/// # Errors
/// [`PricingError`] when the fee does not fit, which cannot happen where [`max_fee`] fits.
pub fn response_fee(
    prices: &Prices,
    limits: &ResourceLimits,
    input_bytes: u32,
    response: &ExecutionResponse,
) -> Result<NearToken, PricingError> {
    let used =
        Compute::new(limits.compute.meter(), response.used.amount().min(limits.compute.amount()));
    let output = (response.output.len() as u64).min(limits.output_bytes.into());
    let journal = journal_bytes(&response.journal).min(limits.journal_bytes.into());
    fee(prices, limits, used, u64::from(input_bytes) + output + journal)
}

/// What an answer costs, and how it is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fee {
    /// For the worker that sends the body.
    pub submit: NearToken,
    /// For each worker that executed.
    pub share: NearToken,
    /// How many shares there are.
    pub shares: u8,
    /// For whoever closes the request.
    pub close: NearToken,
}

impl Fee {
    /// All of it.
    pub fn total(&self) -> NearToken {
        self.share
            .saturating_mul(self.shares.into())
            .saturating_add(self.submit)
            .saturating_add(self.close)
    }
}

/// The protocol's share of a payment (rounded down).
pub fn protocol_share(amount: NearToken, protocol_share_bps: u16) -> NearToken {
    split_fee(amount, protocol_share_bps, 1).protocol
}

/// How a fee is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeShares {
    /// The protocol's share.
    pub protocol: NearToken,
    /// The share of each worker.
    pub each: NearToken,
    /// What does not divide evenly. It goes to the worker that submitted, in addition to its share.
    pub remainder: NearToken,
}

/// Divides `fee` into the protocol's share (rounded down) and equal shares for `workers` workers
/// (at least one).
pub fn split_fee(fee: NearToken, protocol_share_bps: u16, workers: u32) -> FeeShares {
    const WHOLE_BPS: u128 = 10_000;
    let bps = u128::from(protocol_share_bps).min(WHOLE_BPS);
    let total = fee.as_yoctonear();
    // total * bps / 10,000, computed from quotient and remainder so that no wider integer is
    // needed.
    let protocol = total / WHOLE_BPS * bps + total % WHOLE_BPS * bps / WHOLE_BPS;
    let rest = total - protocol;
    let workers = u128::from(workers.max(1));
    FeeShares {
        protocol: NearToken::from_yoctonear(protocol),
        each: NearToken::from_yoctonear(rest / workers),
        remainder: NearToken::from_yoctonear(rest % workers),
    }
}

/// The deposit that a request needs: the most that it can cost, and the reserve for its storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The most that the execution can cost.
    pub max_fee: NearToken,
    /// The part of `max_fee` that pays for downloading and compiling the code.
    pub module_fee: NearToken,
    /// What is set aside for the request's storage while it lives. It always comes back.
    pub storage_reserve: NearToken,
    /// What a worker is paid for closing the request or its shares.
    pub close_fee: NearToken,
    /// The price of a byte of contract storage.
    pub byte_cost: NearToken,
    /// The part of `storage_reserve` that is held after settlement, until the result that the
    /// request has kept is removed.
    pub result_reserve: NearToken,
    /// `max_fee` and `storage_reserve` together, which is the least deposit that is accepted.
    pub total: NearToken,
}

/// The quote for `request`. `byte_cost` is the price of a byte of contract storage
/// (`env::storage_byte_cost()`).
///
/// # Errors
/// [`PricingError`] when an amount does not fit.
pub fn quote(
    config: &Config,
    request: &ExecutionRequest,
    byte_cost: NearToken,
) -> Result<Quote, PricingError> {
    let input_bytes = u32::try_from(request.input.len()).map_err(|_| overflow("fee"))?;
    let share = max_fee(&config.prices, &request.limits, input_bytes)?;
    let (shares, submit) = (request.seats(), config.prices.base_fee);
    let close = if shares > 1 { submit } else { NearToken::from_yoctonear(0) };
    let max_fee = Fee { submit, share, shares, close }.total();
    let module_fee = module_fee(&config.prices, &request.limits)?;
    let storage_reserve =
        byte_cost.checked_mul(reserved_bytes(request).into()).ok_or(overflow("storage reserve"))?;
    let result_reserve = byte_cost
        .checked_mul(kept_result_bytes(request).into())
        .ok_or(overflow("storage reserve"))?;
    let total = max_fee.checked_add(storage_reserve).ok_or(overflow("total"))?;
    Ok(Quote {
        max_fee,
        module_fee,
        storage_reserve,
        result_reserve,
        close_fee: close,
        byte_cost,
        total,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{config, request, response};

    fn yocto(amount: u128) -> NearToken {
        NearToken::from_yoctonear(amount)
    }

    #[test]
    fn a_fee_is_the_sum_of_its_parts() {
        let prices = Prices {
            base_fee: yocto(1_000),
            per_fuel: yocto(3),
            per_gas: yocto(2),
            per_byte: yocto(10),
            per_module_byte: yocto(100),
        };
        let limits = ResourceLimits { max_module_bytes: 4, ..ResourceLimits::default() };
        let fee = |used, bytes| fee(&prices, &limits, used, bytes);
        assert_eq!(fee(Compute::Fuel(5), 7), Ok(yocto(1_000 + 400 + 15 + 70)));
        assert_eq!(fee(Compute::Gas(5), 7), Ok(yocto(1_000 + 400 + 10 + 70)));
        assert_eq!(fee(Compute::Fuel(0), 0), Ok(yocto(1_000 + 400)));
        assert_eq!(least_fee(&prices, &limits), Ok(yocto(1_000 + 400)));
        assert_eq!(module_fee(&prices, &limits), Ok(yocto(400)));
    }

    #[test]
    fn amounts_that_do_not_fit_are_errors() {
        let most = yocto(u128::MAX);
        let (nothing, too_much) = (yocto(0), Err(PricingError { what: "fee" }));
        let prices = Prices {
            base_fee: yocto(1),
            per_fuel: yocto(2),
            per_gas: most,
            per_byte: nothing,
            per_module_byte: nothing,
        };
        let limits = ResourceLimits { max_module_bytes: 2, ..ResourceLimits::default() };
        assert_eq!(fee(&prices, &limits, Compute::Gas(2), 0), too_much);
        assert_eq!(fee(&prices, &limits, Compute::Gas(1), 0), too_much);
        assert_eq!(
            fee(&prices, &limits, Compute::Fuel(u64::MAX), u64::MAX),
            Ok(yocto(2 * u128::from(u64::MAX) + 1))
        );
        let dear_code = Prices { per_module_byte: most, ..prices };
        assert_eq!(module_fee(&dear_code, &limits), too_much);
        let dear_code = Prices { per_module_byte: yocto(u128::MAX / 2), ..prices };
        assert_eq!(module_fee(&dear_code, &limits), Ok(yocto(u128::MAX - 1)));
        assert_eq!(least_fee(&dear_code, &limits), Ok(most));
        assert_eq!(fee(&dear_code, &limits, Compute::Fuel(1), 0), too_much);
        let request = request::sample();
        assert_eq!(
            quote(&config::sample(), &request, most),
            Err(PricingError { what: "storage reserve" })
        );
    }

    #[test]
    fn the_quote_is_the_most_that_a_request_can_cost_plus_its_reserve() {
        let (config, request) = (config::sample(), request::sample());
        let quote = quote(&config, &request, yocto(10)).unwrap();
        let share = max_fee(&config.prices, &request.limits, 5).unwrap();
        assert_eq!(quote.max_fee, config.prices.base_fee.saturating_add(share));
        assert_eq!(quote.module_fee, module_fee(&config.prices, &request.limits).unwrap());
        assert!(quote.module_fee > yocto(0) && quote.module_fee < quote.max_fee);
        assert_eq!(quote.storage_reserve, yocto(10 * u128::from(reserved_bytes(&request))));
        assert_eq!(
            quote.total,
            yocto(quote.max_fee.as_yoctonear() + quote.storage_reserve.as_yoctonear())
        );
    }

    proptest! {
        #[test]
        fn shares_add_up_to_the_fee(
            total in any::<u128>(),
            bps in any::<u16>(),
            workers in 0u32..20,
        ) {
            let shares = split_fee(yocto(total), bps, workers);
            let paid = shares.protocol.as_yoctonear()
                + shares.each.as_yoctonear() * u128::from(workers.max(1))
                + shares.remainder.as_yoctonear();
            prop_assert_eq!(paid, total);
            prop_assert!(shares.remainder.as_yoctonear() < u128::from(workers.max(1)));
        }

        #[test]
        fn no_response_costs_more_than_the_quote(
            used in any::<u64>(),
            limit in 1..u64::MAX,
            output in 0usize..9_000,
            allowed in 0u32..5_000,
            input in any::<u32>(),
        ) {
            let prices = config::sample().prices;
            let limits = ResourceLimits {
                compute: Compute::Fuel(limit), output_bytes: allowed, ..ResourceLimits::default()
            };
            let response = ExecutionResponse {
                used: Compute::Fuel(used), output: vec![0; output].into(), ..response::sample(7)
            };
            let cost = response_fee(&prices, &limits, input, &response).unwrap();
            prop_assert!(cost <= max_fee(&prices, &limits, input).unwrap());
            prop_assert!(cost >= least_fee(&prices, &limits).unwrap());
        }
    }
}
