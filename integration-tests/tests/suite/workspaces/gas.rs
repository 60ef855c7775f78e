//! near-workspaces' gas meter agrees with the outcomes.

use near_workspaces::{operations::Function, types::GasMeter};

use super::{BASIC, worker};

#[tokio::test]
async fn the_meter_adds_up_all_that_was_burnt() {
    let mut worker = worker().await;
    let meter = GasMeter::now(&mut worker);
    let mut total = 0;
    let (id, key) = worker.generate_dev_account_credentials();
    let created = worker.create_root_account_subaccount_and_deploy(id, key, BASIC).await.unwrap();
    total += created.details.total_gas_burnt.as_gas();
    let contract = created.into_result().unwrap();
    let (id, key) = worker.generate_dev_account_credentials();
    let created = worker.create_root_account_subaccount(id, key).await.unwrap();
    total += created.details.total_gas_burnt.as_gas();
    let account = created.into_result().unwrap();
    let call = account.call(contract.id(), "write").args(b"x".to_vec()).transact().await.unwrap();
    total += call.total_gas_burnt.as_gas();
    let batch = contract
        .batch()
        .call(Function::new("write").args(b"y".to_vec()))
        .call(Function::new("write").args(b"z".to_vec()))
        .transact()
        .await
        .unwrap();
    total += batch.total_gas_burnt.as_gas();
    assert_eq!(meter.elapsed().unwrap().as_gas(), total);
    contract.view("read").await.unwrap();
    assert_eq!(meter.elapsed().unwrap().as_gas(), total, "views are free");
}

#[tokio::test]
async fn the_meter_counts_calls_in_parallel() {
    let mut worker = worker().await;
    let contract = worker.dev_deploy(BASIC).await.unwrap();
    let account = worker.dev_create_account().await.unwrap();
    let meter = GasMeter::now(&mut worker);
    // The meter belongs to the worker. Accounts that were created before it have clones of the
    // worker that do not report to it.
    let contract = near_workspaces::Contract::from_secret_key(
        contract.id().clone(),
        contract.as_account().secret_key().clone(),
        &worker,
    );
    let account = near_workspaces::Account::from_secret_key(
        account.id().clone(),
        account.secret_key().clone(),
        &worker,
    );
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let (account, id) = (account.clone(), contract.id().clone());
            tokio::spawn(async move {
                let call = account.call(&id, "hello").transact().await.unwrap();
                call.total_gas_burnt.as_gas()
            })
        })
        .collect();
    let mut total = 0;
    for task in tasks {
        total += task.await.unwrap();
    }
    assert_eq!(meter.elapsed().unwrap().as_gas(), total);
}
