//! Guests, and a way to run them that adds nothing of its own.

use outlayer_componentize::componentize;
use outlayer_executor::{Code, EmptySnapshot, Execution, Executor, Job};
use outlayer_protocol::{
    Compute, ExecutionContext, Hash32, NearToken, ResourceLimits, Status, random_seed,
};

/// Enough for every guest here, and less than the engine's own bound on gas.
const FUEL: Compute = Compute::Fuel(10_000_000_000);
const GAS: Compute = Compute::Gas(15_000_000_000_000_000);

/// Code with everything that its execution needs.
pub(crate) struct Guest {
    code: Vec<u8>,
    hash: Hash32,
    args: Vec<String>,
    input: Vec<u8>,
    limits: ResourceLimits,
    context: ExecutionContext,
}

impl Guest {
    fn new(code: Vec<u8>, compute: Compute) -> Self {
        let context = ExecutionContext {
            request_id: 7,
            contract_id: "outlayer.near".parse().unwrap(),
            block_height: 1_000,
            block_timestamp: 1_763_942_400_000_000_000,
            epoch_height: 16,
            random_seed: random_seed(7, &[9; 32]),
            signer_id: "alice.near".parse().unwrap(),
            predecessor_id: "dapp.near".parse().unwrap(),
            attached_deposit: NearToken::from_millinear(500),
        };
        let limits = ResourceLimits {
            compute,
            memory_bytes: 128 << 20,
            max_module_bytes: 4 << 20,
            ..ResourceLimits::default()
        };
        let hash = Hash32::of(&code);
        Self { code, hash, args: Vec::new(), input: b"input".to_vec(), limits, context }
    }

    /// A core module under the fuel meter.
    pub(crate) fn fuel(code: &[u8]) -> Self {
        Self::new(code.to_vec(), FUEL)
    }

    /// A core module under the gas meter.
    pub(crate) fn gas(code: &[u8]) -> Self {
        Self::new(code.to_vec(), GAS)
    }

    /// A component around a core module, made with the usual adapter.
    pub(crate) fn component(code: &[u8]) -> Self {
        Self::new(componentize(code).unwrap(), FUEL)
    }

    /// A NEAR contract whose method `run` is called.
    pub(crate) fn near(code: &[u8]) -> Self {
        Self { args: vec!["run".to_owned()], ..Self::new(code.to_vec(), GAS) }
    }

    /// The same with another input, and with as much memory as a module may have. The bench
    /// `programs` uses it.
    #[allow(dead_code)]
    pub(crate) fn reading(self, input: &[u8]) -> Self {
        let limits = ResourceLimits { memory_bytes: 4 << 30, ..self.limits };
        Self { input: input.to_vec(), limits, ..self }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.code.len() as u64
    }

    /// Runs the guest, which must complete.
    pub(crate) fn run(&self, executor: &Executor) -> Execution {
        let job = Job {
            args: &self.args,
            input: &self.input,
            ..Job::new(Code::hashed(self.hash, &self.code), &self.limits, &self.context)
        };
        let execution = executor.execute(&job, &mut EmptySnapshot).unwrap();
        assert_eq!(execution.status, Status::Completed);
        execution
    }
}

/// A module that does nothing.
pub(crate) fn no_op() -> Vec<u8> {
    wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "_start")))"#).unwrap()
}

/// A NEAR contract that does nothing.
pub(crate) fn no_op_contract() -> Vec<u8> {
    wat::parse_str(format!(r#"(module {CONTRACT_IMPORT} (memory 1) (func (export "run")))"#))
        .unwrap()
}

/// Code that imports from `env` and exports no `_start` is a contract.
const CONTRACT_IMPORT: &str = r#"(import "env" "block_index" (func (result i64)))"#;

/// A module of at least this many bytes. All but a few are code like that of a compiler:
/// arithmetic, memory, branches, calls.
pub(crate) fn large(bytes: usize) -> Vec<u8> {
    wat::parse_str(large_text(bytes, "")).unwrap()
}

/// The same as a NEAR contract.
pub(crate) fn large_contract(bytes: usize) -> Vec<u8> {
    wat::parse_str(large_text(bytes, CONTRACT_IMPORT).replace("_start", "run")).unwrap()
}

fn large_text(bytes: usize, imports: &str) -> String {
    /// About how many bytes one function has.
    const FUNCTION: usize = 117;
    let count = bytes.div_ceil(FUNCTION);
    let mut functions = String::new();
    for n in 0..count {
        // Constants as large as addresses and hashes.
        let (k, address) = (n * 7_919 + 100_003, n * 8 % 60_000);
        let next = (n + 1) % count;
        functions.push_str(&format!(
            r#"(func $f{n} (param i32 i64) (result i64) (local i32 i64)
                (local.set 2 (i32.and (local.get 0) (i32.const 1023)))
                (local.set 3 (i64.add (local.get 1) (i64.const {k})))
                (block (br_if 0 (i32.eqz (local.get 2)))
                    (loop
                        (local.set 3 (i64.xor (i64.rotl (local.get 3) (i64.const 13))
                            (i64.load offset={address} (i32.shl (local.get 2) (i32.const 3)))))
                        (i64.store offset={address} (i32.shl (local.get 2) (i32.const 3))
                            (i64.mul (local.get 3) (i64.const {k})))
                        (br_if 0 (local.tee 2 (i32.sub (local.get 2) (i32.const 1))))))
                (if (result i64) (i64.gt_u (local.get 3) (i64.const {k}))
                    (then (call $f{next} (i32.load offset={address} (i32.const 0))
                        (i64.sub (local.get 3) (local.get 1))))
                    (else (i64.div_u (local.get 3) (i64.const {k})))))"#
        ));
    }
    format!(
        r#"(module {imports} (memory (export "memory") 2) {functions} (func (export "_start")))"#
    )
}
