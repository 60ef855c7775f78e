//! The account, keys and contract that the settings name.

use outlayer_client::{
    KeyFiles, KeyWatch, Keys, Node, NodeConfig, credential_paths, credentials_folder,
    parse_secret_key,
};
use outlayer_protocol::AccountId;

use crate::{
    networks,
    settings::{SettingError, Settings},
};

const AN_ACCOUNT: &str = "the id of a NEAR account, such as worker.near";

/// Reads the keys that the settings name, and gives what notices that their files have changed:
/// nothing for keys of the environment, which do not change while the process lives.
pub(crate) fn read_keys<const ALL: bool>(
    settings: &Settings<ALL>,
) -> anyhow::Result<(Keys, Option<KeyWatch>)> {
    let account_id = account(settings)?;
    let secrets = settings.texts("secret_key");
    let mut paths = settings.texts("key_file").to_vec();
    if secrets.is_empty() && paths.is_empty() {
        paths = credentials(settings, account_id.as_ref());
    }
    if secrets.is_empty() && paths.is_empty() {
        let expected = "a file with a key of the worker's account, as near-cli writes it";
        return Err(settings.missing("key_file", expected).into());
    }
    if secrets.is_empty() {
        let paths = paths.iter().map(Into::into).collect();
        let (watch, keys) = KeyWatch::start(KeyFiles { paths, account_id })?;
        return Ok((keys, Some(watch)));
    }
    if !paths.is_empty() {
        let expected = "nothing, because key_file is set: give the keys in one of the two ways";
        return Err(settings.wrong("secret_key", "", expected).into());
    }
    let secret_keys = secrets
        .iter()
        .map(|text| parse_secret_key(text).ok())
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| {
            let expected = "secret keys (ed25519:… or secp256k1:…) separated by commas";
            settings.wrong("secret_key", "", expected)
        })?;
    let account_id = account_id.ok_or_else(|| settings.missing("account", AN_ACCOUNT))?;
    Ok((Keys { account_id, secret_keys }, None))
}

/// The key files of the account in near-cli's folder, where the settings name the network.
fn credentials<const ALL: bool>(
    settings: &Settings<ALL>,
    account_id: Option<&AccountId>,
) -> Vec<String> {
    let network = settings.texts("network").first();
    let (Some(network), Some(account_id), Some(folder)) =
        (network, account_id, credentials_folder())
    else {
        return Vec::new();
    };
    let paths = credential_paths(&folder, network, account_id);
    paths.iter().filter_map(|path| path.to_str().map(str::to_owned)).collect()
}

/// The account that the settings name.
pub(crate) fn account<const ALL: bool>(
    settings: &Settings<ALL>,
) -> Result<Option<AccountId>, SettingError> {
    settings.value("account", AN_ACCOUNT)
}

/// How the settings say that a node is asked.
pub(crate) fn node_config<const ALL: bool>(
    settings: &Settings<ALL>,
) -> Result<NodeConfig, SettingError> {
    const EXPECTED: &str = "http:// or https://, and the host of a node's JSON-RPC endpoint";
    let urls = settings.texts("rpc_url");
    let network = settings.texts("network").first().map(String::as_str);
    if urls.is_empty() && network.is_none() {
        return Err(settings.missing("network", networks::EXPECTED));
    }
    for url in urls {
        if Node::new(&NodeConfig::new(url.as_str())).is_err() {
            return Err(settings.wrong("rpc_url", url, EXPECTED));
        }
    }
    let (mut config, _) = networks::choose(network, urls)
        .map_err(|_| settings.wrong("network", network.unwrap_or_default(), networks::EXPECTED))?;
    let chain_id = settings.value("chain_id", "the name of a network, such as mainnet")?;
    config.chain_id = chain_id.or(config.chain_id);
    let urls = &config.endpoints;
    let most = urls.len().min(2) as u64;
    let quorum = settings.number("quorum", 1..=2)?.unwrap_or(1);
    if quorum > most {
        let expected = "1, or two endpoints or more in rpc_url";
        return Err(settings.wrong("quorum", &quorum.to_string(), expected));
    }
    config.quorum = usize::try_from(quorum).unwrap_or(1);
    Ok(config)
}

/// The account of the contract.
pub(crate) fn contract_id<const ALL: bool>(
    settings: &Settings<ALL>,
) -> Result<AccountId, SettingError> {
    settings.required("contract", "the account of the OutLayer contract, such as outlayer.near")
}
