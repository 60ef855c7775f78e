//! The package `outlayer:host`, which `wit/outlayer.wit` describes.
//! [`outlayer_guest::outlayer::component`] has the rules.

use outlayer_guest::{http::Refusal, outlayer::component};
use outlayer_protocol::{ExecutionContext, http::Answered};
use wasmtime::{
    Result, StoreContextMut,
    component::{ComponentType, Lift, Linker, LinkerInstance, Lower},
};

use super::http::{Error, Request, Response};
use crate::{call::ComponentCall, state::State};

type Store<'a> = StoreContextMut<'a, State>;

/// [`ExecutionContext`] in the component's terms.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
struct Context {
    #[component(name = "request-id")]
    request_id: u64,
    #[component(name = "contract-id")]
    contract_id: String,
    #[component(name = "block-height")]
    block_height: u64,
    #[component(name = "block-timestamp")]
    block_timestamp: u64,
    #[component(name = "epoch-height")]
    epoch_height: u64,
    #[component(name = "random-seed")]
    random_seed: Vec<u8>,
    #[component(name = "signer-id")]
    signer_id: String,
    #[component(name = "predecessor-id")]
    predecessor_id: String,
    #[component(name = "attached-deposit")]
    attached_deposit: String,
}

impl Context {
    fn of(context: &ExecutionContext) -> Self {
        Self {
            request_id: context.request_id,
            contract_id: context.contract_id.to_string(),
            block_height: context.block_height,
            block_timestamp: context.block_timestamp,
            epoch_height: context.epoch_height,
            random_seed: context.random_seed.0.to_vec(),
            signer_id: context.signer_id.to_string(),
            predecessor_id: context.predecessor_id.to_string(),
            attached_deposit: context.attached_deposit.as_yoctonear().to_string(),
        }
    }
}

pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    interface(linker, "context")?.func_wrap("get", |store: Store<'_>, (): ()| {
        Ok((Context::of(component::context(&mut ComponentCall(store))?),))
    })?;
    interface(linker, "random")?.func_wrap("bytes", |store: Store<'_>, (length,): (u32,)| {
        Ok((component::random_bytes(&mut ComponentCall(store), length)?,))
    })?;
    interface(linker, "log")?.func_wrap("line", |store: Store<'_>, (text,): (Vec<u8>,)| {
        Ok(component::log_line(&mut ComponentCall(store), &text)?)
    })?;
    let mut storage = interface(linker, "storage")?;
    storage.func_wrap_async("read", |store: Store<'_>, (key,): (Vec<u8>,)| {
        let mut call = ComponentCall(store);
        Box::new(async move { Ok((component::storage_read(&mut call, &key).await?,)) })
    })?;
    storage.func_wrap_async("contains", |store: Store<'_>, (key,): (Vec<u8>,)| {
        let mut call = ComponentCall(store);
        Box::new(async move { Ok((component::storage_contains(&mut call, &key).await?,)) })
    })?;
    storage.func_wrap_async("remove", |store: Store<'_>, (key,): (Vec<u8>,)| {
        let mut call = ComponentCall(store);
        Box::new(async move { Ok((component::storage_remove(&mut call, key).await?,)) })
    })?;
    storage.func_wrap("write", |store: Store<'_>, (key, value): (Vec<u8>, Vec<u8>)| {
        Ok(component::storage_write(&mut ComponentCall(store), key, value)?)
    })?;
    interface(linker, "http")?.func_wrap_async(
        "fetch",
        |store: Store<'_>, (request,): (Request,)| {
            let mut call = ComponentCall(store);
            Box::new(async move {
                let answered = component::http_fetch(&mut call, request.into()).await?;
                Ok((answer(answered),))
            })
        },
    )?;
    let mut actions = interface(linker, "actions")?;
    actions.func_wrap("promise", |store: Store<'_>, (receiver, after): (String, Vec<u32>)| {
        Ok((component::plan_promise(&mut ComponentCall(store), &receiver, after)?,))
    })?;
    actions.func_wrap(
        "function-call",
        |store: Store<'_>,
         (promise, method, args, deposit, gas, weight): (
            u32,
            String,
            Vec<u8>,
            String,
            u64,
            u64,
        )| {
            let (call, what) = (&mut ComponentCall(store), (&method[..], &args[..]));
            Ok(component::plan_call(call, promise, what, &deposit, (gas, weight))?)
        },
    )?;
    actions.func_wrap("transfer", |store: Store<'_>, (promise, deposit): (u32, String)| {
        Ok(component::plan_transfer(&mut ComponentCall(store), promise, &deposit)?)
    })?;
    actions.func_wrap("return-promise", |store: Store<'_>, (promise,): (u32,)| {
        Ok(component::plan_return(&mut ComponentCall(store), promise)?)
    })?;
    Ok(())
}

/// What `http.fetch` answers.
fn answer(
    answered: std::result::Result<Answered, Refusal>,
) -> std::result::Result<Response, Error> {
    match answered {
        Ok(Answered::Response(response)) => Ok(response.into()),
        Ok(Answered::Failed(error)) => Err(error.into()),
        Err(refusal) => Err(refusal.into()),
    }
}

/// The instance of one of the package's interfaces.
fn interface<'a>(linker: &'a mut Linker<State>, name: &str) -> Result<LinkerInstance<'a, State>> {
    linker.instance(&format!("outlayer:host/{name}@0.1.0"))
}
