//! `near-api`, a client of NEAR's RPC from the registry that knows nothing about localnet.

use std::sync::Arc;

use near_api::{
    Account, Chain, Contract, NetworkConfig, Signer, Tokens, Transaction,
    errors::{ExecuteTransactionError, QueryError, RetryError, SendRequestError, SignerError},
    signer::generate_secret_key,
    types::{
        AccountId, Data, NearGas, NearToken, SecretKey, TxExecutionStatus,
        transaction::actions::{AccessKeyPermission, FunctionCallPermission},
    },
};
use outlayer_localnet::{Config, Handle, spawn};

/// The key that near-sandbox gives to `sandbox`, an account in every genesis.
const SANDBOX_KEY: &str = "ed25519:\
    3tgdk2wPraJzT4nsTuf86UX41xgPNk3MHnq8epARMdBNs29AFEztAuaQ7iHddDfXG9F2RzV1XNQYgJyAyoW51UBB";

/// A contract with the methods `echo`, `write`, `read`, `panic_msg` and more.
const BASIC: &[u8] = include_bytes!("../golden/contracts/basic.wasm");

struct Client {
    // The node ends when this is dropped.
    _node: Handle,
    network: NetworkConfig,
    signer: Arc<Signer>,
}

fn id(name: &str) -> AccountId {
    name.parse().unwrap()
}

impl Client {
    fn new() -> Self {
        let node = spawn(Config::default()).unwrap();
        let network = NetworkConfig::from_rpc_url("localnet", node.rpc_url().parse().unwrap());
        let signer = Signer::from_secret_key(SANDBOX_KEY.parse().unwrap()).unwrap();
        Self { _node: node, network, signer }
    }

    /// A new account with ten NEAR, its key, and a signer with that key.
    async fn account(&self, name: &str) -> (AccountId, SecretKey, Arc<Signer>) {
        let (account_id, key) = (id(name), generate_secret_key().unwrap());
        Account::create_account(account_id.clone())
            .fund_myself(id("sandbox"), NearToken::from_near(10))
            .with_public_key(key.public_key())
            .with_signer(Arc::clone(&self.signer))
            .send_to(&self.network)
            .await
            .unwrap()
            .assert_success();
        let signer = Signer::from_secret_key(key.clone()).unwrap();
        (account_id, key, signer)
    }

    async fn balance(&self, account_id: &AccountId) -> NearToken {
        let balance = Tokens::account(account_id.clone()).near_balance();
        balance.fetch_from(&self.network).await.unwrap().total
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_made_funded_and_deleted() {
    let client = Client::new();
    let (bob, _, signer) = client.account("bob.sandbox").await;
    assert_eq!(client.balance(&bob).await, NearToken::from_near(10));

    Tokens::account(id("sandbox"))
        .send_to(bob.clone())
        .near(NearToken::from_near(5))
        .with_signer(Arc::clone(&client.signer))
        .send_to(&client.network)
        .await
        .unwrap()
        .assert_success();
    assert_eq!(client.balance(&bob).await, NearToken::from_near(15));

    let before = client.balance(&id("sandbox")).await;
    Account(bob.clone())
        .delete_account_with_beneficiary(id("sandbox"))
        .with_signer(signer)
        .send_to(&client.network)
        .await
        .unwrap()
        .assert_success();
    let gained = client.balance(&id("sandbox")).await.checked_sub(before).unwrap();
    assert!(gained > NearToken::from_millinear(14_990) && gained < NearToken::from_near(15));
    let gone = Account(bob).view().fetch_from(&client.network).await.unwrap_err();
    assert!(gone.to_string().contains("UnknownAccount"), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_is_deployed_called_and_viewed() {
    let client = Client::new();
    let (bob, _, signer) = client.account("bob.sandbox").await;
    Contract::deploy(bob.clone())
        .use_code(BASIC.to_vec())
        .without_init_call()
        .with_signer(Arc::clone(&signer))
        .send_to(&client.network)
        .await
        .unwrap()
        .assert_success();
    let contract = Contract(bob.clone());
    let code = contract.wasm().fetch_from(&client.network).await.unwrap().data;
    assert_eq!(code.code_base64, near_primitives::serialize::to_base64(BASIC));

    let echoed = contract
        .call_function_raw("echo", b"\"a word\"".to_vec())
        .transaction()
        .gas(NearGas::from_tgas(30))
        .with_signer(id("sandbox"), Arc::clone(&client.signer))
        .send_to(&client.network)
        .await
        .unwrap()
        .assert_success();
    assert_eq!(echoed.json::<String>().unwrap(), "a word");

    let written = contract
        .call_function_raw("write", b"x".to_vec())
        .transaction()
        .gas(NearGas::from_tgas(30))
        .with_signer(id("sandbox"), Arc::clone(&client.signer))
        .send_to(&client.network)
        .await
        .unwrap();
    written.assert_success();
    let seen: Data<Vec<u8>> = contract
        .call_function_raw("echo", b"seen".to_vec())
        .read_only_raw()
        .fetch_from(&client.network)
        .await
        .unwrap();
    assert_eq!(seen.data, b"seen");
    let state = contract.view_storage().fetch_from(&client.network).await.unwrap().data;
    assert_eq!(state.values.len(), 1);

    let failed = contract
        .call_function_raw("panic_msg", Vec::new())
        .transaction()
        .gas(NearGas::from_tgas(30))
        .with_signer(id("sandbox"), Arc::clone(&client.signer))
        .send_to(&client.network)
        .await
        .unwrap()
        .assert_failure();
    assert!(format!("{failed:?}").contains("boom"), "{failed:?}");
    let view = contract.call_function_raw("panic_msg", Vec::new()).read_only_raw();
    let error = view.fetch_from(&client.network).await.unwrap_err();
    assert!(format!("{error:?}").contains("boom"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_listed_added_used_and_deleted() {
    let client = Client::new();
    let (bob, key, signer) = client.account("bob.sandbox").await;
    let limited = generate_secret_key().unwrap();
    let permission = AccessKeyPermission::FunctionCall(FunctionCallPermission {
        allowance: Some(NearToken::from_millinear(250)),
        receiver_id: "sandbox".to_owned(),
        method_names: vec!["echo".to_owned()],
    });
    Account(bob.clone())
        .add_key(permission.clone(), limited.public_key())
        .with_signer(Arc::clone(&signer))
        .send_to(&client.network)
        .await
        .unwrap()
        .assert_success();
    let listed = Account(bob.clone()).list_keys().fetch_from(&client.network).await.unwrap().data;
    assert_eq!(listed.len(), 2);
    let found = Account(bob.clone()).access_key(limited.public_key());
    let found = found.fetch_from(&client.network).await.unwrap().data;
    assert_eq!(found.permission, permission);

    // A function call key may not send tokens.
    let error = Tokens::account(bob.clone())
        .send_to(id("sandbox"))
        .near(NearToken::from_near(1))
        .with_signer(Signer::from_secret_key(limited.clone()).unwrap())
        .send_to(&client.network)
        .await
        .unwrap_err();
    // The client drops the reason, which nearcore sends outside of the typed error.
    assert!(format!("{error:?}").contains("InvalidTransaction"), "{error:?}");

    Account(bob.clone())
        .delete_key(limited.public_key())
        .with_signer(signer)
        .send_to(&client.network)
        .await
        .unwrap()
        .assert_success();
    let listed = Account(bob.clone()).list_keys().fetch_from(&client.network).await.unwrap().data;
    assert_eq!(listed.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [key.public_key()]);
    let gone = Account(bob).access_key(limited.public_key());
    assert!(gone.fetch_from(&client.network).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_come_as_the_client_knows_them() {
    let client = Client::new();
    // With a key that the account does not have, the client cannot even learn the nonce.
    let stranger = Signer::from_secret_key(generate_secret_key().unwrap()).unwrap();
    let error = Tokens::account(id("sandbox"))
        .send_to(id("registrar"))
        .near(NearToken::from_near(1))
        .with_signer(stranger)
        .send_to(&client.network)
        .await
        .unwrap_err();
    let text = format!("{error:?}");
    assert!(text.contains("FetchNonceError") || text.contains("UnknownAccessKey"), "{text}");
    assert!(matches!(
        error,
        ExecuteTransactionError::MetaSignError(_)
            | ExecuteTransactionError::SignerError(SignerError::FetchNonceError(_))
    ));

    let error = Tokens::account(id("sandbox"))
        .send_to(id("registrar"))
        .near(NearToken::from_near(1_000_000))
        .with_signer(Arc::clone(&client.signer))
        .send_to(&client.network)
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        ExecuteTransactionError::TransactionError(RetryError::Critical(
            SendRequestError::ServerError(_)
        ))
    ));
    assert!(format!("{error:?}").contains("InvalidTransaction"), "{error:?}");

    let error = Account(id("nobody.sandbox")).view().fetch_from(&client.network).await.unwrap_err();
    let QueryError::QueryError(error) = error else {
        panic!("{error:?}");
    };
    assert!(matches!(*error, RetryError::Critical(SendRequestError::ServerError(_))), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_followed_through_its_levels() {
    let client = Client::new();
    for level in [
        TxExecutionStatus::None,
        TxExecutionStatus::Included,
        TxExecutionStatus::ExecutedOptimistic,
        TxExecutionStatus::IncludedFinal,
        TxExecutionStatus::Executed,
        TxExecutionStatus::Final,
    ] {
        let sent = Tokens::account(id("sandbox"))
            .send_to(id("registrar"))
            .near(NearToken::from_yoctonear(1))
            .with_signer(Arc::clone(&client.signer))
            .wait_until(level)
            .send_to(&client.network)
            .await
            .unwrap();
        // A node that is asked to wait for so little has no outcome yet.
        if let Some(status) = sent.clone().pending_status() {
            assert!(matches!(level, TxExecutionStatus::None | TxExecutionStatus::Included));
            assert_eq!(status, level);
            continue;
        }
        assert_ne!(level, TxExecutionStatus::None);
        let full = sent.into_full().unwrap();
        let hash = full.outcome().transaction_hash;
        let status = Transaction::status(id("sandbox"), hash);
        let status = status.fetch_from(&client.network).await.unwrap();
        assert_eq!(status.outcome().transaction_hash, hash);
        status.assert_success();
    }
    let height = Chain::block_number().fetch_from(&client.network).await.unwrap();
    assert!(height > 6);
    let block = Chain::block().fetch_from(&client.network).await.unwrap();
    assert_eq!(block.author.as_str(), "test.near");
}
