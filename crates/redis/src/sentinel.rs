//! Where the master is, as sentinels say.

use std::collections::HashMap;

use futures_util::future::join_all;
use redis::cmd;

use crate::dial::Dialer;
use crate::error::LinkError;
use crate::url::Address;

/// The master that the sentinel with the newest knowledge names. One that was cut off from the others names an old one.
pub(crate) async fn find_master(dialer: &Dialer, sentinels: &[Address], service: &str) -> Result<Address, LinkError> {
    let answers = join_all(sentinels.iter().map(|sentinel| ask(dialer, sentinel, service))).await;
    let mut error = LinkError::Nowhere;
    let mut newest: Option<(u64, Address)> = None;
    for answer in answers {
        match answer {
            Ok((epoch, address)) if newest.as_ref().is_none_or(|(known, _)| epoch > *known) => {
                newest = Some((epoch, address));
            }
            Ok(_) => {}
            Err(why) => error = why,
        }
    }
    newest.map(|(_, address)| address).ok_or(error)
}

async fn ask(dialer: &Dialer, sentinel: &Address, service: &str) -> Result<(u64, Address), LinkError> {
    let asking = async {
        let mut wire = dialer.dial_sentinel(sentinel).await?;
        let mut question = cmd("SENTINEL");
        let answer = wire.connection.send_packed_command(question.arg("MASTER").arg(service)).await?;
        let fields: HashMap<String, String> =
            redis::from_redis_value(answer).map_err(|_| LinkError::Answer("SENTINEL MASTER"))?;
        parse(&fields).ok_or(LinkError::Answer("SENTINEL MASTER"))
    };
    tokio::time::timeout(dialer.timeout, asking).await.unwrap_or(Err(LinkError::Silent(dialer.timeout)))
}

fn parse(fields: &HashMap<String, String>) -> Option<(u64, Address)> {
    let address = Address { host: fields.get("ip")?.clone(), port: fields.get("port")?.parse().ok()? };
    Some((fields.get("config-epoch")?.parse().ok()?, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_is_named_with_the_epoch_of_that_knowledge() {
        let fields = [("name", "main"), ("ip", "::1"), ("port", "6379"), ("config-epoch", "7")];
        let fields: HashMap<_, _> = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(parse(&fields), Some((7, Address { host: "::1".into(), port: 6_379 })));
        assert_eq!(parse(&HashMap::new()), None);
    }
}
