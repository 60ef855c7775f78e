//! The package `outlayer:host`: what a component has besides WASI. `wit/outlayer.wit` describes it.

use wasmtime::{
    Result, StoreContextMut,
    component::{ComponentType, Lift, Linker, Lower},
};

use crate::{
    host::{State, Work, charge, check_key, enter, namespace},
    verdict::Stop,
};

const PACKAGE: &str = "outlayer:host";
const VERSION: &str = "0.1.0";

type Store<'a> = StoreContextMut<'a, State>;

/// `ExecutionContext` in the component's terms.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Context {
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
    fn of(context: &outlayer_protocol::ExecutionContext) -> Self {
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

    /// The bytes of its lists and texts, and of its numbers.
    fn bytes(&self) -> u64 {
        let texts =
            [&self.contract_id, &self.signer_id, &self.predecessor_id, &self.attached_deposit];
        let texts = texts.iter().map(|text| text.len()).sum::<usize>();
        (texts + self.random_seed.len()) as u64 + 4 * 8
    }
}

pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    let name = |interface: &str| format!("{PACKAGE}/{interface}@{VERSION}");
    linker.instance(&name("context"))?.func_wrap("get", |mut store: Store<'_>, (): ()| {
        enter(&mut store)?;
        let context = Context::of(&store.data().told);
        charge(&mut store, Work::Write(context.bytes()))?;
        Ok((context,))
    })?;
    linker.instance(&name("random"))?.func_wrap(
        "bytes",
        |mut store: Store<'_>, (length,): (u32,)| {
            enter(&mut store)?;
            charge(&mut store, Work::Random(length.into()))?;
            store.data().bounds.admit(length.into())?;
            let mut bytes = vec![0; length as usize];
            store.data_mut().random.fill(&mut bytes);
            Ok((bytes,))
        },
    )?;
    linker.instance(&name("log"))?.func_wrap(
        "line",
        |mut store: Store<'_>, (text,): (Vec<u8>,)| {
            enter(&mut store)?;
            charge(&mut store, Work::Read(text.len() as u64))?;
            charge(&mut store, Work::Log(text.len() as u64))?;
            let logs = &mut store.data_mut().logs;
            logs.write(&text)?;
            Ok(logs.write(b"\n")?)
        },
    )?;
    let mut storage = linker.instance(&name("storage"))?;
    storage.func_wrap_async("read", |mut store: Store<'_>, (key,): (Vec<u8>,)| {
        Box::new(async move { Ok((read(&mut store, &key).await?,)) })
    })?;
    storage.func_wrap_async("contains", |mut store: Store<'_>, (key,): (Vec<u8>,)| {
        Box::new(async move { Ok((find(&mut store, &key).await?.is_some(),)) })
    })?;
    storage.func_wrap_async("remove", |mut store: Store<'_>, (key,): (Vec<u8>,)| {
        Box::new(async move { Ok((remove(&mut store, key).await?,)) })
    })?;
    storage.func_wrap("write", |mut store: Store<'_>, (key, value): (Vec<u8>, Vec<u8>)| {
        namespace::open(&mut store, key.len() as u64, Work::StorageWrite)?;
        check_key(&key)?;
        namespace::pay_value(&mut store, value.len() as u64)?;
        Ok(store.data_mut().storage.write(key, Some(value))?)
    })?;
    Ok(())
}

/// The length of the value at `key`.
async fn find(store: &mut Store<'_>, key: &[u8]) -> Result<Option<u64>, Stop> {
    namespace::open(store, key.len() as u64, Work::StorageRead)?;
    let found = namespace::fetch(store, key).await?;
    if let Some(length) = found {
        charge(store, Work::Found(length))?;
    }
    Ok(found)
}

async fn read(store: &mut Store<'_>, key: &[u8]) -> Result<Option<Vec<u8>>, Stop> {
    let Some(length) = find(store, key).await? else {
        return Ok(None);
    };
    charge(store, Work::Write(length))?;
    let value = store.data().storage.known(key).flatten();
    Ok(value.map(<[u8]>::to_vec))
}

async fn remove(store: &mut Store<'_>, key: Vec<u8>) -> Result<bool, Stop> {
    namespace::open(store, key.len() as u64, Work::StorageRemove)?;
    let found = namespace::fetch(store, &key).await?;
    charge(store, Work::Removed(found.unwrap_or_default()))?;
    store.data_mut().storage.write(key, None)?;
    Ok(found.is_some())
}
