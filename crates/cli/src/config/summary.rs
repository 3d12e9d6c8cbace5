//! What would be served, for people: the output of `check-config`.

use std::fmt;
use std::time::Duration;

use tricast::Rule;
use tricast::core::channel::{Kind, Retention};

use super::Config;
use super::auth::{Auth, Key};
use super::channel::ChannelRule;
use super::limits::Limits;
use super::server::Server;
use super::value::{show_size, show_time};

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} is fine\n", self.file.display())?;
        self.server.describe(f)?;
        describe_auth(self.auth.as_ref(), f)?;
        self.limits.describe(f)?;
        line(f, "backplane", self.backplane.name())?;
        writeln!(f, "\nchannels, the first that matches decides:")?;
        self.channels.iter().zip(1..).try_for_each(|(channel, number)| channel.describe(number, f))
    }
}

impl Server {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, "listen", format_args!("http://{}{}", self.listen, self.mount))?;
        let origins = self.allowed_origins.iter().map(|origin| format!(", {origin}")).collect::<String>();
        line(f, "origins", format_args!("the host's own{origins}"))?;
        let proxies = self.trusted_proxies.join(", ");
        line(f, "trusted proxies", if proxies.is_empty() { "none" } else { &proxies })?;
        let (ws, sse) = (show_time(self.heartbeat_ws), show_time(self.heartbeat_sse));
        line(f, "heartbeat", format_args!("ws {ws}, sse {sse}"))?;
        line(f, "drain", show_time(self.drain))
    }
}

fn describe_auth(auth: Option<&Auth>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some(auth) = auth else { return line(f, "auth", "none: every caller is anonymous") };
    match &auth.key {
        Key::Hs256(_) => line(f, "auth", "JWT, HS256 by a secret")?,
        Key::Public(file) => line(f, "auth", format_args!("JWT by the public key in {}", file.display()))?,
        Key::Set(file) => line(f, "auth", format_args!("JWT by the key set in {}", file.display()))?,
    }
    line(f, "  audience", auth.audience.as_deref().unwrap_or("none: tokens for an audience are refused"))?;
    line(f, "  issuer", auth.issuer.as_deref().unwrap_or("not looked at"))?;
    line(f, "  cookie", auth.cookie.as_deref().unwrap_or("none"))?;
    line(f, "  without a token", if auth.required { "refused" } else { "anonymous" })
}

impl Limits {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, "message", show_size(self.message_bytes as u64))?;
        let [address, user] = [self.connections_per_ip, self.connections_per_user].map(or_any);
        line(f, "connections", format_args!("{}, {address} per address, {user} per user", self.connections))?;
        line(f, "channels", format_args!("{} per connection", self.channels_per_connection))?;
        line(f, "publishes", format_args!("{} per second", or_any(self.publishes_per_second)))?;
        let (write, header) = (show_time(self.write_timeout), show_time(self.header_timeout));
        line(f, "timeouts", format_args!("write {write}, header {header}"))
    }
}

impl ChannelRule {
    fn describe(&self, number: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pattern, rule, subscribe, publish } = self;
        let (subscribe, publish) = (subscribe.word(), publish.word());
        writeln!(f, "{number:>3}. {}", pattern.as_str())?;
        writeln!(f, "     {}", kept(rule))?;
        writeln!(f, "     subscribe {subscribe}, publish {publish}{}", traits(rule))
    }
}

fn kept(rule: &Rule) -> String {
    let Retention { keep, keep_bytes, ttl_ms } = rule.retention();
    let unit = match rule.kind() {
        Kind::Stream => "messages",
        Kind::State => "keys",
    };
    let time = if ttl_ms == u64::MAX {
        "for ever".to_owned()
    } else {
        format!("for {}", show_time(Duration::from_millis(ttl_ms)))
    };
    format!("{} of {keep} {unit}, {}, {time}", rule.kind().as_str(), show_size(keep_bytes))
}

fn traits(rule: &Rule) -> String {
    let traits = [("presence", rule.has_presence()), ("public", rule.is_public()), ("users shown", rule.shows_user())];
    traits.iter().filter(|(_, holds)| *holds).map(|(name, _)| format!(", {name}")).collect()
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, value: impl fmt::Display) -> fmt::Result {
    writeln!(f, "{name:<18}{value}")
}

fn or_any(limit: u32) -> String {
    if limit == 0 { "any number".to_owned() } else { limit.to_string() }
}
