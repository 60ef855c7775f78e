//! Fetches the URL in its input, follows up to two redirects, and answers with the status and what
//! its transform has left of the body.
//!
//! Servers answer each worker in their own way: with the time, or with more digits than matter. The
//! transform keeps the lines that begin with `price=`, without what follows the point, so that the
//! workers agree.

use outlayer_sdk::{
    http::{Request, Response},
    input, output, transform,
};

fn main() {
    let url = input::text().unwrap_or_default();
    match Request::get(url.trim()).header("accept", "text/plain").follow(2).send() {
        Ok(response) => output::write(format!("{} {}", response.status, said(&response))),
        Err(error) => output::write(format!("no answer: {error}")),
    }
}

fn said(response: &Response) -> &str {
    response.text().unwrap_or("what is no text")
}

/// Keeps whole prices, and where a redirect leads.
fn reduced(_: Request, response: Response) -> Option<Response> {
    let prices = response.text()?.lines().filter(|line| line.starts_with("price="));
    let whole: Vec<_> = prices.map(|line| line.split('.').next().unwrap_or(line)).collect();
    let mut headers = response.headers.clone();
    headers.retain(|(name, _)| name == "location");
    Some(Response { status: response.status, headers, body: whole.join(" ").into_bytes() })
}

transform!(reduced);

#[cfg(test)]
mod tests {
    use outlayer_sdk::{http::Error, testing};

    use super::*;

    #[test]
    fn whole_prices_and_redirects_are_kept() {
        let response = Response {
            status: 302,
            headers: vec![("etag".into(), b"1".to_vec()), ("location".into(), b"/x".to_vec())],
            body: b"at 12:00:07\nprice=3.14159\nprice=2".to_vec(),
        };
        let kept = reduced(Request::get(""), response).unwrap();
        assert_eq!(kept.text(), Some("price=3 price=2"));
        assert_eq!(kept.headers, [("location".to_owned(), b"/x".to_vec())]);
        let binary = Response { body: vec![0xff], ..Response::default() };
        assert_eq!(reduced(Request::get(""), binary), None);
    }

    #[test]
    fn an_answer_is_fetched() {
        let response = Response { status: 200, body: b"price=3".to_vec(), ..Response::default() };
        testing::respond("https://a.example/", Ok(response.clone()));
        assert_eq!(Request::get("https://a.example/").send(), Ok(response));
        assert_eq!(Request::get("https://b.example/").send(), Err(Error::Denied));
    }
}
