//! `outlayer storage`: an account's namespace in the contract, and the deposit that pays for it.

use clap::{Args, Subcommand};
use outlayer_client::{At, Contract};
use outlayer_protocol::{
    AccountId, Bytes, NearToken, methods, secrets::is_reserved_key, views::StorageBalance,
};
use serde_json::{Value, json};

use crate::{
    amount,
    network::{NetworkArgs, block_on},
    print,
    wallet::{Wallet, WalletArgs, call},
};

/// Tgas attached to each call.
const TGAS: u64 = 50;
const ONE_YOCTO: NearToken = NearToken::from_yoctonear(1);
const NOTHING: NearToken = NearToken::from_yoctonear(0);

#[derive(Debug, Subcommand)]
pub(crate) enum StorageCommand {
    Get(GetArgs),
    Set(Box<SetArgs>),
    Remove(Box<RemoveArgs>),
    /// List the keys of a namespace
    List(ListArgs),
    /// Show what an account has deposited, and how much of it no stored byte needs
    Balance(ListArgs),
    Deposit(Box<DepositArgs>),
    Withdraw(Box<WithdrawArgs>),
}

impl StorageCommand {
    pub(crate) fn execute(self) -> anyhow::Result<bool> {
        match self {
            Self::Get(args) => block_on(args.run()),
            Self::Set(args) => block_on(args.run()),
            Self::Remove(args) => block_on(args.run()),
            Self::List(args) => block_on(args.list()),
            Self::Balance(args) => block_on(args.balance()),
            Self::Deposit(args) => block_on(args.run()),
            Self::Withdraw(args) => block_on(args.run()),
        }
    }
}

/// A key: text, or bytes in hexadecimal after 0x.
#[derive(Clone, Debug)]
struct Key(Vec<u8>);

fn key(text: &str) -> Result<Key, String> {
    let Some(digits) = text.strip_prefix("0x") else {
        return Ok(Key(text.as_bytes().to_vec()));
    };
    let wrong = || format!("found {text:?}, expected an even number of hex digits after 0x");
    let pairs = digits.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        pair.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(())?;
        u8::from_str_radix(pair, 16).ok()
    });
    pairs.collect::<Option<Vec<u8>>>().map(Key).ok_or_else(wrong)
}

/// Show the value of a key
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The key: text, or 0x and hex digits
    #[arg(value_parser = key)]
    key: Key,
    #[command(flatten)]
    network: NetworkArgs,
    /// The account whose namespace it is
    #[arg(long, env = "OUTLAYER_ACCOUNT")]
    account: AccountId,
    /// Print the value alone, byte for byte
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl GetArgs {
    async fn run(self) -> anyhow::Result<bool> {
        let contract = self.network.contract()?;
        let value = contract.storage_get(&self.account, &self.key.0, At::Optimistic).await?;
        match &value {
            _ if self.json => print::json(&json!({
                "account_id": self.account, "key": Bytes(self.key.0),
                "value": value.clone().map(Bytes),
            }))?,
            Some(value) if self.raw => print::bytes(value),
            Some(value) => print::raw(format_args!("{}\n", print::text(value))),
            None => eprintln!("{} has no key {}", self.account, print::text(&self.key.0)),
        }
        Ok(value.is_some())
    }
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// The account whose namespace it is
    #[arg(long, env = "OUTLAYER_ACCOUNT")]
    account: AccountId,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl ListArgs {
    async fn list(self) -> anyhow::Result<bool> {
        let keys = keys(&self.network.contract()?, &self.account).await?;
        if self.json {
            print::json(&keys)?;
        } else {
            for key in &keys {
                print::raw(format_args!("{}\n", print::text(key)));
            }
        }
        Ok(true)
    }

    async fn balance(self) -> anyhow::Result<bool> {
        let contract = self.network.contract()?;
        let balance = balance(&contract, &self.account).await?;
        if self.json {
            print::json(&balance)?;
        } else if let Some(balance) = &balance {
            print::line("deposited", print::near(balance.total));
            print::line("available", print::near(balance.available));
        } else {
            print::raw(format_args!(
                "{} has deposited nothing; `outlayer storage deposit` opens its namespace\n",
                self.account
            ));
        }
        Ok(balance.is_some())
    }
}

/// All keys of an account's namespace.
pub(crate) async fn keys(
    contract: &Contract,
    account_id: &AccountId,
) -> anyhow::Result<Vec<Bytes>> {
    const PAGE: usize = 100;
    let mut keys: Vec<Bytes> = Vec::new();
    loop {
        let args = json!({ "account_id": account_id, "from_index": keys.len(), "limit": PAGE });
        let page: Vec<Bytes> = contract.view(methods::STORAGE_KEYS, args, At::Optimistic).await?;
        let last = page.len() < PAGE;
        keys.extend(page);
        if last {
            return Ok(keys);
        }
    }
}

async fn balance(
    contract: &Contract,
    account_id: &AccountId,
) -> anyhow::Result<Option<StorageBalance>> {
    let args = json!({ "account_id": account_id });
    Ok(contract.view(methods::STORAGE_BALANCE_OF, args, At::Optimistic).await?)
}

/// What a change of the account's namespace costs while its live requests may read it.
async fn change_fee(contract: &Contract, account_id: &AccountId) -> anyhow::Result<NearToken> {
    let args = json!({ "account_id": account_id });
    Ok(contract.view(methods::GET_CHANGE_FEE, args, At::Optimistic).await?)
}

/// Set a key of the signing account's namespace
///
/// The key is the signing account's own. Changing it is free unless requests of the account are
/// live that may read it: then the change costs what these may cost once more.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// The key: text, or 0x and hex digits
    #[arg(value_parser = key)]
    key: Key,
    /// The value: text, or 0x and hex digits
    #[arg(value_parser = key, allow_hyphen_values = true)]
    value: Key,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl SetArgs {
    async fn run(self) -> anyhow::Result<bool> {
        let args = json!({ "key": Bytes(self.key.0.clone()), "value": Bytes(self.value.0) });
        let method = methods::STORAGE_SET;
        change_key(&self.network, self.wallet, method, &self.key, &args, self.json).await
    }
}

/// Remove a key of the signing account's namespace
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// The key: text, or 0x and hex digits
    #[arg(value_parser = key)]
    key: Key,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl RemoveArgs {
    async fn run(self) -> anyhow::Result<bool> {
        let args = json!({ "key": Bytes(self.key.0.clone()) });
        let method = methods::STORAGE_REMOVE;
        change_key(&self.network, self.wallet, method, &self.key, &args, self.json).await
    }
}

/// A change of a key in the signing account's namespace.
pub(crate) struct Change<'a> {
    /// What sets or removes the key.
    pub(crate) method: &'static str,
    /// The key.
    pub(crate) key: &'a [u8],
    /// What it is for, in a few words.
    pub(crate) purpose: String,
    pub(crate) args: &'a Value,
}

/// What came of a change.
pub(crate) struct Changed {
    pub(crate) fee: NearToken,
    /// Whether there was something to change.
    pub(crate) was_there: bool,
    pub(crate) transaction: String,
}

/// Makes a change, for what it costs now; `None` when the transaction was only printed.
pub(crate) async fn change(
    contract: &Contract,
    wallet: &Wallet,
    what: Change<'_>,
) -> anyhow::Result<Option<Changed>> {
    // No request reads a reserved key, so changing one makes no execution void.
    let fee = match is_reserved_key(what.key) {
        true => NearToken::from_yoctonear(0),
        false => change_fee(contract, &wallet.id).await?,
    };
    let planned = call(what.purpose, contract.id(), what.method, what.args, TGAS, fee);
    let Some(outcome) = wallet.send(&planned).await? else {
        return Ok(None);
    };
    let transaction = outcome.transaction.to_string();
    let was_there = outcome.result.ok().is_none_or(|returned| returned != b"false");
    Ok(Some(Changed { fee, was_there, transaction }))
}

/// Changes a key of the signing account's namespace, and says so.
async fn change_key(
    network: &NetworkArgs,
    wallet: WalletArgs,
    method: &'static str,
    key: &Key,
    args: &Value,
    as_json: bool,
) -> anyhow::Result<bool> {
    let contract = network.contract()?;
    let wallet = wallet.open(&network.node, as_json).await?;
    let verb = if method == methods::STORAGE_SET { "set" } else { "remove" };
    let purpose = format!("{verb} {} of {}", print::text(&key.0), wallet.id);
    let Some(done) =
        change(&contract, &wallet, Change { method, key: &key.0, purpose, args }).await?
    else {
        return wallet.printed();
    };
    let Changed { fee, was_there, transaction } = done;
    if as_json {
        print::json(&json!({
            "account_id": wallet.id, "key": Bytes(key.0.clone()), "fee": fee,
            "was_there": was_there, "transaction": transaction,
        }))?;
    } else {
        let done = if verb == "set" { "set" } else { "removed" };
        let done = if was_there { done } else { "absent already" };
        print::line(done, print::text(&key.0));
        print::line("fee", print::near(fee));
        print::line("transaction", transaction);
    }
    Ok(was_there)
}

/// Pay for the bytes of a namespace
#[derive(Debug, Args)]
pub(crate) struct DepositArgs {
    /// How much, in NEAR
    #[arg(value_parser = amount::parse)]
    amount: NearToken,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    /// The account whose bytes it pays for, such as a dApp's contract [default: the one that signs]
    #[arg(long = "for")]
    beneficiary: Option<AccountId>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl DepositArgs {
    async fn run(self) -> anyhow::Result<bool> {
        let contract = self.network.contract()?;
        let wallet = self.wallet.open(&self.network.node, self.json).await?;
        let account_id = self.beneficiary.unwrap_or_else(|| wallet.id.clone());
        let args = json!({ "account_id": account_id });
        let purpose = format!("deposit for the storage of {account_id}");
        let method = methods::STORAGE_DEPOSIT;
        let planned = call(purpose, contract.id(), method, &args, TGAS, self.amount);
        let Some(outcome) = wallet.send(&planned).await? else {
            return wallet.printed();
        };
        moved(&contract, &account_id, "deposited", self.amount, &outcome.transaction, self.json)
            .await
    }
}

/// Take out what no stored byte needs
#[derive(Debug, Args)]
pub(crate) struct WithdrawArgs {
    /// How much, in NEAR [default: all that no stored byte needs]
    #[arg(value_parser = amount::parse)]
    amount: Option<NearToken>,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl WithdrawArgs {
    async fn run(self) -> anyhow::Result<bool> {
        let contract = self.network.contract()?;
        let wallet = self.wallet.open(&self.network.node, self.json).await?;
        let before = balance(&contract, &wallet.id).await?;
        let available = before.map_or(NOTHING, |balance| balance.available);
        let amount = self.amount.unwrap_or(available);
        if available == NOTHING {
            if self.json {
                print::json(&json!({ "withdrawn": NOTHING, "transaction": null }))?;
            } else {
                print::raw(format_args!("{} has nothing to withdraw\n", wallet.id));
            }
            return Ok(false);
        }
        let args = json!({ "amount": self.amount });
        let method = methods::STORAGE_WITHDRAW;
        let purpose = format!("withdraw {} of storage deposit", print::near(amount));
        let planned = call(purpose, contract.id(), method, &args, TGAS, ONE_YOCTO);
        let Some(outcome) = wallet.send(&planned).await? else {
            return wallet.printed();
        };
        moved(&contract, &wallet.id, "withdrawn", amount, &outcome.transaction, self.json).await
    }
}

/// Says what was deposited or withdrawn, and what the account has now.
async fn moved(
    contract: &Contract,
    account_id: &AccountId,
    verb: &str,
    amount: NearToken,
    transaction: &outlayer_client::CryptoHash,
    as_json: bool,
) -> anyhow::Result<bool> {
    let after = balance(contract, account_id).await?;
    let after = after.unwrap_or(StorageBalance { total: NOTHING, available: NOTHING });
    if as_json {
        print::json(&json!({
            "account_id": account_id, verb: amount, "total": after.total,
            "available": after.available, "transaction": transaction.to_string(),
        }))?;
        return Ok(true);
    }
    print::line(verb, print::near(amount));
    print::line("of", account_id);
    print::line("deposited now", print::near(after.total));
    print::line("available", print::near(after.available));
    print::line("transaction", transaction);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_text_or_hex() {
        assert_eq!(key("count").unwrap().0, b"count");
        assert_eq!(key("0xff00").unwrap().0, [0xff, 0]);
        assert_eq!(key("0x").unwrap().0, b"");
        for wrong in ["0xf", "0xzz", "0x+1", "0xé"] {
            assert!(key(wrong).is_err(), "{wrong}");
        }
    }
}
