//! Amounts of money: integer minor units inside, a JSON number with the currency's decimals outside.

use std::fmt;

use iso_currency::Currency as Iso;
use serde::{Deserialize, Serialize};

/// A currency by its ISO 4217 code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Currency(Iso);

impl Currency {
    /// What an order is in unless it says otherwise.
    pub const DEFAULT: Self = Self(Iso::USD);

    /// Reads a three-letter code; none where no currency has it.
    pub fn parse(code: &str) -> Option<Self> {
        Iso::from_code(code).map(Self)
    }

    /// The three-letter code.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many decimals its amounts have.
    pub fn decimals(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }

    /// Reads a plain decimal number such as `9.99` into minor units.
    ///
    /// It works on the text, so that no amount passes through a binary fraction. None where the
    /// text is no plain decimal number, has more decimals than the currency, or does not fit.
    pub fn parse_amount(self, text: &str) -> Option<i64> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let decimals = self.decimals() as usize;
        let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let fraction = fraction.trim_end_matches('0');
        if whole.is_empty() || !plain(whole) || !plain(fraction) || fraction.len() > decimals {
            return None;
        }
        let unit = 10_i64.checked_pow(self.decimals())?;
        let whole: i64 = whole.parse().ok()?;
        let fraction: i64 = format!("{fraction:0<decimals$}").parse().unwrap_or(0);
        whole.checked_mul(unit)?.checked_add(fraction)?.checked_mul(sign)
    }

    /// An amount as text with all the currency's decimals.
    pub fn format_amount(self, minor: i64) -> Amount {
        Amount { minor, decimals: self.decimals() }
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        Self::parse(&code).ok_or_else(|| serde::de::Error::custom("not an ISO 4217 currency code"))
    }
}

/// An amount that prints with its currency's decimals, and serialises as a JSON number like that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    minor: i64,
    decimals: u32,
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = 10_u64.saturating_pow(self.decimals);
        let (whole, fraction) =
            (self.minor.unsigned_abs() / unit, self.minor.unsigned_abs() % unit);
        if self.minor < 0 {
            f.write_str("-")?;
        }
        match self.decimals as usize {
            0 => write!(f, "{whole}"),
            decimals => write!(f, "{whole}.{fraction:0decimals$}"),
        }
    }
}

impl Serialize for Amount {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw = serde_json::value::RawValue::from_string(self.to_string())
            .map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_keep_their_decimals() {
        let usd = Currency::DEFAULT;
        for (text, minor) in [
            ("9.99", 999),
            ("0.1", 10),
            ("12", 1200),
            ("5.00", 500),
            ("1.500", 150),
            ("-2.5", -250),
        ] {
            assert_eq!(usd.parse_amount(text), Some(minor), "{text}");
        }
        assert_eq!(usd.format_amount(1998).to_string(), "19.98");
        assert_eq!(usd.format_amount(-5).to_string(), "-0.05");
        assert_eq!(usd.format_amount(0).to_string(), "0.00");
        let yen = Currency::parse("JPY").unwrap();
        assert_eq!(yen.format_amount(1998).to_string(), "1998");
        assert_eq!(yen.parse_amount("10.5"), None);
        assert_eq!(Currency::parse("KWD").unwrap().parse_amount("1.234"), Some(1234));
    }

    #[test]
    fn what_is_no_plain_decimal_is_refused() {
        for text in [
            "",
            ".",
            ".5",
            "1e3",
            "0.001",
            "1.2.3",
            "NaN",
            "99999999999999999999",
            "--1",
            "1,5",
            "+1",
        ] {
            assert_eq!(Currency::DEFAULT.parse_amount(text), None, "{text}");
        }
    }
}
