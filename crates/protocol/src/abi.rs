//! Schemas of the types that JSON writes as text, for the contract's ABI.

use schemars::{
    JsonSchema,
    r#gen::SchemaGenerator,
    schema::{InstanceType, Metadata, Schema, SchemaObject, StringValidation},
};

use crate::{Bytes, Hash32};

fn text(description: &str, format: Option<&str>, pattern: Option<&str>) -> Schema {
    SchemaObject {
        instance_type: Some(InstanceType::String.into()),
        format: format.map(str::to_owned),
        string: pattern.map(|pattern| {
            Box::new(StringValidation { pattern: Some(pattern.to_owned()), ..Default::default() })
        }),
        metadata: Some(Box::new(Metadata {
            description: Some(description.to_owned()),
            ..Default::default()
        })),
        ..Default::default()
    }
    .into()
}

impl JsonSchema for Bytes {
    fn schema_name() -> String {
        "Bytes".to_owned()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text("Bytes of any content, in base64 with padding.", Some("byte"), None)
    }
}

impl JsonSchema for Hash32 {
    fn schema_name() -> String {
        "Hash32".to_owned()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text("A SHA-256, in hex.", None, Some("^[0-9A-Fa-f]{64}$"))
    }
}
