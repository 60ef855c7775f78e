//! `wasi:http`: present, so that what imports it links, and denied.
//!
//! A guest can build a request, and is told `HTTP-request-denied` when it sends it. The functions
//! are made for each component that imports them, from the types that it imports them with, and not
//! from a list: whichever version of `wasi:http` a component was made with, each function answers
//! by its type.
//!
//! | a function that returns | answers |
//! |---|---|
//! | nothing | nothing |
//! | a resource of `wasi:http` | one, which keeps nothing of what it is told |
//! | an output stream | one that is closed |
//! | a `result` whose error can say it | the error `HTTP-request-denied` |
//! | another `result` | success, with what its type answers |
//! | an option, a list, a string, a number, `bool` | none, empty, zero, `false` |
//! | a variant or an enumeration | the first case without a value |
//! | anything else | a trap: it takes what only a request that was sent can give |

use std::borrow::Cow;

use outlayer_guest::{HostCall, Stop, Work, verdict::reason::NO_HTTP};
use wasmtime::{
    Engine, Result, StoreContextMut,
    component::{
        Component, Linker, Resource, ResourceAny, ResourceType, Type, Val,
        types::{ComponentInstance, ComponentItem, ResultType},
    },
};
use wasmtime_wasi::p2::DynOutputStream;

use super::streams::Target;
use crate::state::State;

/// How the names of the interfaces begin, and of their version.
const PACKAGE: &str = "wasi:http/";
const VERSION: &str = "@0.2.";
/// The case of `wasi:http/types.error-code` that says that a request is not permitted.
const DENIED: &str = "HTTP-request-denied";

/// A resource of `wasi:http`.
struct Thing;

type Store<'a> = StoreContextMut<'a, State>;

/// The linker for `component`: `linker` itself, unless the component imports `wasi:http`.
pub(crate) fn linker_for<'a>(
    linker: &'a Linker<State>,
    engine: &Engine,
    component: &Component,
) -> Result<Cow<'a, Linker<State>>> {
    let ty = component.component_type();
    let mut linker = Cow::Borrowed(linker);
    // The interfaces of `wasi:http` name resources of others too.
    let mut foreign = Vec::new();
    for (name, import) in ty.imports(engine) {
        let ComponentItem::ComponentInstance(interface) = import.ty else { continue };
        if name.starts_with(PACKAGE) && name.contains(VERSION) {
            deny(linker.to_mut(), engine, name, &interface, &foreign)?;
        } else {
            foreign.extend(interface.exports(engine).filter_map(|(_, export)| match export.ty {
                ComponentItem::Resource(ty) => Some(ty),
                _ => None,
            }));
        }
    }
    Ok(linker)
}

/// Links an interface.
fn deny(
    linker: &mut Linker<State>,
    engine: &Engine,
    name: &str,
    interface: &ComponentInstance,
    foreign: &[ResourceType],
) -> Result<()> {
    let mut instance = linker.instance(name)?;
    for (name, export) in interface.exports(engine) {
        match export.ty {
            ComponentItem::Resource(ty) if !foreign.contains(&ty) => {
                instance.resource(name, ResourceType::host::<Thing>(), |mut store, owned| {
                    Ok(store.data_mut().remove(Resource::<Thing>::new_own(owned))?)
                })?;
            }
            ComponentItem::ComponentFunc(_) => {
                instance.func_new(name, |mut store, ty, params, results| {
                    let state = store.data_mut();
                    state.enter()?;
                    state.charge(Work::Read(params.iter().map(size).sum()))?;
                    for param in params {
                        release(&mut store, param)?;
                    }
                    for (result, ty) in results.iter_mut().zip(ty.results()) {
                        *result = answer(&mut store, &ty)?.ok_or(Stop::Trap(NO_HTTP))?;
                    }
                    Ok(())
                })?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// How much a value is to read, bytes.
fn size(value: &Val) -> u64 {
    match value {
        Val::String(text) => text.len() as u64,
        Val::List(values) | Val::Tuple(values) => values.iter().map(size).sum(),
        Val::Record(fields) => fields.iter().map(|(_, value)| size(value)).sum(),
        Val::Variant(_, Some(value)) | Val::Option(Some(value)) => size(value),
        Val::Result(Ok(Some(value)) | Err(Some(value))) => size(value),
        _ => 1,
    }
}

/// Gives up the handles in an argument, and drops what they own.
fn release(store: &mut Store<'_>, value: &Val) -> Result<()> {
    match value {
        Val::Resource(handle) if handle.ty() == ResourceType::host::<Thing>() => {
            let thing = handle.try_into_resource::<Thing>(&mut *store)?;
            if thing.owned() {
                store.data_mut().remove(thing)?;
            }
            Ok(())
        }
        Val::Resource(_) => Err(Stop::Trap(NO_HTTP).into()),
        Val::List(values) | Val::Tuple(values) => {
            values.iter().try_for_each(|value| release(store, value))
        }
        Val::Record(fields) => fields.iter().try_for_each(|(_, value)| release(store, value)),
        Val::Variant(_, Some(value)) | Val::Option(Some(value)) => release(store, value),
        Val::Result(Ok(Some(value)) | Err(Some(value))) => release(store, value),
        _ => Ok(()),
    }
}

/// What a function of this type answers. `None` when there is nothing that it could.
fn answer(store: &mut Store<'_>, ty: &Type) -> Result<Option<Val>> {
    Ok(Some(match ty {
        Type::Bool => Val::Bool(false),
        Type::U8 => Val::U8(0),
        Type::U16 => Val::U16(0),
        Type::U32 => Val::U32(0),
        Type::U64 => Val::U64(0),
        Type::String => Val::String(String::new()),
        Type::List(_) => Val::List(Vec::new()),
        Type::Option(_) => Val::Option(None),
        Type::Variant(variant) => match variant.cases().find(|case| case.ty.is_none()) {
            Some(case) => Val::Variant(case.name.to_owned(), None),
            None => return Ok(None),
        },
        Type::Enum(cases) => match cases.names().next() {
            Some(name) => Val::Enum(name.to_owned()),
            None => return Ok(None),
        },
        Type::Result(result) => return answer_result(store, result),
        Type::Own(ty) if *ty == ResourceType::host::<Thing>() => {
            let thing = store.data_mut().push_as::<Thing>(Thing)?;
            Val::Resource(ResourceAny::try_from_resource(thing, store)?)
        }
        Type::Own(ty) if *ty == ResourceType::host::<DynOutputStream>() => {
            let stream = store.data_mut().push_as::<DynOutputStream>(Target::Closed)?;
            Val::Resource(ResourceAny::try_from_resource(stream, store)?)
        }
        _ => return Ok(None),
    }))
}

fn answer_result(store: &mut Store<'_>, result: &ResultType) -> Result<Option<Val>> {
    let can_deny = match result.err() {
        Some(Type::Variant(error)) => {
            error.cases().any(|case| case.name == DENIED && case.ty.is_none())
        }
        _ => false,
    };
    if can_deny {
        let denied = Val::Variant(DENIED.to_owned(), None);
        return Ok(Some(Val::Result(Err(Some(Box::new(denied))))));
    }
    match result.ok() {
        None => Ok(Some(Val::Result(Ok(None)))),
        Some(ok) => {
            let value = answer(store, &ok)?;
            Ok(value.map(|value| Val::Result(Ok(Some(Box::new(value))))))
        }
    }
}
