//! `sandbox_patch_state` in all forms that near-workspaces offers.

use near_workspaces::{
    AccessKey, AccountDetailsPatch, Contract,
    types::{KeyType, NearToken, SecretKey},
};

use super::{BASIC, basic};

#[tokio::test]
async fn state_is_seen_and_patched() {
    let (worker, contract) = basic().await;
    contract.call("write").args(b"hello".to_vec()).transact().await.unwrap().unwrap();
    let state = contract.view_state().await.unwrap();
    assert_eq!(state.get(b"key".as_slice()), Some(&b"hello".to_vec()));
    for value in [b"once".as_slice(), b"once", b"again"] {
        worker.patch_state(contract.id(), b"key", value).await.unwrap();
        assert_eq!(contract.view("read").await.unwrap().result, value);
    }
    worker.patch(contract.id()).state(b"key", b"patched").transact().await.unwrap();
    assert_eq!(contract.view("read").await.unwrap().result, b"patched");
}

#[tokio::test]
async fn a_whole_contract_is_put_under_another_name() {
    let (worker, contract) = basic().await;
    contract.call("write").args(b"hello".to_vec()).transact().await.unwrap().unwrap();
    let account = contract.view_account().await.unwrap();
    let id: near_workspaces::AccountId = "bob.test.near".parse().unwrap();
    let key = SecretKey::from_seed(KeyType::ED25519, "bob");
    worker
        .patch(&id)
        .account(
            AccountDetailsPatch::default()
                .balance(NearToken::from_near(100))
                .locked(account.locked)
                .contract_state(account.contract_state)
                .storage_usage(account.storage_usage),
        )
        .access_key(key.public_key(), AccessKey::full_access())
        .code(BASIC)
        .state(b"key", b"hello")
        .transact()
        .await
        .unwrap();
    let copy = Contract::from_secret_key(id, key, &worker);
    assert_eq!(copy.view("read").await.unwrap().result, b"hello");
    copy.call("write").args(b"own".to_vec()).transact().await.unwrap().unwrap();
    assert_eq!(copy.view("read").await.unwrap().result, b"own");
}

#[tokio::test]
async fn code_brings_its_hash_along() {
    let (worker, contract) = basic().await;
    let account = worker.dev_create_account().await.unwrap();
    worker.patch(account.id()).code(BASIC).transact().await.unwrap();
    let expected = contract.view_account().await.unwrap().contract_state;
    assert_eq!(account.view_account().await.unwrap().contract_state, expected);
    assert_eq!(worker.view(account.id(), "hello").await.unwrap().result, b"world");
}

#[tokio::test]
async fn an_account_is_changed_from_what_it_is() {
    let (worker, _) = basic().await;
    let account = worker.dev_create_account().await.unwrap();
    let balance = NearToken::from_yoctonear(10_u128.pow(16));
    worker
        .patch(account.id())
        .account_from_current(move |mut details| {
            details.balance = balance;
            AccountDetailsPatch::from(details)
        })
        .transact()
        .await
        .unwrap();
    assert_eq!(account.view_account().await.unwrap().balance, balance);
}
