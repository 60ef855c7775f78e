//! Headers: names and values, in the order in which they were added.

use outlayer_guest::{
    HostCall, Stop, Work,
    http::{is_forbidden, is_header_name, is_header_value},
    outlayer::http::HEADER_BYTES,
};
use wasmtime::{Result, component::Resource};
use wasmtime_wasi_http::{
    FieldMap,
    p2::{
        HeaderError, HeaderResult,
        bindings::http::types::{self, HeaderError as Refused},
    },
};

use crate::state::State;

/// The entry behind the resource `fields`.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    pub(super) entries: Vec<(String, Vec<u8>)>,
    /// Those of a request or a response cannot be changed.
    pub(super) is_fixed: bool,
}

impl Fields {
    /// How much room they take.
    pub(super) fn bytes(&self) -> usize {
        self.entries.iter().map(|(name, value)| entry_bytes(name, value)).sum()
    }

    /// The one value of this name, if there is just one.
    pub(super) fn only(&self, name: &str) -> Option<&[u8]> {
        let mut values = self.values(name);
        values.next().filter(|_| values.next().is_none())
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let entries = self.entries.iter();
        entries.filter(move |(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| &value[..])
    }
}

fn entry_bytes(name: &str, value: &[u8]) -> usize {
    name.len() + value.len() + HEADER_BYTES
}

/// Checks what a guest adds.
fn check<'a>(name: &str, values: impl IntoIterator<Item = &'a Vec<u8>>) -> Result<(), Refused> {
    if !is_header_name(name) || !values.into_iter().all(|value| is_header_value(value)) {
        return Err(Refused::InvalidSyntax);
    }
    if is_forbidden(name) { Err(Refused::Forbidden) } else { Ok(()) }
}

impl types::HostFields for State {
    fn new(&mut self) -> Result<Resource<FieldMap>> {
        self.enter()?;
        self.give(Fields::default())
    }

    fn from_list(&mut self, entries: Vec<(String, Vec<u8>)>) -> HeaderResult<Resource<FieldMap>> {
        let bytes = entries.iter().map(|(name, value)| entry_bytes(name, value)).sum::<usize>();
        self.enter().and_then(|()| self.charge(Work::Read(bytes as u64))).map_err(trap)?;
        for (name, value) in &entries {
            check(name, [value])?;
        }
        self.give(Fields { entries, is_fixed: false }).map_err(HeaderError::trap)
    }

    fn get(&mut self, fields: Resource<FieldMap>, name: String) -> Result<Vec<Vec<u8>>> {
        self.look(&fields, &name)?;
        let fields = self.kept::<Fields, _>(&fields)?;
        let values: Vec<_> = fields.values(&name).map(<[u8]>::to_vec).collect();
        self.charge(Work::Write(values.iter().map(Vec::len).sum::<usize>() as u64))?;
        Ok(values)
    }

    fn has(&mut self, fields: Resource<FieldMap>, name: String) -> Result<bool> {
        self.look(&fields, &name)?;
        Ok(self.kept::<Fields, _>(&fields)?.values(&name).next().is_some())
    }

    fn set(
        &mut self,
        fields: Resource<FieldMap>,
        name: String,
        values: Vec<Vec<u8>>,
    ) -> HeaderResult<()> {
        self.change(&fields, name, values, true)
    }

    fn delete(&mut self, fields: Resource<FieldMap>, name: String) -> HeaderResult<()> {
        self.change(&fields, name, Vec::new(), true)
    }

    fn append(
        &mut self,
        fields: Resource<FieldMap>,
        name: String,
        value: Vec<u8>,
    ) -> HeaderResult<()> {
        self.change(&fields, name, vec![value], false)
    }

    fn entries(&mut self, fields: Resource<FieldMap>) -> Result<Vec<(String, Vec<u8>)>> {
        self.enter()?;
        let bytes = self.kept::<Fields, _>(&fields)?.bytes();
        self.charge(Work::Write(bytes as u64))?;
        Ok(self.kept::<Fields, _>(&fields)?.entries.clone())
    }

    fn clone(&mut self, fields: Resource<FieldMap>) -> Result<Resource<FieldMap>> {
        self.enter()?;
        self.copy(&fields, |fields: &Fields| fields, false)
    }

    fn drop(&mut self, fields: Resource<FieldMap>) -> Result<()> {
        self.take_fields(fields).map(|_| ())
    }
}

impl State {
    /// Gives the guest headers of its own.
    pub(super) fn give(&mut self, fields: Fields) -> Result<Resource<FieldMap>> {
        self.hold(fields.bytes())?;
        Ok(self.push_as(fields)?)
    }

    /// Gives the guest a copy of headers that another resource has.
    pub(super) fn copy<E: 'static, R: 'static>(
        &mut self,
        resource: &Resource<R>,
        fields: fn(&E) -> &Fields,
        is_fixed: bool,
    ) -> Result<Resource<FieldMap>> {
        let bytes = fields(self.kept::<E, _>(resource)?).bytes();
        self.charge(Work::Read(bytes as u64))?;
        let entries = fields(self.kept::<E, _>(resource)?).entries.clone();
        self.give(Fields { entries, is_fixed })
    }

    /// Takes headers back that the guest gives up.
    pub(super) fn take_fields(&mut self, fields: Resource<FieldMap>) -> Result<Fields> {
        let fields: Fields = self.take_entry(fields)?;
        self.release(fields.bytes());
        Ok(fields)
    }

    /// Opens a call that looks for a name.
    fn look(&mut self, fields: &Resource<FieldMap>, name: &str) -> Result<()> {
        self.enter()?;
        let bytes = self.kept::<Fields, _>(fields)?.bytes();
        Ok(self.charge(Work::Read((name.len() + bytes) as u64))?)
    }

    /// Adds values of a name, in place of those that there were or behind them.
    fn change(
        &mut self,
        fields: &Resource<FieldMap>,
        name: String,
        values: Vec<Vec<u8>>,
        replaces: bool,
    ) -> HeaderResult<()> {
        self.look(fields, &name).map_err(HeaderError::trap)?;
        let added: usize = values.iter().map(|value| entry_bytes(&name, value)).sum();
        self.charge(Work::Read(added as u64)).map_err(trap)?;
        let kept = self.kept_mut::<Fields, _>(fields).map_err(trap)?;
        if kept.is_fixed {
            return Err(Refused::Immutable.into());
        }
        check(&name, &values)?;
        let before = kept.bytes();
        if replaces {
            kept.entries.retain(|(own, _)| !own.eq_ignore_ascii_case(&name));
        }
        kept.entries.extend(values.into_iter().map(|value| (name.clone(), value)));
        let after = kept.bytes();
        self.release(before);
        self.hold(after).map_err(trap)
    }
}

/// The call ends the execution.
fn trap(stop: Stop) -> HeaderError {
    HeaderError::trap(stop)
}
