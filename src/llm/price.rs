//! What an answer costs: token counts and a table of prices from the configuration give US dollars.
//!
//! No price is built in: they change monthly, and an old one would be a wrong number that looks right.

use crate::config::number;
use crate::usage::Usage;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The prices of one model, in US dollars per million tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Prompt tokens that no cache was involved with.
    #[serde(deserialize_with = "number::price")]
    pub input: f64,
    /// Prompt tokens read from the cache; as `input` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "number::price_if_given")]
    pub cached_input: Option<f64>,
    /// Prompt tokens written to the cache; as `input` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "number::price_if_given")]
    pub cache_write: Option<f64>,
    /// Generated tokens, reasoning included.
    #[serde(deserialize_with = "number::price")]
    pub output: f64,
    /// The part of the price that the batch lane saves: 0.5 is half price.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "number::share_if_given")]
    pub batch_discount: Option<f64>,
    /// The day on which these prices were looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
    /// Other prices for long prompts, in any order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tier: Vec<Tier>,
}

/// The prices of a request whose prompt is longer than a threshold; they hold for all of its tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// The tier begins with the first prompt token above this count, cached ones included.
    pub above_prompt_tokens: u64,
    /// As in [`Price`].
    #[serde(deserialize_with = "number::price")]
    pub input: f64,
    /// As in [`Price`]; the tier's `input` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "number::price_if_given")]
    pub cached_input: Option<f64>,
    /// As in [`Price`]; the tier's `input` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "number::price_if_given")]
    pub cache_write: Option<f64>,
    /// As in [`Price`].
    #[serde(deserialize_with = "number::price")]
    pub output: f64,
}

impl Price {
    /// What one request costs in US dollars. The usage must be that of a single request: a sum of several would reach tiers that
    /// none of them reached.
    pub fn cost(&self, usage: &Usage) -> f64 {
        let prompt = usage.prompt();
        let tier = self
            .tier
            .iter()
            .filter(|tier| prompt > tier.above_prompt_tokens)
            .max_by_key(|tier| tier.above_prompt_tokens);
        let (input, cached_input, cache_write, output) = match tier {
            Some(tier) => (tier.input, tier.cached_input, tier.cache_write, tier.output),
            None => (self.input, self.cached_input, self.cache_write, self.output),
        };
        let millionths = usage.input as f64 * input
            + usage.cached_input as f64 * cached_input.unwrap_or(input)
            + usage.cache_write as f64 * cache_write.unwrap_or(input)
            + usage.output as f64 * output;
        millionths / 1e6
    }

    /// The prices of the batch lane.
    pub fn in_batch(&self) -> Price {
        let part = 1.0 - self.batch_discount.unwrap_or(0.0);
        let of = |price: f64| price * part;
        let tier = |tier: &Tier| Tier {
            above_prompt_tokens: tier.above_prompt_tokens,
            input: of(tier.input),
            cached_input: tier.cached_input.map(of),
            cache_write: tier.cache_write.map(of),
            output: of(tier.output),
        };
        Price {
            input: of(self.input),
            cached_input: self.cached_input.map(of),
            cache_write: self.cache_write.map(of),
            output: of(self.output),
            batch_discount: None,
            as_of: self.as_of.clone(),
            tier: self.tier.iter().map(tier).collect(),
        }
    }

    /// What one request costs in the batch lane, in US dollars.
    pub fn batch_cost(&self, usage: &Usage) -> f64 {
        self.cost(usage) * (1.0 - self.batch_discount.unwrap_or(0.0))
    }
}

/// Prices by `PROVIDER/MODEL`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PriceTable(pub BTreeMap<String, Price>);

impl PriceTable {
    /// The price of a model, by its name or by that of the model it is a dated version of: `p/small-5.5-20261001` costs what
    /// `p/small-5.5` does, but `p/small-5.5-mini` does not. `None` where it is unknown, which is not 0.
    pub fn of(&self, model: &str) -> Option<&Price> {
        self.0.get(model).or_else(|| {
            let dated =
                self.0.iter().filter(|(name, _)| model.strip_prefix(name.as_str()).is_some_and(is_dated_suffix));
            dated.max_by_key(|(name, _)| name.len()).map(|(_, price)| price)
        })
    }
}

/// `-20261001`, `@20261001`, `-2026-10-01` or `-latest`: the ways in which providers name a version of a model.
fn is_dated_suffix(suffix: &str) -> bool {
    let Some(version) = suffix.strip_prefix(['-', '@']) else { return false };
    if version == "latest" {
        return true;
    }
    let dashes = version.matches('-').count();
    let digits = version.bytes().filter(u8::is_ascii_digit).count();
    let form = version.len() == digits || (dashes == 2 && version.len() == 10 && digits == 8);
    digits == 8 && form && version.starts_with("20")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = r#"
        ["p/small-5.5"]
        input = 1.0
        cached_input = 0.1
        cache_write = 1.25
        output = 5.0
        batch_discount = 0.5
        as_of = "2026-11-21"
        tier = [
            { above_prompt_tokens = 300000, input = 4.0, output = 9.0 },
            { above_prompt_tokens = 100000, input = 2.0, cached_input = 0.2, output = 7.0 },
        ]
        ["p/small-5.5-20260101"]
        input = 3.0
        output = 3.0
        ["p/small"]
        input = 10.0
        output = 20.0
    "#;

    fn table() -> PriceTable {
        toml::from_str(TABLE).unwrap()
    }

    fn million(input: u64, cached_input: u64, cache_write: u64, output: u64) -> Usage {
        Usage { input, cached_input, cache_write, output, reasoning: output }
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    #[test]
    fn each_kind_of_token_has_its_price_and_reasoning_is_not_paid_twice() {
        let table = table();
        let price = table.of("p/small-5.5").unwrap();
        let cost = price.cost(&million(1_000, 20_000, 4_000, 500));
        assert!(close(cost, (1_000.0 + 2_000.0 + 5_000.0 + 2_500.0) / 1e6), "{cost}");
        assert!(close(price.batch_cost(&million(1_000, 20_000, 4_000, 500)), cost / 2.0));
        assert!(close(price.in_batch().cost(&million(1_000, 20_000, 4_000, 500)), cost / 2.0));
        let long = million(100_001, 0, 0, 10);
        assert!(close(price.in_batch().cost(&long), price.batch_cost(&long)));
        assert_eq!(price.cost(&Usage::default()), 0.0);
    }

    #[test]
    fn prices_of_the_cache_default_to_that_of_the_input() {
        let table = table();
        let price = table.of("p/small").unwrap();
        assert!(close(price.cost(&million(1, 1, 1, 1)), 50.0 / 1e6));
        assert!(close(price.batch_cost(&million(1, 1, 1, 1)), 50.0 / 1e6));
    }

    #[test]
    fn a_long_prompt_is_charged_by_the_highest_tier_that_it_exceeds() {
        let table = table();
        let price = table.of("p/small-5.5").unwrap();
        assert!(close(price.cost(&million(100_000, 0, 0, 0)), 0.1));
        assert!(close(price.cost(&million(100_001, 0, 0, 1_000)), (200_002.0 + 7_000.0) / 1e6));
        assert!(close(price.cost(&million(1, 100_000, 0, 0)), (2.0 + 20_000.0) / 1e6));
        assert!(close(price.cost(&million(0, 0, 300_001, 0)), 300_001.0 * 4.0 / 1e6));
    }

    #[test]
    fn a_dated_version_costs_what_its_model_does() {
        let table = table();
        let input = |model: &str| table.of(model).map(|price| price.input);
        assert_eq!(input("p/small-5.5-20261001"), Some(1.0));
        assert_eq!(input("p/small-5.5-2026-10-01"), Some(1.0));
        assert_eq!(input("p/small-5.5@20261001"), Some(1.0));
        assert_eq!(input("p/small-5.5-latest"), Some(1.0));
        assert_eq!(input("p/small-5.5-20260101"), Some(3.0));
        assert_eq!(input("p/small-20261001"), Some(10.0));
        for unknown in [
            "p/small-5.5-mini",
            "p/small-5",
            "p/small-5.51",
            "q/small",
            "p/small-5.5-99999999",
            "p/small-5.5-1-2345678",
        ] {
            assert_eq!(input(unknown), None, "{unknown}");
        }
        assert_eq!(PriceTable::default().of("p/small"), None);
    }

    #[test]
    fn a_misspelt_key_is_an_error() {
        let error = toml::from_str::<PriceTable>("[\"p/m\"]\ninput = 1.0\noutput = 2.0\ncached = 0.1").unwrap_err();
        assert!(error.to_string().contains("unknown field `cached`"), "{error}");
        let tier =
            "[\"p/m\"]\ninput = 1\noutput = 2\ntier = [{ above_prompt_tokens = 1, input = 1, output = 2, price = 3 }]";
        assert!(toml::from_str::<PriceTable>(tier).is_err());
        assert!(toml::from_str::<PriceTable>("[\"p/m\"]\ninput = 1").is_err());
        assert!(
            toml::from_str::<PriceTable>("[\"p/m\"]\ninput = 1\noutput = 2").is_ok(),
            "whole numbers are prices, too"
        );
    }
}
