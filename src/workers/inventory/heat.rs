//! Which products are hot: those over which workers got into each other's way again and again lately.
//! Pure.
//!
//! Every conflict warms a product by one, and all cool down by half in five seconds. So a product is
//! hot after three conflicts in quick succession, or while there is one every few seconds, and is not
//! any more some ten seconds after they ceased.

use std::collections::{BTreeSet, HashMap};

use crate::orders::ProductId;
use crate::saga::id::Timestamp;

/// From how warm on a product is hot. One conflict may be chance, and so may two.
const HOT: f64 = 2.5;

/// In how many milliseconds a product cools down by half.
const HALF_LIFE_MS: f64 = 5_000.0;

/// Below this a product is forgotten.
const COLD: f64 = 0.1;

/// How many products are watched. More than that can't be the ones that everybody wants.
const WATCHED: usize = 1_024;

/// How many products are told to be hot at a time: the hottest. Each is a key to lock.
const TOLD: usize = 32;

/// How warm products are.
#[derive(Debug, Default)]
pub struct Heat {
    products: HashMap<ProductId, Warmth>,
}

#[derive(Clone, Copy, Debug)]
struct Warmth {
    degrees: f64,
    at: Timestamp,
}

impl Warmth {
    /// What is left of it `now`.
    fn left(self, now: Timestamp) -> f64 {
        let half_lives = now.millis_since(self.at) as f64 / HALF_LIFE_MS;
        self.degrees * (-half_lives).exp2()
    }
}

impl Heat {
    /// Notes conflicts over products.
    pub fn note<'a>(&mut self, conflicts: impl IntoIterator<Item = &'a ProductId>, now: Timestamp) {
        for product in conflicts {
            if self.products.len() >= WATCHED && !self.products.contains_key(product) {
                self.products.retain(|_, warmth| warmth.left(now) >= COLD);
                if self.products.len() >= WATCHED {
                    continue;
                }
            }
            let warmth = self.products.entry(product.clone());
            let warmth = warmth.or_insert(Warmth { degrees: 0.0, at: now });
            *warmth = Warmth { degrees: warmth.left(now) + 1.0, at: now };
        }
    }

    /// Which of `wanted` are hot.
    pub fn hot_of<'a>(&self, wanted: &'a BTreeSet<ProductId>, now: Timestamp) -> BTreeSet<&'a str> {
        if self.products.is_empty() {
            return BTreeSet::new();
        }
        let mut hot: Vec<(f64, &str)> = wanted
            .iter()
            .filter_map(|product| {
                let degrees = self.products.get(product)?.left(now);
                (degrees >= HOT).then_some((degrees, product.as_str()))
            })
            .collect();
        hot.sort_unstable_by(|(a, _), (b, _)| b.total_cmp(a));
        hot.into_iter().take(TOLD).map(|(_, product)| product).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn products<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<ProductId> {
        names.into_iter().map(ProductId::from).collect()
    }

    fn numbered(count: usize) -> BTreeSet<ProductId> {
        (0..count).map(|n| ProductId::from(format!("p{n:05}"))).collect()
    }

    fn after(millis: u64) -> Timestamp {
        NOW.plus_millis(millis)
    }

    #[test]
    fn a_product_is_hot_after_conflicts_in_quick_succession() {
        let (mut heat, tea) = (Heat::default(), products(["tea"]));
        for n in 0..3 {
            assert!(heat.hot_of(&tea, after(n)).is_empty());
            heat.note(&tea, after(n));
        }
        assert_eq!(heat.hot_of(&tea, after(3)), ["tea"].into());
    }

    #[test]
    fn conflicts_that_lie_far_apart_heat_nothing() {
        let (mut heat, tea) = (Heat::default(), products(["tea"]));
        for n in 0..100 {
            heat.note(&tea, after(n * 6_000));
            assert!(heat.hot_of(&tea, after(n * 6_000)).is_empty());
        }
    }

    #[test]
    fn what_was_hot_cools_down() {
        let (mut heat, tea) = (Heat::default(), products(["tea"]));
        for _ in 0..8 {
            heat.note(&tea, NOW);
        }
        assert!(!heat.hot_of(&tea, after(5_000)).is_empty());
        assert!(heat.hot_of(&tea, after(10_000)).is_empty());
    }

    #[test]
    fn only_what_is_wanted_is_told() {
        let mut heat = Heat::default();
        for _ in 0..5 {
            heat.note(&products(["jam", "tea"]), NOW);
        }
        assert_eq!(heat.hot_of(&products(["jam", "salt"]), NOW), ["jam"].into());
    }

    #[test]
    fn of_many_the_hottest_are_told() {
        let (mut heat, many) = (Heat::default(), numbered(100));
        for _ in 0..3 {
            heat.note(&many, NOW);
        }
        let hottest = products(["p00099"]);
        heat.note(&hottest, NOW);
        let told = heat.hot_of(&many, NOW);
        assert_eq!(told.len(), TOLD);
        assert!(told.contains("p00099"));
    }

    #[test]
    fn a_bounded_number_of_products_is_watched_and_cold_ones_make_room() {
        let mut heat = Heat::default();
        heat.note(&numbered(10 * WATCHED), NOW);
        assert_eq!(heat.products.len(), WATCHED);
        let tea = products(["tea"]);
        heat.note(&tea, NOW);
        assert!(!heat.products.contains_key("tea"), "all of them are warm");
        heat.note(&tea, after(60_000));
        assert_eq!(heat.products.len(), 1);
    }

    #[test]
    fn what_is_watched_heats_up_though_there_is_no_room_for_more() {
        let mut heat = Heat::default();
        heat.note(&numbered(WATCHED), NOW);
        let watched = products(["p00007"]);
        for _ in 0..2 {
            heat.note(&watched, NOW);
        }
        assert_eq!(heat.hot_of(&watched, NOW), ["p00007"].into());
    }

    #[test]
    fn a_clock_that_goes_back_cools_nothing() {
        let (mut heat, tea) = (Heat::default(), products(["tea"]));
        for n in [9_000, 5_000, 0] {
            heat.note(&tea, after(n));
        }
        assert!(!heat.hot_of(&tea, NOW).is_empty());
    }
}
