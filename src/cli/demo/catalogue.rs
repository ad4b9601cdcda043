//! What the demo's shop sells, and how much of it there is.

use fastrand::Rng;

use crate::orders::ProductId;

/// How many products there are.
pub const PRODUCTS: u32 = 1_000;

/// The constant `A` of NURand for a range of 1,000 values. TPC-C (clause 2.1.6) ties `A` to the size
/// of the range and gives 255 for 1,000 values, 1,023 for 3,000 and 8,191 for 100,000.
const A_OF_PRODUCTS: u32 = 255;

/// The most pieces in one line (TPC-C, clause 2.4.1.5).
pub const MAX_QUANTITY: u32 = 10;
/// The mean of 1 to [`MAX_QUANTITY`] pieces.
const MEAN_QUANTITY: f64 = 5.5;

/// What share of the orders is to be rolled back because a scarce product has run out.
const ROLLED_BACK: f64 = 0.05;
/// What share of the demand for a scarce product can be met. With a half the first rollbacks come
/// in the middle of a run, and there is still something to reserve until then.
const MET: f64 = 0.5;

/// NURand(A, x, y) of TPC-C, clause 2.1.6: random numbers of which some are far more frequent than
/// others, as products are.
#[derive(Clone, Copy, Debug)]
pub struct NuRand {
    a: u32,
    c: u32,
    x: u32,
    y: u32,
}

impl NuRand {
    /// Numbers from `x` to `y`. The run's constant `C` is drawn from `random`.
    pub fn new(a: u32, x: u32, y: u32, random: &mut Rng) -> Self {
        Self { a, c: random.u32(0..=a), x, y }
    }

    /// Draws a number.
    pub fn draw(&self, random: &mut Rng) -> u32 {
        self.number(random.u32(0..=self.a), random.u32(self.x..=self.y))
    }

    fn number(&self, of_a: u32, of_range: u32) -> u32 {
        ((of_a | of_range) + self.c) % self.size() + self.x
    }

    fn size(&self) -> u32 {
        self.y - self.x + 1
    }

    /// The probability of each number from `x` to `y`, counted out.
    fn probabilities(&self) -> Vec<f64> {
        let each = 1.0 / (f64::from(self.a + 1) * f64::from(self.size()));
        let mut probabilities = vec![0.0; self.size() as usize];
        for of_a in 0..=self.a {
            for of_range in self.x..=self.y {
                let number = self.number(of_a, of_range) - self.x;
                if let Some(probability) = probabilities.get_mut(number as usize) {
                    *probability += each;
                }
            }
        }
        probabilities
    }
}

/// How much is going to be ordered.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// How many orders.
    pub orders: u64,
    /// Lines of an order, on average.
    pub mean_lines: f64,
    /// Lines of an order at most.
    pub max_lines: u64,
    /// How many products half of all lines ask for; none where they are as popular as in TPC-C.
    pub hot: Option<u32>,
}

/// A product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// What the shop calls it.
    pub id: ProductId,
    /// How many lie in the warehouse at the start.
    pub on_hand: i64,
    /// What one costs, in cents.
    pub price: i64,
}

/// All products, and how they are drawn.
#[derive(Clone, Debug)]
pub struct Catalogue {
    products: Vec<Product>,
    popularity: Popularity,
}

/// How often products are asked for.
#[derive(Clone, Debug)]
struct Popularity {
    usual: NuRand,
    /// Half of all draws are one of the first so many.
    hot: Option<u32>,
}

impl Popularity {
    fn draw(&self, random: &mut Rng) -> u32 {
        match self.hot {
            Some(hot) if random.bool() => random.u32(1..=hot),
            _ => self.usual.draw(random),
        }
    }

    /// The probability of each number, from 1.
    fn probabilities(&self) -> Vec<f64> {
        let mut probabilities = self.usual.probabilities();
        if let Some(hot) = self.hot {
            probabilities.iter_mut().for_each(|probability| *probability /= 2.0);
            let most = probabilities.iter_mut().take(hot as usize);
            most.for_each(|probability| *probability += 0.5 / f64::from(hot));
        }
        probabilities
    }
}

/// The id of the product with this number; the numbers from 1 to [`PRODUCTS`] exist.
pub fn product_id(number: u32) -> ProductId {
    compact_str::format_compact!("item-{number:04}")
}

impl Catalogue {
    /// A catalogue in which a few scarce products make several percent of the orders roll back, and
    /// everything else suffices for whatever is drawn.
    pub fn stock_for(demand: Demand, random: &mut Rng) -> Self {
        let usual = NuRand::new(A_OF_PRODUCTS, 1, PRODUCTS, random);
        let popularity = Popularity { usual, hot: demand.hot };
        let probabilities = popularity.probabilities();
        let lines = demand.orders as f64 * demand.mean_lines;
        let ample = demand.orders * demand.max_lines * u64::from(MAX_QUANTITY);
        let ample = i64::try_from(ample).unwrap_or(i64::MAX);
        let mut products: Vec<Product> = (1..=PRODUCTS)
            .map(|number| Product {
                id: product_id(number),
                on_hand: ample,
                price: random.i64(100..=10_000),
            })
            .collect();
        let hot = demand.hot.unwrap_or(0) as usize;
        for n in scarce(&probabilities, hot, demand.mean_lines, random) {
            if let (Some(product), Some(probability)) = (products.get_mut(n), probabilities.get(n))
            {
                product.on_hand = (MET * lines * MEAN_QUANTITY * probability) as i64;
            }
        }
        Self { products, popularity }
    }

    /// Every product.
    pub fn products(&self) -> &[Product] {
        &self.products
    }

    /// Draws a product by its popularity.
    pub fn draw(&self, random: &mut Rng) -> Option<&Product> {
        self.products.get(self.popularity.draw(random) as usize - 1)
    }
}

/// Which products are scarce, those that are hot left out: as many, in random order, as make the share of lines that meet one
/// that has run out lead to the wanted share of rolled back orders.
fn scarce(probabilities: &[f64], hot: usize, mean_lines: f64, random: &mut Rng) -> Vec<usize> {
    let unmet_lines = 1.0 - (1.0 - ROLLED_BACK).powf(1.0 / mean_lines);
    let wanted = unmet_lines / (1.0 - MET);
    let mut numbers: Vec<usize> = (hot..probabilities.len()).collect();
    random.shuffle(&mut numbers);
    let mut share = 0.0;
    numbers.retain(|n| {
        let still_wanted = share < wanted;
        share += probabilities.get(*n).copied().unwrap_or_default();
        still_wanted
    });
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue(mean_lines: f64, max_lines: u64) -> Catalogue {
        let demand = Demand { orders: 1_000, mean_lines, max_lines, hot: None };
        Catalogue::stock_for(demand, &mut Rng::with_seed(1))
    }

    #[test]
    fn nurand_stays_within_its_bounds_and_reaches_both() {
        let mut random = Rng::with_seed(7);
        let numbers = NuRand::new(255, 1, 1_000, &mut random);
        let drawn: Vec<u32> = (0..100_000).map(|_| numbers.draw(&mut random)).collect();
        assert_eq!(drawn.iter().min(), Some(&1));
        assert_eq!(drawn.iter().max(), Some(&1_000));
    }

    #[test]
    fn nurand_draws_as_often_as_its_probabilities_say() {
        let mut random = Rng::with_seed(7);
        let numbers = NuRand::new(255, 1, 1_000, &mut random);
        let probabilities = numbers.probabilities();
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        let draws = 400_000;
        let mut counts = vec![0_u32; 1_000];
        (0..draws).for_each(|_| counts[numbers.draw(&mut random) as usize - 1] += 1);
        for (n, probability) in probabilities.iter().enumerate() {
            let expected = probability * f64::from(draws);
            let slack = 6.0 * expected.sqrt() + 1.0;
            assert!(
                (f64::from(counts[n]) - expected).abs() < slack,
                "{n}: {} {expected}",
                counts[n]
            );
        }
    }

    #[test]
    fn nurand_is_far_from_uniform() {
        let mut random = Rng::with_seed(7);
        let mut probabilities = NuRand::new(255, 1, 1_000, &mut random).probabilities();
        probabilities.sort_by(f64::total_cmp);
        let top_tenth: f64 = probabilities[900..].iter().sum();
        assert!(top_tenth > 0.4, "{top_tenth}");
    }

    #[test]
    fn scarce_products_are_few_and_met_in_part() {
        for (mean_lines, max_lines, fewest, most) in [(10.0, 15, 3, 40), (1.0, 1, 50, 200)] {
            let catalogue = catalogue(mean_lines, max_lines);
            let ample = 1_000 * i64::try_from(max_lines).unwrap() * 10;
            let scarce = catalogue.products().iter().filter(|product| product.on_hand < ample);
            let scarce = scarce.count();
            assert!((fewest..=most).contains(&scarce), "{scarce}");
            assert_eq!(catalogue.products().len(), 1_000);
        }
    }

    #[test]
    fn hot_products_get_half_of_all_lines_and_are_never_scarce() {
        let demand = Demand { orders: 1_000, mean_lines: 10.0, max_lines: 15, hot: Some(4) };
        let catalogue = Catalogue::stock_for(demand, &mut Rng::with_seed(1));
        assert!(catalogue.products()[..4].iter().all(|product| product.on_hand == 150_000));
        let mut random = Rng::with_seed(2);
        let draws = 10_000;
        let is_hot = |product: &Product| product.id.as_str() <= "item-0004";
        let hot = (0..draws).filter(|_| is_hot(catalogue.draw(&mut random).unwrap())).count();
        assert!((4_700..5_500).contains(&hot), "{hot} of {draws}");
        let sum: f64 = catalogue.popularity.probabilities().iter().sum();
        assert!((sum - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_same_seed_stocks_the_same_shop() {
        assert_eq!(catalogue(10.0, 15).products(), catalogue(10.0, 15).products());
    }
}
