//! The macros of `outlayer-json`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, ExprLit, Fields, Ident, Lit, LitStr, Path, Token,
    Variant,
};

/// What serde's attributes say of a type, variant or field.
#[derive(Default)]
struct Said {
    rename: Option<String>,
    snake_case: bool,
    untagged: bool,
    skip_if: Option<Path>,
    with: Option<Path>,
}

impl Said {
    fn read(attributes: &[Attribute]) -> Result<Self, Error> {
        let mut said = Self::default();
        for attribute in attributes.iter().filter(|one| one.path().is_ident("serde")) {
            attribute.parse_nested_meta(|meta| {
                let name = meta.path.get_ident().map(Ident::to_string).unwrap_or_default();
                let value = match meta.input.peek(Token![=]) {
                    true => match meta.value()?.parse::<Expr>()? {
                        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text),
                        other => return Err(Error::new_spanned(other, "expected a string")),
                    },
                    false => None,
                };
                let path = |text: Option<LitStr>| text.map(|text| text.parse()).transpose();
                match name.as_str() {
                    "rename" => said.rename = value.map(|text| text.value()),
                    "rename_all" => match value.map(|text| text.value()).as_deref() {
                        Some("snake_case") => said.snake_case = true,
                        _ => return Err(meta.error("expected snake_case")),
                    },
                    "untagged" => said.untagged = true,
                    "skip_serializing_if" => said.skip_if = path(value)?,
                    "with" => said.with = path(value)?,
                    // These concern reading, or are the same without being said.
                    "crate" | "default" | "deny_unknown_fields" | "transparent" => {}
                    _ => return Err(meta.error("ToJson does not know this attribute")),
                }
                Ok(())
            })?;
        }
        Ok(said)
    }
}

pub(crate) fn to_json(input: &DeriveInput) -> Result<TokenStream, Error> {
    let name = &input.ident;
    let (impl_generics, generics, bounds) = input.generics.split_for_impl();
    let said = Said::read(&input.attrs)?;
    let body = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(_) => {
                let fields = fields(&data.fields, |name| quote!(&self.#name))?;
                quote!(writer.open(b'{'); #fields writer.close(b'}');)
            }
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                quote!(::outlayer_json::ToJson::write(&self.0, writer);)
            }
            _ => return Err(Error::new_spanned(input, "ToJson does not know such structs")),
        },
        Data::Enum(data) => {
            let mut arms = Vec::new();
            for variant in &data.variants {
                let ident = &variant.ident;
                let name = variant_name(variant, &said)?;
                let (pattern, value) = match &variant.fields {
                    Fields::Unit => (quote!(), None),
                    Fields::Named(named) => {
                        let names = named.named.iter().filter_map(|field| field.ident.as_ref());
                        let fields = fields(&variant.fields, |name| quote!(#name))?;
                        let value = quote!(writer.open(b'{'); #fields writer.close(b'}'););
                        (quote!({ #(#names),* }), Some(value))
                    }
                    Fields::Unnamed(unnamed) => {
                        let said = match unnamed.unnamed.first() {
                            Some(field) if unnamed.unnamed.len() == 1 => Said::read(&field.attrs)?,
                            _ => return Err(Error::new_spanned(variant, "expected one field")),
                        };
                        let value = match said.with {
                            Some(path) => quote!(#path::write_json(value, writer);),
                            None => quote!(::outlayer_json::ToJson::write(value, writer);),
                        };
                        (quote!((value)), Some(value))
                    }
                };
                arms.push(match value {
                    None => quote!(Self::#ident => writer.text(#name),),
                    Some(value) if said.untagged => quote!(Self::#ident #pattern => { #value }),
                    Some(value) => quote!(Self::#ident #pattern => {
                        writer.variant(#name);
                        #value
                        writer.close(b'}');
                    }),
                });
            }
            quote!(match self { #(#arms)* })
        }
        Data::Union(_) => return Err(Error::new_spanned(input, "a union has no JSON")),
    };
    Ok(quote! {
        impl #impl_generics ::outlayer_json::ToJson for #name #generics #bounds {
            fn write(&self, writer: &mut ::outlayer_json::Writer) { #body }
        }
    })
}

pub(crate) fn from_json(input: &DeriveInput) -> Result<TokenStream, Error> {
    let name = &input.ident;
    let said = Said::read(&input.attrs)?;
    let body = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                quote!(Self(::outlayer_json::FromJson::read(reader)))
            }
            Fields::Named(_) => read_fields(&quote!(Self), &data.fields)?,
            _ => return Err(Error::new_spanned(input, "FromJson does not know such structs")),
        },
        Data::Enum(data) => {
            let mut names = Vec::new();
            let mut arms = Vec::new();
            let mut contents = 0;
            for (number, variant) in data.variants.iter().enumerate() {
                let ident = &variant.ident;
                names.push(variant_name(variant, &said)?);
                let content = !matches!(variant.fields, Fields::Unit);
                contents += usize::from(content);
                let value = match &variant.fields {
                    Fields::Unit => quote!(Self::#ident),
                    Fields::Unnamed(fields) => {
                        let said = match fields.unnamed.first() {
                            Some(field) if fields.unnamed.len() == 1 => Said::read(&field.attrs)?,
                            _ => return Err(Error::new_spanned(variant, "expected one field")),
                        };
                        match said.with {
                            Some(path) => quote!(Self::#ident(#path::read_json(reader))),
                            None => quote!(Self::#ident(::outlayer_json::FromJson::read(reader))),
                        }
                    }
                    Fields::Named(_) => read_fields(&quote!(Self::#ident), &variant.fields)?,
                };
                // The first variant also stands for the names that there are not.
                let pattern = if number == 0 { quote!(_) } else { quote!(#number) };
                arms.push((pattern, content, value));
            }
            arms.reverse();
            let plain = arms.iter().map(|(pattern, _, value)| quote!(#pattern => #value,));
            match contents {
                0 => quote!(match reader.choice(&[#(#names),*]) { #(#plain)* }),
                _ if contents == names.len() => quote! {
                    let value = match reader.variant(&[#(#names),*]) { #(#plain)* };
                    reader.close(b'}');
                    value
                },
                _ => {
                    let checked = arms.iter().map(|(pattern, content, value)| {
                        quote!(#pattern => { reader.check_content(found, #content); #value })
                    });
                    quote! {
                        let (number, found) = reader.tag(&[#(#names),*]);
                        let value = match number { #(#checked)* };
                        if found {
                            reader.close(b'}');
                        }
                        value
                    }
                }
            }
        }
        Data::Union(_) => return Err(Error::new_spanned(input, "a union has no JSON")),
    };
    Ok(quote! {
        impl ::outlayer_json::FromJson for #name {
            fn read(reader: &mut ::outlayer_json::Reader<'_>) -> Self { #body }
        }
    })
}

/// Code that reads an object into the named fields of `path`, a struct or a variant.
fn read_fields(path: &TokenStream, fields: &Fields) -> Result<TokenStream, Error> {
    let mut takes = TokenStream::new();
    for field in fields {
        let Some(name) = &field.ident else { continue };
        let said = Said::read(&field.attrs)?;
        if said.with.is_some() {
            return Err(Error::new_spanned(field, "FromJson does not know `with` here"));
        }
        let key = said.rename.unwrap_or_else(|| name.to_string());
        takes.extend(quote!(#name: fields.take(#key),));
    }
    Ok(quote!({
        let mut fields = reader.fields();
        let value = #path { #takes };
        fields.close(reader);
        value
    }))
}

/// The name that JSON has for a variant of an enum of which this is said.
fn variant_name(variant: &Variant, said: &Said) -> Result<String, Error> {
    let ident = variant.ident.to_string();
    Ok(match Said::read(&variant.attrs)?.rename {
        Some(name) => name,
        None if said.snake_case => snake_case(&ident),
        None => ident,
    })
}

/// Code that writes the fields of an object; `place` is where the value of a field is.
fn fields(fields: &Fields, place: impl Fn(&Ident) -> TokenStream) -> Result<TokenStream, Error> {
    let mut code = TokenStream::new();
    for field in fields {
        let Some(name) = &field.ident else { continue };
        let said = Said::read(&field.attrs)?;
        let place = place(name);
        let key = said.rename.unwrap_or_else(|| name.to_string());
        let write = match said.with {
            Some(path) => quote!(writer.name(#key); #path::write_json(#place, writer);),
            None => quote!(writer.field(#key, #place);),
        };
        code.extend(match said.skip_if {
            Some(skip) => quote!(if !#skip(#place) { #write }),
            None => write,
        });
    }
    Ok(code)
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}
