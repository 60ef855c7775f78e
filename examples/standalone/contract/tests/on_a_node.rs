//! Contract and guest on a node, with OutLayer and its workers.

use near_sdk::serde_json::json;
use outlayer_testkit::{
    Behaviour, Call, Lie, Outlayer, Result, Setup, build_contract, build_guest,
    near_workspaces::{Account, Contract, types::NearToken},
};

/// 3 · 11 · 13 · 17 · 65,537
const NUMBER: &str = "477961341";
const FACTORS: &str = "3 11 13 17 65537";

struct Stage {
    outlayer: Outlayer,
    contract: Contract,
    user: Account,
    deposit: NearToken,
}

impl Stage {
    async fn set(setup: Setup) -> Result<Self> {
        let here = env!("CARGO_MANIFEST_DIR");
        let outlayer = setup.start().await?;
        let code = outlayer.publish(&build_guest(format!("{here}/../guest"))?).await?;
        let new = json!({ "outlayer": outlayer.id(), "code": code });
        let contract = outlayer.deploy(&build_contract(here)?, new).await?;
        let user = outlayer.account().await?;
        let deposit = outlayer
            .estimate_of(&contract, "request", json!({ "number": NUMBER, "payer": user.id() }))
            .await?
            .total;
        Ok(Self { outlayer, contract, user, deposit })
    }

    fn factor(&self) -> Call<'_> {
        let args = json!({ "number": NUMBER });
        self.outlayer.call(&self.user, self.contract.id(), "factor", args).deposit(self.deposit)
    }

    async fn kept(&self) -> Option<Vec<String>> {
        let view = self.contract.view("factors").args_json(json!({ "number": NUMBER }));
        view.await.unwrap().json().unwrap()
    }
}

#[tokio::test]
async fn a_number_is_factored_for_the_fee_and_nothing_else() -> Result<()> {
    let stage = Stage::set(Outlayer::setup()).await?;
    let called = stage.factor().await?;
    assert_eq!(called.json::<String>()?, FACTORS);
    assert_eq!(stage.kept().await.unwrap().join(" "), FACTORS);
    let money = called.money;
    assert_eq!(money.caller_paid, i128::try_from(money.fee.as_yoctonear()).unwrap());
    assert_eq!(money.fee.saturating_add(money.refund), stage.deposit);
    assert_eq!(called.guest_log(), format!("factoring {NUMBER}\n"));
    Ok(())
}

#[tokio::test]
async fn without_an_answer_everything_comes_back() -> Result<()> {
    let stage = Stage::set(Outlayer::setup().workers([])).await?;
    let called = stage.factor().until_timeout().await?;
    assert_eq!(called.json::<String>()?, "no answer: timed_out");
    assert_eq!((called.money.caller_paid, stage.kept().await), (0, None));
    Ok(())
}

#[tokio::test]
async fn a_lie_is_not_kept() -> Result<()> {
    let lie = Behaviour::Lying(Lie::output("3 5"));
    let stage = Stage::set(Outlayer::setup().workers([lie])).await?;
    let called = stage.factor().await?;
    assert_eq!(called.json::<String>()?, "a lie: 3 5");
    assert_eq!(stage.kept().await, None);
    Ok(())
}
