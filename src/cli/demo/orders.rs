//! What the demo's customers order: the profile of TPC-C's New-Order transaction (clause 2.4.1).

use std::fmt::{self, Write};

use bytes::BytesMut;
use fastrand::Rng;

use super::catalogue::{Catalogue, MAX_QUANTITY, NuRand, PRODUCTS, product_id};
use crate::orders::ProductId;
use crate::orders::money::Currency;

/// Customers of a TPC-C district, and the constant `A` that clause 2.1.6 gives for so many.
const CUSTOMERS: u32 = 3_000;
const A_OF_CUSTOMERS: u32 = 1_023;

/// One order in so many names a product that does not exist (clause 2.4.1.4).
const UNKNOWN_IN: u32 = 100;

/// How many lines orders have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// 5 to 15, as TPC-C has it (clause 2.4.1.3).
    Profile,
    /// Always so many.
    Exactly(u32),
}

impl Lines {
    /// The mean.
    pub fn mean(self) -> f64 {
        match self {
            Self::Profile => 10.0,
            Self::Exactly(lines) => f64::from(lines),
        }
    }

    /// The most.
    pub fn most(self) -> u64 {
        match self {
            Self::Profile => 15,
            Self::Exactly(lines) => u64::from(lines),
        }
    }

    fn draw(self, random: &mut Rng) -> u32 {
        match self {
            Self::Profile => random.u32(5..=15),
            Self::Exactly(lines) => lines,
        }
    }
}

/// An order to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Who orders.
    pub customer: u32,
    /// What.
    pub lines: Vec<Line>,
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which product.
    pub product: ProductId,
    /// How many.
    pub quantity: u32,
    /// What one costs, in cents.
    pub price: i64,
}

/// Draws orders.
#[derive(Clone, Debug)]
pub struct Profile {
    catalogue: Catalogue,
    customers: NuRand,
    lines: Lines,
    seed: u64,
}

impl Profile {
    /// Draws orders from `catalogue`; from the same seed always the same.
    pub fn new(catalogue: Catalogue, lines: Lines, seed: u64) -> Self {
        let customers = NuRand::new(A_OF_CUSTOMERS, 1, CUSTOMERS, &mut Rng::with_seed(seed));
        Self { catalogue, customers, lines, seed }
    }

    /// The run's seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The order with number `n`. It does not depend on which orders were drawn before.
    pub fn order(&self, n: u64) -> Order {
        // The golden ratio's bits keep the seeds of neighbours far apart.
        let mut random = Rng::with_seed(self.seed ^ (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let customer = self.customers.draw(&mut random);
        let lines = self.lines.draw(&mut random);
        let mut lines: Vec<Line> = (0..lines)
            .filter_map(|_| {
                let product = self.catalogue.draw(&mut random)?;
                Some(Line {
                    product: product.id.clone(),
                    quantity: random.u32(1..=MAX_QUANTITY),
                    price: product.price,
                })
            })
            .collect();
        if random.u32(0..UNKNOWN_IN) == 0 {
            // Clause 2.4.1.5: the last item gets an unused number.
            if let Some(last) = lines.last_mut() {
                last.product = product_id(PRODUCTS + 1);
            }
        }
        Order { customer, lines }
    }
}

impl Order {
    /// Appends the order as the API wants it. Nothing in it needs to be escaped.
    pub fn write_to(&self, body: &mut BytesMut) -> fmt::Result {
        let customer = self.customer;
        write!(
            body,
            r#"{{"userId":"customer-{customer:04}","email":"customer-{customer:04}@example.com","items":["#
        )?;
        for (n, Line { product, quantity, price }) in self.lines.iter().enumerate() {
            let separator = if n == 0 { "" } else { "," };
            let price = Currency::DEFAULT.format_amount(*price);
            write!(
                body,
                r#"{separator}{{"productId":"{product}","quantity":{quantity},"price":{price}}}"#
            )?;
        }
        body.write_str("]}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::catalogue::Demand;
    use super::*;
    use crate::orders::OrderId;
    use crate::orders::submission::Submission;
    use crate::saga::id::{SagaId, Timestamp};

    fn profile(lines: Lines, seed: u64) -> Profile {
        let demand =
            Demand { orders: 20_000, mean_lines: lines.mean(), max_lines: lines.most(), hot: None };
        let catalogue = Catalogue::stock_for(demand, &mut Rng::with_seed(seed));
        Profile::new(catalogue, lines, seed)
    }

    fn is_unknown(line: &Line) -> bool {
        line.product == "item-1001"
    }

    #[test]
    fn orders_have_the_proportions_of_the_profile() {
        let profile = profile(Lines::Profile, 3);
        let orders: Vec<Order> = (0..20_000).map(|n| profile.order(n)).collect();
        let mut lines_seen = [0; 16];
        let mut quantities_seen = [0; 11];
        for order in &orders {
            lines_seen[order.lines.len()] += 1;
            order.lines.iter().for_each(|line| quantities_seen[line.quantity as usize] += 1);
            assert!((1..=CUSTOMERS).contains(&order.customer));
            let (_, all_but_last) = order.lines.split_last().unwrap();
            assert!(!all_but_last.iter().any(is_unknown));
        }
        assert!(lines_seen[..5].iter().all(|n| *n == 0));
        assert!(lines_seen[5..].iter().all(|n| (1_600..2_040).contains(n)), "{lines_seen:?}");
        assert_eq!(quantities_seen[0], 0);
        assert!(
            quantities_seen[1..].iter().all(|n| (19_000..21_000).contains(n)),
            "{quantities_seen:?}"
        );
        let unknown = orders.iter().filter(|order| order.lines.iter().any(is_unknown)).count();
        assert!((150..=250).contains(&unknown), "{unknown} of 20000 are to be one percent");
    }

    #[test]
    fn several_percent_ask_for_more_than_there_is() {
        for lines in [Lines::Profile, Lines::Exactly(1)] {
            let profile = profile(lines, 5);
            let products = profile.catalogue.products().iter();
            let mut left: HashMap<ProductId, i64> =
                products.map(|product| (product.id.clone(), product.on_hand)).collect();
            let orders = (0..20_000).map(|n| profile.order(n));
            let known = orders.filter(|order| !order.lines.iter().any(is_unknown));
            let short = known.filter(|order| !reserve(&mut left, order)).count();
            assert!((400..=1_600).contains(&short), "{lines:?}: {short} of 20000");
        }
    }

    /// Takes all of an order from what is left, or nothing.
    fn reserve(left: &mut HashMap<ProductId, i64>, order: &Order) -> bool {
        let mut wanted: HashMap<&ProductId, i64> = HashMap::new();
        for line in &order.lines {
            *wanted.entry(&line.product).or_default() += i64::from(line.quantity);
        }
        let enough = wanted.iter().all(|(product, quantity)| left[*product] >= *quantity);
        if enough {
            wanted
                .iter()
                .for_each(|(product, quantity)| *left.get_mut(*product).unwrap() -= quantity);
        }
        enough
    }

    #[test]
    fn an_order_depends_on_seed_and_number_alone() {
        let one = profile(Lines::Profile, 3);
        let other = profile(Lines::Profile, 3);
        other.order(1);
        assert_eq!(one.order(41), other.order(41));
        assert_ne!(one.order(41), one.order(42));
        assert_ne!(one.order(41), profile(Lines::Profile, 4).order(41));
    }

    #[test]
    fn lines_can_be_fixed() {
        let profile = profile(Lines::Exactly(1), 3);
        assert!((0..1_000).all(|n| profile.order(n).lines.len() == 1));
    }

    #[test]
    fn the_api_takes_every_order() {
        let profile = profile(Lines::Profile, 3);
        for drawn in (0..500).map(|n| profile.order(n)) {
            let mut body = BytesMut::new();
            drawn.write_to(&mut body).unwrap();
            let submission: Submission<'_> = serde_json::from_slice(&body).unwrap();
            let id = uuid::Uuid::nil();
            let order = submission.into_order(OrderId(id), SagaId(id), Timestamp(0)).unwrap();
            assert_eq!(order.email.unwrap(), format!("customer-{:04}@example.com", drawn.customer));
            let lines = order.items.iter().map(|item| (&item.product, item.quantity, item.price));
            assert!(lines.eq(drawn.lines.iter().map(|line| (
                &line.product,
                line.quantity,
                line.price
            ))));
        }
    }
}
