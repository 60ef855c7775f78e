//! The derive macro of `outlayer-contract-sdk`.

#![deny(missing_docs)]

use proc_macro::{Delimiter, TokenStream, TokenTree};

/// Derives `FromArguments` of `outlayer-contract-sdk` for a struct with named fields, where
/// near-sdk asks for serde's `Deserialize`: for the arguments of a method.
///
/// # Panics
/// At compile time, when the type is not a struct with named fields and without parameters.
#[proc_macro_derive(Deserialize, attributes(serde))]
pub fn derive_from_arguments(item: TokenStream) -> TokenStream {
    let (name, fields) = parse(item);
    let fields: String = fields.iter().map(|it| format!("{it}: arguments.take({it:?}),")).collect();
    let code = format!(
        "impl<'de> ::near_sdk::serde_json::FromArguments<'de> for {name} {{
            fn from_arguments(arguments: &mut ::near_sdk::serde_json::Arguments<'de>) -> Self {{
                Self {{ {fields} }}
            }}
        }}"
    );
    match code.parse() {
        Ok(tokens) => tokens,
        Err(error) => panic!("the code for {name} is not Rust: {error}"),
    }
}

/// The name of a struct, and those of its fields.
fn parse(item: TokenStream) -> (String, Vec<String>) {
    let mut tokens = item.into_iter();
    let is_struct = |token: &TokenTree| token.to_string() == "struct";
    let name = tokens.by_ref().skip_while(|token| !is_struct(token)).nth(1);
    let fields = match tokens.next() {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => group.stream(),
        _ => panic!("expected a struct with named fields and without parameters"),
    };
    // A field's name is the identifier before the first colon of its own; other colons are in its
    // type, which ends with a comma that is in no angle brackets.
    let (mut names, mut last, mut in_type, mut angles) = (Vec::new(), None, false, 0);
    for token in fields {
        match &token {
            TokenTree::Punct(punct) => match punct.as_char() {
                ':' if !in_type => {
                    names.extend(last.take());
                    in_type = true;
                }
                ',' if angles == 0 => in_type = false,
                '<' => angles += 1,
                '>' => angles -= 1,
                _ => {}
            },
            TokenTree::Ident(ident) => last = Some(ident.to_string()),
            _ => {}
        }
    }
    (name.map(|name| name.to_string()).unwrap_or_default(), names)
}
