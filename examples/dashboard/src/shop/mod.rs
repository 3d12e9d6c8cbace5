//! A shop that does not exist: products that sell, run short and are delivered.
//!
//! It knows no clock and no channel. Each [`Shop::tick`] is a tenth of a second, and says what changed.

mod catalogue;
mod dice;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::metric::Metric;
use dice::Dice;

/// How many products there are.
pub(crate) const PRODUCTS: usize = catalogue::SIZE;

/// Ticks in a second.
pub(crate) const TICKS: u64 = 10;

/// A product's trend has so many parts of so many ticks: a minute.
const PARTS: usize = 12;
const PART: u64 = 5 * TICKS;

/// How far the charts look back, in seconds.
const PAST: usize = 60;
const LONG_PAST: usize = 120;

/// Sales in a tick, at the quietest and at the busiest.
const QUIET: u32 = 30;
const BUSY: u32 = 85;

/// Pieces on the shelf: below the first a delivery is due, the second is what a shelf holds.
const LOW: u32 = 60;
const FULL: u32 = 900;

/// A product as it is published: the whole row, so that a reader needs the newest message alone.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Product {
    pub(crate) name: String,
    pub(crate) group: &'static str,
    /// In cents.
    pub(crate) price: u64,
    /// Pieces on the shelf.
    pub(crate) stock: u32,
    /// Pieces sold since the shop opened.
    sold: u64,
    /// Pieces sold in each part of the last minute, the newest last.
    trend: [u32; PARTS],
    #[serde(skip)]
    part: u64,
}

/// What somebody ordered.
#[derive(Debug)]
pub(crate) struct Basket {
    pub(crate) names: Vec<String>,
    /// In cents.
    pub(crate) total: u64,
}

/// The shop's numbers, as they are published under their keys.
pub(crate) struct Numbers {
    pub(crate) revenue: Metric,
    pub(crate) orders: Metric,
    pub(crate) basket: Metric,
    pub(crate) visitors: Metric,
}

/// The shop.
pub(crate) struct Shop {
    products: Vec<Product>,
    /// Indexes of products, those in demand first.
    favourites: Vec<usize>,
    changed: BTreeSet<usize>,
    dice: Dice,
    ticks: u64,
    demand: u32,
    visitors: u32,
    /// Since the last second was counted.
    orders: u32,
    takings: u64,
    numbers: Numbers,
}

impl Shop {
    /// Opens a shop that has been busy for two minutes. The same seed gives the same shop.
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let products = catalogue::products(&mut dice);
        let mut favourites: Vec<usize> = (0..products.len()).collect();
        dice.shuffle(&mut favourites);
        let numbers = Numbers {
            revenue: Metric::new(LONG_PAST),
            orders: Metric::new(PAST),
            basket: Metric::new(PAST),
            visitors: Metric::new(PAST),
        };
        let demand = u32::midpoint(QUIET, BUSY);
        let mut shop = Self {
            products,
            favourites,
            changed: BTreeSet::new(),
            dice,
            ticks: 0,
            demand,
            visitors: 2_400,
            orders: 0,
            takings: 0,
            numbers,
        };
        for _ in 0..LONG_PAST as u64 * TICKS {
            shop.tick();
        }
        shop.changed.clear();
        shop
    }

    /// A tenth of a second passes.
    pub(crate) fn tick(&mut self) {
        self.ticks += 1;
        self.demand = self.dice.wander(self.demand, 5, QUIET, BUSY);
        for _ in 0..self.demand {
            // Favourites first, but everything finds somebody.
            let choice = self.dice.below(self.products.len());
            let choice = self.dice.below(choice + 1);
            let pieces = 1 + u32::from(self.dice.one_in(4));
            self.sell(self.favourites[choice], pieces);
        }
        self.change_fashion();
        if self.ticks.is_multiple_of(TICKS) {
            self.count();
        }
    }

    /// What changed since it was asked the last time, by key.
    pub(crate) fn changes(&mut self) -> Vec<(String, Product)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|index| (key(index), self.products[index].clone())).collect()
    }

    /// All products, by key.
    pub(crate) fn products(&self) -> impl Iterator<Item = (String, &Product)> {
        self.products.iter().enumerate().map(|(index, product)| (key(index), product))
    }

    /// Whether a second is full, so that the numbers are new.
    pub(crate) fn has_counted(&self) -> bool {
        self.ticks.is_multiple_of(TICKS)
    }

    /// The numbers, as of the last full second.
    pub(crate) fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// Somebody orders a few things.
    pub(crate) fn order(&mut self) -> Basket {
        let mut basket = Basket { names: Vec::new(), total: 0 };
        for _ in 0..1 + self.dice.below(3) {
            let index = self.dice.below(self.products.len());
            self.sell(index, 1);
            let product = &self.products[index];
            basket.names.push(product.name.clone());
            basket.total += product.price;
        }
        basket
    }

    fn sell(&mut self, index: usize, pieces: u32) {
        let part = self.ticks / PART;
        let product = &mut self.products[index];
        product.age_to(part);
        if product.stock < LOW {
            product.stock = FULL - 100 + 10 * (product.stock % 10);
        }
        product.stock -= pieces;
        product.sold += u64::from(pieces);
        product.trend[PARTS - 1] += pieces;
        self.orders += 1;
        self.takings += product.price * u64::from(pieces);
        self.changed.insert(index);
    }

    /// Now and then something comes into fashion, and what was there makes room.
    fn change_fashion(&mut self) {
        if self.dice.one_in(8) {
            let from = self.dice.below(self.favourites.len());
            let to = self.dice.below(from + 1);
            self.favourites[to..=from].rotate_right(1);
        }
    }

    fn count(&mut self) {
        self.visitors = self.dice.wander(self.visitors, 60, 1_800, 3_200);
        let (orders, euros) = (f64::from(self.orders), self.takings as f64 / 100.0);
        let Numbers { revenue, orders: rate, basket, visitors } = &mut self.numbers;
        revenue.push(euros);
        rate.push(orders);
        basket.push(euros / orders.max(1.0));
        visitors.push(f64::from(self.visitors));
        self.orders = 0;
        self.takings = 0;
    }
}

impl Product {
    /// Lets the parts of its trend go that are over.
    fn age_to(&mut self, part: u64) {
        let over = usize::try_from(part - self.part).unwrap_or(PARTS).min(PARTS);
        self.trend.rotate_left(over);
        self.trend[PARTS - over..].fill(0);
        self.part = part;
    }
}

fn key(index: usize) -> String {
    format!("p{index:03}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_shop() {
        let told = |seed| {
            let mut shop = Shop::new(seed);
            shop.tick();
            serde_json::to_string(&shop.changes()).unwrap()
        };
        assert_eq!(told(1), told(1));
        assert_ne!(told(1), told(2));
    }

    #[test]
    fn a_tick_changes_many_products_and_tells_each_once() {
        let mut shop = Shop::new(7);
        assert!(shop.changes().is_empty());
        shop.tick();
        let changes = shop.changes();
        let keys: BTreeSet<&String> = changes.iter().map(|(key, _)| key).collect();
        assert_eq!(keys.len(), changes.len());
        assert!((20..=BUSY as usize).contains(&changes.len()), "{}", changes.len());
        assert!(shop.changes().is_empty());
    }

    #[test]
    fn every_product_has_a_name_and_a_key_of_its_own() {
        let shop = Shop::new(7);
        let names: BTreeSet<&str> = shop.products().map(|(_, product)| product.name.as_str()).collect();
        let keys: BTreeSet<String> = shop.products().map(|(key, _)| key).collect();
        assert_eq!((names.len(), keys.len()), (PRODUCTS, PRODUCTS));
    }

    #[test]
    fn shelves_are_filled_before_they_are_empty() {
        let mut shop = Shop::new(7);
        for _ in 0..20_000 {
            shop.tick();
            assert!(shop.changes().iter().all(|(_, product)| (1..=FULL).contains(&product.stock)));
        }
    }

    #[test]
    fn a_trend_forgets_what_is_older_than_a_minute() {
        let mut product = Shop::new(7).products.remove(0);
        product.trend = [1; PARTS];
        let part = product.part;
        product.age_to(part + 2);
        assert_eq!(product.trend, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0]);
        product.age_to(part + 100);
        assert_eq!(product.trend, [0; PARTS]);
    }

    #[test]
    fn the_numbers_have_a_past_when_the_shop_opens() {
        let told = serde_json::to_value(&Shop::new(7).numbers().revenue).unwrap();
        assert_eq!(told["history"].as_array().unwrap().len(), LONG_PAST);
        assert!(told["value"].as_f64().unwrap() > 0.0);
    }
}
