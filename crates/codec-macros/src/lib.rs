//! The derive macros of `outlayer-codec` and `outlayer-json`.

#![deny(missing_docs)]

mod json;

use proc_macro::TokenStream;
use quote::{format_ident, quote};
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, ExprLit, Fields, Index, Lit, Path,
    parse::ParseStream, parse_macro_input,
};

/// Derives `Encode`: the fields one after the other, and before them, for an enum, the number of
/// the variant as one byte.
#[proc_macro_derive(Encode, attributes(borsh))]
pub fn derive_encode(item: TokenStream) -> TokenStream {
    let input = parse_macro_input!(item as DeriveInput);
    let name = &input.ident;
    let (impl_generics, generics, bounds) = input.generics.split_for_impl();
    let body = match &input.data {
        Data::Struct(data) => {
            let fields = data.fields.iter().enumerate().map(|(number, field)| {
                let place = match &field.ident {
                    Some(name) => quote!(#name),
                    None => {
                        let number = Index::from(number);
                        quote!(#number)
                    }
                };
                quote!(::outlayer_codec::Encode::encode(&self.#place, __encoded);)
            });
            quote!(#(#fields)*)
        }
        Data::Enum(data) => {
            let arms = data.variants.iter().zip(0u8..).map(|(variant, number)| {
                let variant_name = &variant.ident;
                let names: Vec<_> = names(&variant.fields);
                let pattern = match &variant.fields {
                    Fields::Named(_) => quote!({ #(#names),* }),
                    Fields::Unnamed(_) => quote!((#(#names),*)),
                    Fields::Unit => quote!(),
                };
                quote!(Self::#variant_name #pattern => {
                    ::outlayer_codec::Encode::encode(&#number, __encoded);
                    #(::outlayer_codec::Encode::encode(#names, __encoded);)*
                })
            });
            quote!(match self { #(#arms)* })
        }
        Data::Union(_) => return unions(&input),
    };
    quote! {
        impl #impl_generics ::outlayer_codec::Encode for #name #generics #bounds {
            fn encode(&self, __encoded: &mut ::std::vec::Vec<u8>) { #body }
        }
    }
    .into()
}

/// Derives `ToJson`, which writes what serde's `Serialize` writes. It knows these attributes of
/// serde: `rename`, `rename_all = "snake_case"`, `skip_serializing_if`, `untagged`, and `with`,
/// which names a module with a function `write_json`.
#[proc_macro_derive(ToJson, attributes(serde))]
pub fn derive_to_json(item: TokenStream) -> TokenStream {
    let input = parse_macro_input!(item as DeriveInput);
    json::to_json(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// Derives `FromJson`, which reads what serde's `Deserialize` reads: for a struct with named fields
/// or one unnamed field, and for an enum whose variants have named fields, one unnamed field, or no
/// content. Fields that are not known are ignored, and one that is missing is read as `null`. It
/// knows the same attributes as `ToJson`; `with` names a module with a function `read_json`, for
/// the unnamed field of a variant.
#[proc_macro_derive(FromJson, attributes(serde))]
pub fn derive_from_json(item: TokenStream) -> TokenStream {
    let input = parse_macro_input!(item as DeriveInput);
    json::from_json(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// Derives `Decode`, which reads what `Encode` writes. `#[borsh(deserialize_with = "function")]`
/// names the function that reads a field.
#[proc_macro_derive(Decode, attributes(borsh))]
pub fn derive_decode(item: TokenStream) -> TokenStream {
    let input = parse_macro_input!(item as DeriveInput);
    let name = &input.ident;
    let (impl_generics, generics, bounds) = input.generics.split_for_impl();
    let body = match &input.data {
        Data::Struct(data) => read(&data.fields).map(|fields| quote!(Self #fields)),
        Data::Enum(data) => data
            .variants
            .iter()
            .enumerate()
            .map(|(number, variant)| {
                let variant_name = &variant.ident;
                let fields = read(&variant.fields)?;
                // The first variant also stands for the numbers that there are not.
                let pattern = match u8::try_from(number) {
                    Ok(0) => quote!(found),
                    Ok(number) => quote!(#number),
                    Err(_) => return Err(Error::new_spanned(variant, "too many variants")),
                };
                let check = (number == 0).then(|| quote!(input.require(found == 0);));
                Ok(quote!(#pattern => { #check Self::#variant_name #fields }))
            })
            .collect::<Result<Vec<_>, _>>()
            .map(|mut arms| {
                arms.reverse();
                quote! {
                    match <u8 as ::outlayer_codec::Decode>::decode(input) { #(#arms)* }
                }
            }),
        Data::Union(_) => return unions(&input),
    };
    let body = match body {
        Ok(body) => body,
        Err(error) => return error.into_compile_error().into(),
    };
    quote! {
        impl #impl_generics ::outlayer_codec::Decode for #name #generics #bounds {
            fn decode(input: &mut ::outlayer_codec::Input<'_>) -> Self { #body }
        }
    }
    .into()
}

fn unions(input: &DeriveInput) -> TokenStream {
    Error::new_spanned(input, "a union has no encoding").into_compile_error().into()
}

/// A name for each field.
fn names(fields: &Fields) -> Vec<syn::Ident> {
    let name = |(number, field): (usize, &syn::Field)| match &field.ident {
        Some(name) => name.clone(),
        None => format_ident!("field_{number}"),
    };
    fields.iter().enumerate().map(name).collect()
}

/// Code that reads the fields of a struct or variant, as they stand behind its name.
fn read(fields: &Fields) -> Result<proc_macro2::TokenStream, Error> {
    let mut values = Vec::new();
    for field in fields {
        let function = match reader(&field.attrs)? {
            Some(function) => quote!(#function),
            None => quote!(::outlayer_codec::Decode::decode),
        };
        let name = field.ident.as_ref().map(|name| quote!(#name:));
        values.push(quote!(#name #function(input)));
    }
    Ok(match fields {
        Fields::Named(_) => quote!({ #(#values),* }),
        Fields::Unnamed(_) => quote!((#(#values),*)),
        Fields::Unit => quote!(),
    })
}

/// The function that `#[borsh(deserialize_with = "function")]` names.
fn reader(attributes: &[Attribute]) -> Result<Option<Path>, Error> {
    let mut found = None;
    for attribute in attributes.iter().filter(|one| one.path().is_ident("borsh")) {
        attribute.parse_nested_meta(|meta| {
            let value = |input: ParseStream<'_>| input.parse::<Expr>();
            if !meta.path.is_ident("deserialize_with") {
                return Err(meta.error("expected deserialize_with"));
            }
            match value(meta.value()?)? {
                Expr::Lit(ExprLit { lit: Lit::Str(path), .. }) => found = Some(path.parse()?),
                other => return Err(Error::new_spanned(other, "expected the name of a function")),
            }
            Ok(())
        })?;
    }
    Ok(found)
}
