//! Borsh of requests and responses, in which a module and its host exchange them.

use super::{Error, Request, Response};

fn put(into: &mut Vec<u8>, bytes: &[u8]) {
    put_length(into, bytes.len());
    into.extend_from_slice(bytes);
}

/// No list or text in the memory of a module is longer than 32 bits tell.
fn put_length(into: &mut Vec<u8>, length: usize) {
    into.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_headers(into: &mut Vec<u8>, headers: &[(String, Vec<u8>)]) {
    put_length(into, headers.len());
    for (name, value) in headers {
        put(into, name.as_bytes());
        put(into, value);
    }
}

pub(crate) fn request(request: &Request) -> Vec<u8> {
    let mut bytes = Vec::new();
    put(&mut bytes, request.method.as_bytes());
    put(&mut bytes, request.url.as_bytes());
    put_headers(&mut bytes, &request.headers);
    put(&mut bytes, &request.body);
    bytes
}

pub(crate) fn response(response: &Response) -> Vec<u8> {
    let mut bytes = response.status.to_le_bytes().to_vec();
    put_headers(&mut bytes, &response.headers);
    put(&mut bytes, &response.body);
    bytes
}

/// What is left to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.0.split_at_checked(length)?;
        self.0 = left;
        Some(taken)
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.take(4)?.try_into().ok()?)).ok()
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let length = self.length()?;
        self.take(length).map(<[u8]>::to_vec)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?).ok()
    }

    fn headers(&mut self) -> Option<Vec<(String, Vec<u8>)>> {
        let count = self.length()?;
        (0..count).map(|_| Some((self.text()?, self.bytes()?))).collect()
    }

    fn request(&mut self) -> Option<Request> {
        let (method, url) = (self.text()?, self.text()?);
        Some(Request { headers: self.headers()?, body: self.bytes()?, ..Request::new(method, url) })
    }

    fn response(&mut self) -> Option<Response> {
        let status = u16::from_le_bytes(self.take(2)?.try_into().ok()?);
        Some(Response { status, headers: self.headers()?, body: self.bytes()? })
    }
}

/// What the host answers: a response, or the place of an error among those of exchanges.
pub(crate) fn answered(bytes: &[u8]) -> Result<Response, Error> {
    let mut reader = Reader(bytes);
    match reader.take(1) {
        Some([0]) => reader.response().ok_or(Error::Protocol),
        Some(_) => Err(reader
            .take(1)
            .and_then(|place| Error::OF_HOST.get(Error::UNSENT + usize::from(place[0])))
            .copied()
            .unwrap_or(Error::Protocol)),
        None => Err(Error::Protocol),
    }
}

/// What a transform is given.
pub(crate) fn given(bytes: &[u8]) -> Option<(Request, Response)> {
    let mut reader = Reader(bytes);
    Some((reader.request()?, reader.response()?))
}
