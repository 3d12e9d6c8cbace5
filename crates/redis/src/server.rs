//! Who a server is, and whether it may lose what it acknowledged: read from what it says of itself.

use crate::error::LinkError;

/// Characters of each of the two ids that tell one life of a server from another: 80 random bits.
const ID_CHARS: usize = 20;

/// One look at a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Look {
    /// This life of it, as master. A restart changes it, and so does having been a replica.
    pub(crate) life: String,
    /// The part of it that changes where a replica takes over.
    pub(crate) replid: String,
    pub(crate) is_master: bool,
    /// A replica is attached, or was its master: what it has may be older than what was acknowledged.
    pub(crate) has_replicas: bool,
    /// Everything is on disk before it is acknowledged, as far as `INFO` tells.
    pub(crate) appends: bool,
    /// The file is being written anew, for the first time perhaps.
    pub(crate) rewrites: bool,
    /// Why it may forget what it should keep.
    pub(crate) evicts: Option<String>,
}

impl Look {
    /// Reads the sections server, replication, memory and persistence of `INFO`.
    ///
    /// A server that still loads its data is not ready to be looked at: until then it says that it has no append-only file,
    /// though it is reading it.
    pub(crate) fn parse(info: &str) -> Result<Self, LinkError> {
        let field =
            |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim_end);
        if field("loading") == Some("1") {
            return Err(LinkError::Loading);
        }
        let id = |name| field(name).filter(|id| id.len() >= ID_CHARS).ok_or(LinkError::Answer("INFO"));
        let (run, replid) = (id("run_id")?, id("master_replid")?);
        let policy = field("maxmemory_policy").unwrap_or("noeviction");
        let evicts = policy != "noeviction" && field("maxmemory") != Some("0");
        let followed = field("master_replid2").is_some_and(|id| id.bytes().any(|byte| byte != b'0'));
        Ok(Self {
            life: format!("{}{}", &run[..ID_CHARS], &replid[..ID_CHARS]),
            replid: replid.to_owned(),
            is_master: field("role") == Some("master"),
            has_replicas: followed || field("connected_slaves").is_some_and(|count| count != "0"),
            appends: field("aof_enabled") == Some("1"),
            rewrites: field("aof_rewrite_in_progress") == Some("1"),
            evicts: evicts
                .then(|| format!("maxmemory-policy is {policy}, and must be noeviction: logs would lose parts")),
        })
    }
}

/// Whether `CONFIG GET appendfsync no-appendfsync-on-rewrite` says that each write is on disk before it is acknowledged.
pub(crate) fn syncs_always(config: &[(String, String)]) -> bool {
    let is = |name: &str, value: &str| config.iter().any(|(key, set)| key == name && set == value);
    is("appendfsync", "always") && is("no-appendfsync-on-rewrite", "no")
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "# Server\r\nredis_version:7.0.15\r\nrun_id:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\
        role:master\r\nconnected_slaves:0\r\nmaster_replid:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n\
        master_replid2:0000000000000000000000000000000000000000\r\nmaxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n\
        loading:0\r\naof_enabled:1\r\naof_rewrite_in_progress:0\r\n";

    #[test]
    fn a_life_ends_with_the_process_and_with_having_been_a_replica() {
        let look = |info: &str| Look::parse(info).unwrap();
        let first = look(INFO);
        assert_eq!(first.life, "a".repeat(20) + &"b".repeat(20));
        assert!(first.is_master && !first.has_replicas && first.appends && !first.rewrites);
        assert_ne!(look(&INFO.replace("run_id:a", "run_id:c")).life, first.life);
        assert_ne!(look(&INFO.replace("replid:b", "replid:c")).life, first.life);
        assert!(Look::parse("role:master\r\n").is_err());
    }

    /// As Redis 7.0.15 says it while it loads a file to which it appends.
    #[test]
    fn a_server_that_loads_its_data_is_not_taken_for_one_that_appends_nothing() {
        let loading = INFO.replace("loading:0", "loading:1").replace("aof_enabled:1", "aof_enabled:0");
        assert!(matches!(Look::parse(&loading), Err(LinkError::Loading)));
        assert!(!Look::parse(&INFO.replace("aof_enabled:1", "aof_enabled:0")).unwrap().appends);
    }

    #[test]
    fn a_replica_is_seen_while_it_is_there_and_in_what_was_one() {
        assert!(Look::parse(&INFO.replace("slaves:0", "slaves:2")).unwrap().has_replicas);
        assert!(Look::parse(&INFO.replace("replid2:0", "replid2:f")).unwrap().has_replicas);
        assert!(!Look::parse(&INFO.replace("role:master", "role:slave")).unwrap().is_master);
    }

    #[test]
    fn eviction_is_no_trouble_until_there_is_a_bound_to_memory() {
        assert_eq!(Look::parse(INFO).unwrap().evicts, None);
        let bounded = INFO.replace("maxmemory:0", "maxmemory:1048576");
        assert!(Look::parse(&bounded).unwrap().evicts.is_some_and(|why| why.contains("allkeys-lru")));
        assert_eq!(Look::parse(&bounded.replace("allkeys-lru", "noeviction")).unwrap().evicts, None);
    }

    #[test]
    fn a_write_is_on_disk_only_where_nothing_delays_it() {
        let config = |sync: &str, on_rewrite: &str| {
            [("appendfsync", sync), ("no-appendfsync-on-rewrite", on_rewrite)]
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
        };
        assert!(syncs_always(&config("always", "no")));
        assert!(
            !syncs_always(&config("everysec", "no")) && !syncs_always(&config("always", "yes")) && !syncs_always(&[])
        );
    }
}
