//! Asks several servers for a price, and answers with the median.
//!
//! The input is JSON: `{"sources": ["https://a.example/price", …], "max_age": 600}`. Each source
//! answers with JSON that has a field `price`, a number or a decimal text. The transform cuts it to
//! whole cents before it enters the transcript, so that workers who ask at different moments are
//! told the same as long as the price does not cross a cent.
//!
//! More than half of the sources must answer. The median of so many is between two honest answers
//! as long as fewer than half of those that answered lie. Otherwise the last price is used that was
//! kept in storage, if it is no older than `max_age` seconds, and else there is none.

use std::error::Error;

use outlayer_sdk::{
    context,
    http::{self, Request, Response},
    input, output, storage, transform,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where the last price is kept.
const KEY: &[u8] = b"price";
/// How often a source may send the guest elsewhere.
const REDIRECTS: u32 = 1;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    sources: Vec<String>,
    /// Seconds.
    max_age: u64,
}

/// The output, and what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Price {
    cents: u64,
    /// How many sources gave it.
    sources: usize,
    /// When, in nanoseconds since 1970: the time of the request's block.
    at: u64,
}

transform!(whole_cents);

/// Leaves the price alone, in whole cents. A redirect keeps where it leads.
fn whole_cents(_: Request, response: Response) -> Option<Response> {
    let (headers, body) = if response.is_success() {
        let answer: Value = serde_json::from_slice(&response.body).ok()?;
        (Vec::new(), cents(answer.get("price")?)?.to_string().into_bytes())
    } else {
        let location = response.headers.into_iter().filter(|(name, _)| name == "location");
        (location.collect(), Vec::new())
    };
    Some(Response { status: response.status, headers, body })
}

/// A price in cents; what is less than a cent is cut off.
fn cents(price: &Value) -> Option<u64> {
    let text = match price {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let is_number = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let hundredths: String = fraction.chars().chain("00".chars()).take(2).collect();
    whole.parse::<u64>().ok()?.checked_mul(100)?.checked_add(hundredths.parse().ok()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let Input { sources, max_age } = serde_json::from_str(&input::text()?)?;
    let mut found = Vec::new();
    for source in &sources {
        match ask(source) {
            Ok(cents) => found.push(cents),
            Err(error) => output::log(format!("{source}: {error}")),
        }
    }
    let at = context::current().block_timestamp;
    let price = if found.len() * 2 > sources.len() {
        let price = Price { cents: median(&mut found), sources: found.len(), at };
        storage::write(KEY, &serde_json::to_vec(&price)?);
        price
    } else {
        let kept = storage::read(KEY).ok_or("too few sources answer, and no price is kept")?;
        let kept: Price = serde_json::from_slice(&kept)?;
        if at.saturating_sub(kept.at) > max_age.saturating_mul(1_000_000_000) {
            return Err("too few sources answer, and the price that is kept is too old".into());
        }
        kept
    };
    output::write(serde_json::to_string(&price)?);
    Ok(())
}

fn ask(source: &str) -> Result<u64, Box<dyn Error>> {
    let response = Request::get(source).follow(REDIRECTS).send()?;
    if !response.is_success() {
        return Err(format!("status {}", response.status).into());
    }
    Ok(response.text().ok_or(http::Error::TransformFailed)?.parse()?)
}

/// The middle one, or the lower of the two in the middle.
fn median(found: &mut [u64]) -> u64 {
    found.sort_unstable();
    found.get(found.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_price_is_cut_to_cents() {
        let prices =
            [("5", 500), ("5.4", 540), ("5.439", 543), ("0.009", 0), ("184467.99", 18_446_799)];
        for (price, expected) in prices {
            assert_eq!(cents(&json!(price)), Some(expected), "{price}");
        }
        assert_eq!(cents(&json!(5.25)), Some(525));
        for price in [json!("5,1"), json!("-1"), json!("1e3"), json!(""), json!(".5"), json!(null)]
        {
            assert_eq!(cents(&price), None, "{price}");
        }
    }

    #[test]
    fn the_transform_leaves_cents_and_where_a_redirect_leads() {
        let answer = |status, body: &str| Response {
            status,
            headers: vec![
                ("etag".to_owned(), b"1".to_vec()),
                ("location".to_owned(), b"/x".to_vec()),
            ],
            body: body.into(),
        };
        let reduced = |answer| whole_cents(Request::get("https://a.example/"), answer);
        let expected = Response { status: 200, headers: Vec::new(), body: b"525".to_vec() };
        assert_eq!(reduced(answer(200, r#"{"price": 5.2571, "at": 7}"#)), Some(expected));
        assert_eq!(reduced(answer(200, "{}")), None);
        let redirect = reduced(answer(302, "gone")).unwrap();
        assert_eq!(redirect.headers, [("location".to_owned(), b"/x".to_vec())]);
        assert!(redirect.body.is_empty());
    }

    #[test]
    fn the_median_is_one_of_the_prices() {
        assert_eq!(median(&mut [3, 1, 2]), 2);
        assert_eq!(median(&mut [4, 1, 3, 2]), 2);
        assert_eq!(median(&mut [9]), 9);
    }
}
