//! Numbers of the configuration that have bounds: what is outside is an error at its line, as it is for a flag.

use serde::de::{Deserialize, Deserializer, Error};

/// A count that is 1 or more.
pub fn positive<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + From<u8> + PartialOrd,
{
    let value = T::deserialize(deserializer)?;
    if value >= T::from(1) { Ok(value) } else { Err(D::Error::custom("has to be 1 or more")) }
}

/// The same, where it is given.
pub fn positive_if_given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + From<u8> + PartialOrd,
{
    positive(deserializer).map(Some)
}

/// A price in US dollars per million tokens.
pub fn price<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    let is_price = value.is_finite() && value >= 0.0;
    if is_price { Ok(value) } else { Err(D::Error::custom("a price is 0 or more US dollars per million tokens")) }
}

/// The same, where it is given.
pub fn price_if_given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    price(deserializer).map(Some)
}

/// A part of a whole.
pub fn share_if_given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let value = f64::deserialize(deserializer)?;
    let is_share = (0.0..=1.0).contains(&value);
    if is_share { Ok(Some(value)) } else { Err(D::Error::custom("has to be from 0 to 1: 0.5 is half")) }
}
