//! Amounts of NEAR as people write them.

use outlayer_protocol::NearToken;

/// An amount: `1.5`, `1.5 NEAR` or `1000 yoctoNEAR`.
pub(crate) fn parse(text: &str) -> Result<NearToken, String> {
    let text = text.trim();
    let wrong = || {
        format!("found {text:?}, expected an amount such as 1.5, \"1.5 NEAR\" or \"10 yoctoNEAR\"")
    };
    let lower = text.to_ascii_lowercase();
    if let Some(yocto) = lower.strip_suffix("yoctonear") {
        return yocto.trim().parse().map(NearToken::from_yoctonear).map_err(|_| wrong());
    }
    let number = lower.strip_suffix("near").unwrap_or(&lower).trim();
    let (whole, rest) = number.split_once('.').unwrap_or((number, ""));
    let is_digits = |text: &str| text.bytes().all(|letter| letter.is_ascii_digit());
    if !is_digits(whole) || !is_digits(rest) || whole.len() + rest.len() == 0 || rest.len() > 24 {
        return Err(wrong());
    }
    format!("{whole}{rest:0<24}").parse().map(NearToken::from_yoctonear).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_to_the_yocto() {
        for (text, yocto) in [
            ("1", 10u128.pow(24)),
            ("1.5 NEAR", 15 * 10u128.pow(23)),
            ("0.000000000000000000000001", 1),
            (".5near", 5 * 10u128.pow(23)),
            ("7 yoctoNEAR", 7),
        ] {
            assert_eq!(parse(text), Ok(NearToken::from_yoctonear(yocto)), "{text}");
        }
        let too_much = "9".repeat(40);
        let too_fine = format!("0.{}1", "0".repeat(24));
        for text in ["", "NEAR", ".", "-1", "1e3", "1,5", "1.2.3", "½", &too_much, &too_fine] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
