//! `cargo xtask capacity`: how many nodes and stores a service needs, by figures that were measured.
//!
//! It is a spreadsheet as a program: every figure can be given on the command line, and what it prints for three sizes
//! stands in `docs/scaling.md`, where a tidy test compares it.

use std::fmt::{self, Write as _};

/// What a service is to bear, and what things cost. Costs of nodes are of one core and of loopback without TLS.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Model {
    figures: Vec<Figure>,
}

#[derive(Debug, Clone, PartialEq)]
struct Figure {
    name: &'static str,
    value: f64,
    about: &'static str,
}

/// What comes of it.
#[derive(Debug, PartialEq)]
struct Needs {
    publishes: f64,
    deliveries: f64,
    cores: f64,
    node_gib: f64,
    nodes: f64,
    heads: f64,
    news: f64,
    store_cores: f64,
    store_gib: f64,
    shards: f64,
    bound_by: &'static str,
    reconnect_s: f64,
}

/// Bytes.
const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// Shares of a core, of memory, that are planned for; the rest is for peaks and for a node that is gone.
const HEADROOM: f64 = 0.5;

impl Default for Model {
    fn default() -> Self {
        let figure = |&(name, value, about): &(&'static str, f64, &'static str)| Figure { name, value, about };
        Self { figures: FIGURES.iter().map(figure).collect() }
    }
}

impl Model {
    /// Takes `--name value` pairs.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut model = Self::default();
        for pair in arguments.chunks(2) {
            let [name, value] = pair else { return Err(format!("`{}` has no value", pair[0])) };
            let known = name.strip_prefix("--").map(|name| name.replace('-', "_"));
            let figure = model.figures.iter_mut().find(|figure| Some(figure.name) == known.as_deref());
            let figure = figure.ok_or_else(|| format!("`{name}` is no figure; `cargo xtask capacity` lists them"))?;
            let value: f64 = value.parse().map_err(|_| format!("{name}: `{value}` is no number"))?;
            if !value.is_finite() || value <= 0.0 {
                return Err(format!("{name}: {value} is not above zero"));
            }
            figure.value = value;
        }
        Ok(model)
    }

    fn with(mut self, name: &str, value: f64) -> Self {
        self.figures.iter_mut().filter(|figure| figure.name == name).for_each(|figure| figure.value = value);
        self
    }

    fn get(&self, name: &str) -> f64 {
        self.figures.iter().find(|figure| figure.name == name).map_or(1.0, |figure| figure.value)
    }

    fn needs(&self) -> Needs {
        let get = |name| self.get(name);
        let channels = get("connections") * get("channels_each") / get("readers");
        let publishes = channels * get("publishes");
        let deliveries = publishes * get("readers");
        let cores = deliveries * get("delivery_us") / 1e6;
        let node_gib = get("connections") * get("connection_kb") * 1024.0 / GIB;
        let by_memory = node_gib / (get("node_gib") * HEADROOM);
        let by_cores = cores / (get("node_cores") * HEADROOM);
        let by_count = get("connections") / get("node_connections");
        let bounds = [("connections", by_count), ("cores", by_cores), ("memory", by_memory)];
        let (bound_by, most) = bounds.into_iter().fold(("", 0.0), |most, one| if one.1 > most.1 { one } else { most });
        let nodes = most.ceil().max(2.0);
        // On how many nodes a channel is read, if its readers are spread at random.
        let spread = nodes * (1.0 - (1.0 - 1.0 / nodes).powf(get("readers")));
        let heads = (channels * spread).min(nodes * 1_000.0);
        let news = publishes * spread;
        let store_us = publishes * get("append_us") + news * get("news_us") + heads * get("head_us");
        let store_cores = store_us / 1e6;
        let log_bytes = get("log_bytes") + get("kept") * (get("message_bytes") + get("payload_bytes"));
        let store_gib = channels * log_bytes / GIB;
        let shards = (store_cores / HEADROOM).max(store_gib / (get("store_gib") * HEADROOM)).ceil().max(1.0);
        // Those of a node that is gone come to the others.
        let reconnect_s = get("connections") / nodes / ((nodes - 1.0) * get("accepts"));
        Needs {
            publishes,
            deliveries,
            cores,
            node_gib,
            nodes,
            heads,
            news,
            store_cores,
            store_gib,
            shards,
            bound_by,
            reconnect_s,
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Figure { name, value, about } in &self.figures {
            writeln!(f, "--{:<18} {value:>10}  {about}", name.replace('_', "-"))?;
        }
        f.write_str("\n")?;
        f.write_str(&if *self == Self::default() { page() } else { table(std::slice::from_ref(self)) })
    }
}

/// The table of `docs/scaling.md`: three sizes by the defaults.
fn page() -> String {
    let sizes = [1e5, 1e6, 1e7];
    table(&sizes.map(|connections| Model::default().with("connections", connections)))
}

type Row = (&'static str, fn(&Needs) -> String);

fn table(models: &[Model]) -> String {
    let rows: [Row; 12] = [
        ("publishes a second", |needs| count(needs.publishes)),
        ("deliveries a second", |needs| count(needs.deliveries)),
        ("cores for deliveries", |needs| count(needs.cores)),
        ("memory of connections, GiB", |needs| count(needs.node_gib)),
        ("**nodes**", |needs| count(needs.nodes)),
        ("bound by", |needs| needs.bound_by.to_owned()),
        ("heads compared a second", |needs| count(needs.heads)),
        ("news told to nodes a second", |needs| count(needs.news)),
        ("cores of the store", |needs| count(needs.store_cores)),
        ("memory of the store, GiB", |needs| count(needs.store_gib)),
        ("**servers of the store**", |needs| count(needs.shards)),
        ("seconds until a node's clients are back", |needs| count(needs.reconnect_s)),
    ];
    let mut text = String::from("| |");
    for model in models {
        let _ = write!(text, " {} connections |", count(model.get("connections")));
    }
    text.push_str("\n| --- |");
    text.push_str(&" ---: |".repeat(models.len()));
    text.push('\n');
    let needs: Vec<Needs> = models.iter().map(Model::needs).collect();
    for (name, show) in rows {
        let _ = write!(text, "| {name} |");
        for needs in &needs {
            let _ = write!(text, " {} |", show(needs));
        }
        text.push('\n');
    }
    text
}

/// A number for people: whole, or with what matters below ten.
fn count(value: f64) -> String {
    if value < 10.0 && value.fract() != 0.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The defaults are measured on two cores of a noisy machine; `docs/scaling.md` says how.
const FIGURES: &[(&str, f64, &str)] = &[
    ("connections", 1e6, "connections in all"),
    ("channels_each", 3.0, "channels that each reads"),
    ("readers", 20.0, "readers of a channel"),
    ("publishes", 0.1, "publishes a second on each channel"),
    ("payload_bytes", 200.0, "bytes of a payload"),
    ("kept", 100.0, "messages kept of each channel"),
    ("node_cores", 8.0, "cores of a node"),
    ("node_gib", 32.0, "GiB of a node"),
    ("node_connections", 100_000.0, "connections that you give a node, however strong it is"),
    ("connection_kb", 16.0, "KiB of a connection: 4 ws, 23 sse, 25 poll, and the kernel's 8"),
    ("delivery_us", 7.0, "microseconds of a core for a delivery, where nothing merges"),
    ("accepts", 3_000.0, "connections that a node takes a second"),
    ("append_us", 57.0, "microseconds of a store's core for an append"),
    ("news_us", 3.0, "microseconds of a store's core for telling one node one message"),
    ("head_us", 36.0, "microseconds of a store's core for a head"),
    ("log_bytes", 5_000.0, "bytes of a channel in the store, with its first message"),
    ("message_bytes", 24.0, "bytes of a further message in the store, beside its payload"),
    ("store_gib", 32.0, "GiB of a store's server"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_table_of_the_page_is_what_the_model_says() {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/scaling.md")).unwrap();
        assert!(page.contains(&super::page()), "docs/scaling.md should have\n{}", super::page());
    }

    #[test]
    fn what_is_given_changes_what_comes_of_it_and_what_is_no_figure_is_named() {
        let busy = Model::parse(&words("--publishes 10 --node-cores 4")).unwrap();
        assert!(busy.needs().nodes > Model::default().needs().nodes);
        assert_eq!(busy.needs().bound_by, "cores");
        for (wrong, culprit) in
            [("--pubs 1", "--pubs"), ("--publishes x", "x"), ("--readers", "--readers"), ("--kept 0", "0")]
        {
            assert!(Model::parse(&words(wrong)).unwrap_err().contains(culprit), "{wrong}");
        }
    }

    #[test]
    fn a_service_ten_times_as_large_needs_ten_times_as_much() {
        let needs = |connections| Model::default().with("connections", connections).needs();
        let (small, large) = (needs(1e6), needs(1e7));
        assert!((large.nodes / small.nodes - 10.0).abs() < 0.5);
        assert!((large.publishes / small.publishes - 10.0).abs() < 1e-6);
    }
}
