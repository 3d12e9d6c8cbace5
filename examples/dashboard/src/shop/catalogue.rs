//! What the shop sells: ten groups of ten goods, each by five makers.

use super::dice::Dice;
use super::{FULL, PARTS, Product};

/// How many products that makes.
pub(super) const SIZE: usize = GROUPS.len() * GOODS * MAKERS.len();

const GOODS: usize = 10;

const MAKERS: [&str; 5] = ["Alder", "Brook", "Cove", "Dune", "Elm"];

/// A group, the price in cents around which its goods lie, and the goods.
type Group = (&'static str, usize, [&'static str; GOODS]);

const GROUPS: [Group; 10] = [
    (
        "Coffee",
        900,
        [
            "Espresso beans",
            "Filter beans",
            "Decaf beans",
            "Ground coffee",
            "Cold brew",
            "Coffee capsules",
            "Mocha blend",
            "Breakfast blend",
            "Instant coffee",
            "Paper filters",
        ],
    ),
    (
        "Tea",
        520,
        [
            "Earl Grey",
            "Green tea",
            "Peppermint tea",
            "Rooibos",
            "Camomile",
            "Darjeeling",
            "Jasmine tea",
            "Ginger tea",
            "White tea",
            "Chai",
        ],
    ),
    (
        "Bakery",
        340,
        [
            "Sourdough",
            "Rye bread",
            "Baguette",
            "Croissants",
            "Bagels",
            "Brioche",
            "Focaccia",
            "Oat cookies",
            "Cinnamon rolls",
            "Crispbread",
        ],
    ),
    (
        "Dairy",
        280,
        [
            "Whole milk",
            "Oat drink",
            "Butter",
            "Greek yoghurt",
            "Cheddar",
            "Mozzarella",
            "Cream",
            "Cottage cheese",
            "Kefir",
            "Brie",
        ],
    ),
    (
        "Fruit",
        310,
        ["Apples", "Bananas", "Pears", "Blueberries", "Oranges", "Lemons", "Grapes", "Mangoes", "Plums", "Kiwis"],
    ),
    (
        "Greens",
        220,
        ["Spinach", "Carrots", "Tomatoes", "Cucumbers", "Broccoli", "Peppers", "Rocket", "Leeks", "Fennel", "Kale"],
    ),
    (
        "Pantry",
        430,
        [
            "Olive oil",
            "Spaghetti",
            "Basmati rice",
            "Red lentils",
            "Chickpeas",
            "Honey",
            "Sea salt",
            "Peanut butter",
            "Passata",
            "Muesli",
        ],
    ),
    (
        "Sweets",
        380,
        [
            "Dark chocolate",
            "Milk chocolate",
            "Liquorice",
            "Nougat",
            "Caramels",
            "Marzipan",
            "Truffles",
            "Wine gums",
            "Halva",
            "Shortbread",
        ],
    ),
    (
        "Drinks",
        260,
        [
            "Sparkling water",
            "Apple juice",
            "Lemonade",
            "Ginger beer",
            "Kombucha",
            "Tonic",
            "Tomato juice",
            "Cola",
            "Iced tea",
            "Coconut water",
        ],
    ),
    (
        "Household",
        610,
        [
            "Dish soap",
            "Sponges",
            "Bin bags",
            "Candles",
            "Hand soap",
            "Kitchen roll",
            "Laundry liquid",
            "Matches",
            "Baking paper",
            "Tea towels",
        ],
    ),
];

/// All products, with prices and stock as the dice fall.
pub(super) fn products(dice: &mut Dice) -> Vec<Product> {
    let mut products = Vec::with_capacity(SIZE);
    for (group, around, goods) in GROUPS {
        for good in goods {
            for maker in MAKERS {
                let price = (around / 2 + dice.below(around)) / 10 * 10 + 9;
                let stock = u32::try_from(dice.below(FULL as usize - 200)).unwrap_or_default() + 150;
                products.push(Product {
                    name: format!("{good}, {maker}"),
                    group,
                    price: price as u64,
                    stock,
                    sold: 0,
                    trend: [0; PARTS],
                    part: 0,
                });
            }
        }
    }
    products
}
