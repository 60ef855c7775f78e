//! Calls about named code: names that this contract gives to code, so that requests need not know
//! the hash.

use outlayer_json::ToJson;
use outlayer_protocol::{CodeRef, methods};

use crate::{Call, Outlayer};

impl Outlayer {
    /// Has the next version of a name under this contract's account stand for code, for ever. The
    /// attached deposit pays for the bytes, and the rest of it comes back. The callback reads a
    /// `u32`, the number of the version, with [`result`](crate::result()).
    pub fn name_code(self, name: &str, code: &CodeRef) -> Call {
        #[derive(ToJson)]
        struct Args<'a> {
            name: &'a str,
            code: &'a CodeRef,
        }
        self.call_other(methods::NAME_CODE, &Args { name, code })
    }

    /// Withdraws a version of a name of this contract from new requests. It attaches the one
    /// yoctoNEAR that the call needs, which comes back.
    pub fn retire_named_code(self, name: &str, version: u32) -> Call {
        #[derive(ToJson)]
        struct Args<'a> {
            name: &'a str,
            version: u32,
        }
        self.with_attached_deposit(crate::storage::ONE_YOCTO)
            .call_other(methods::RETIRE_NAMED_CODE, &Args { name, version })
    }

    /// Asks what `owner/name@version` stands for, or `owner/name` now. The callback reads an
    /// `Option<`[`NamedCodeView`](crate::protocol::views::NamedCodeView)`>` with
    /// [`result`](crate::result()).
    pub fn get_named_code(self, name: &str) -> Call {
        #[derive(ToJson)]
        struct Args<'a> {
            name: &'a str,
        }
        self.call_other(methods::GET_NAMED_CODE, &Args { name })
    }
}
