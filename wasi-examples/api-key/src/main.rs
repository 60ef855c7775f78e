//! Asks an API that wants a key: the URL is in the input, the key in the secret `API_KEY`.
//!
//! The key goes to the server, and nowhere else: what the guest writes, logs or stores is public,
//! or may become so.

use outlayer_sdk::{
    http::{Request, Response},
    input, output,
};

fn main() {
    let url = input::text().unwrap_or_default();
    let Ok(key) = std::env::var("API_KEY") else {
        return output::write("this guest needs the secret API_KEY");
    };
    eprintln!("asking with a key of {} bytes", key.len());
    output::write(ask(url.trim(), &key));
}

fn ask(url: &str, key: &str) -> String {
    match Request::get(url).header("authorization", format!("Bearer {key}")).send() {
        Ok(Response { status: 200, body, .. }) => String::from_utf8_lossy(&body).into_owned(),
        Ok(Response { status, .. }) => format!("the server answers with the status {status}"),
        Err(error) => format!("no answer: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use outlayer_sdk::testing;

    use super::*;

    #[test]
    fn what_the_server_says_is_the_answer() {
        let ok = Response { status: 200, body: b"42".to_vec(), ..Response::default() };
        testing::respond("https://a.example/", Ok(ok));
        assert_eq!(ask("https://a.example/", "key"), "42");
        let denied = Response { status: 401, ..Response::default() };
        testing::respond("https://b.example/", Ok(denied));
        assert_eq!(ask("https://b.example/", "key"), "the server answers with the status 401");
    }
}
