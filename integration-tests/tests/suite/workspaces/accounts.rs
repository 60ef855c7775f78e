//! Accounts, keys and deploys.

use near_workspaces::{
    AccessKey,
    types::{KeyType, NearToken, SecretKey},
};

use super::{BASIC, basic, worker};

#[tokio::test]
async fn a_subaccount_has_its_parent_s_name_and_can_sign() {
    let worker = worker().await;
    let parent = worker.dev_create_account().await.unwrap();
    let child = parent.create_subaccount("child").transact().await.unwrap().into_result().unwrap();
    assert_eq!(child.id().as_str(), format!("child.{}", parent.id()));
    let sent = child.transfer_near(parent.id(), NearToken::from_yoctonear(1)).await.unwrap();
    assert!(sent.is_success());
}

#[tokio::test]
async fn a_transfer_between_top_level_accounts_arrives_whole() {
    let worker = worker().await;
    let alice = worker.dev_create_tla().await.unwrap();
    let bob = worker.dev_create_tla().await.unwrap();
    let before = NearToken::from_near(100);
    assert_eq!(alice.view_account().await.unwrap().balance, before);
    let amount = NearToken::from_yoctonear(500_000_000);
    alice.transfer_near(bob.id(), amount).await.unwrap().into_result().unwrap();
    assert_eq!(bob.view_account().await.unwrap().balance, before.saturating_add(amount));
    assert!(alice.view_account().await.unwrap().balance < before.saturating_sub(amount));
}

#[tokio::test]
async fn a_deleted_account_is_gone_and_its_balance_with_the_beneficiary() {
    let worker = worker().await;
    let alice = worker.dev_create_account().await.unwrap();
    let bob = worker.dev_create_account().await.unwrap();
    alice.clone().delete_account(bob.id()).await.unwrap().into_result().unwrap();
    let error = alice.view_account().await.unwrap_err().into_inner().unwrap().to_string();
    assert!(error.contains(&format!("{} does not exist while viewing", alice.id())), "{error}");
    assert!(bob.view_account().await.unwrap().balance > NearToken::from_near(100));
}

#[tokio::test]
async fn a_post_quantum_key_signs_and_is_only_known_by_its_hash() {
    let worker = worker().await;
    if worker.status().await.unwrap().protocol_version < 88 {
        // Such keys came with this version.
        return;
    }
    let root = worker.root_account().unwrap();
    let key = SecretKey::from_random(KeyType::MLDSA65);
    let account = root
        .create_subaccount("pq")
        .keys(key)
        .initial_balance(NearToken::from_near(10))
        .transact()
        .await
        .unwrap()
        .into_result()
        .unwrap();
    let one = NearToken::from_near(1);
    account.transfer_near(root.id(), one).await.unwrap().into_result().unwrap();
    assert!(account.view_account().await.unwrap().balance < NearToken::from_near(9));
    assert!(account.view_access_keys().await.is_err());
}

#[tokio::test]
async fn more_keys_than_a_page_holds_are_all_listed() {
    let worker = worker().await;
    let account = worker.dev_create_account().await.unwrap();
    for _ in 0..2 {
        let mut batch = account.batch(account.id());
        for _ in 0..75 {
            let key = SecretKey::from_random(KeyType::ED25519).public_key();
            batch = batch.add_key(key, AccessKey::full_access());
        }
        batch.transact().await.unwrap().into_result().unwrap();
    }
    assert_eq!(account.view_access_keys().await.unwrap().len(), 151);
}

#[tokio::test]
async fn an_unknown_key_s_error_has_nearcore_s_words() {
    let worker = worker().await;
    let account = worker.dev_create_account().await.unwrap();
    let key = SecretKey::from_random(KeyType::ED25519).public_key();
    let error = worker.view_access_key(account.id(), &key).await.unwrap_err();
    let text = format!("{error:?}");
    // The client recognises the text of the response and turns it into this error.
    assert!(text.contains(&format!("UnknownAccessKey {{ public_key: {key}")), "{text}");
}

#[tokio::test]
async fn a_deployed_contract_answers_on_a_new_account_and_on_an_old_one() {
    let (worker, contract) = basic().await;
    assert_eq!(contract.view("hello").await.unwrap().result, b"world");
    assert_eq!(contract.view_code().await.unwrap(), BASIC);
    let account = worker.dev_create_account().await.unwrap();
    let deployed = account.deploy(BASIC).await.unwrap().into_result().unwrap();
    assert_eq!(deployed.view("hello").await.unwrap().result, b"world");
    let states = [contract.view_account().await, deployed.view_account().await]
        .map(|account| account.unwrap().contract_state);
    assert_eq!(states[0], states[1]);
}

#[tokio::test]
async fn a_node_in_the_process_serves_near_workspaces_too() {
    let handle = outlayer_localnet::spawn(outlayer_localnet::Config::default()).unwrap();
    let worker = near_workspaces::sandbox()
        .rpc_addr(&handle.rpc_url())
        .validator_key(near_workspaces::network::ValidatorKey::HomeDir(handle.home().to_owned()))
        .await
        .unwrap();
    let contract = worker.dev_deploy(BASIC).await.unwrap();
    assert_eq!(contract.view("hello").await.unwrap().result, b"world");
    let top_level = worker.dev_create_tla().await.unwrap();
    assert_eq!(top_level.view_account().await.unwrap().balance, NearToken::from_near(100));
}
