//! A machine with a stack, which interprets a program of its own: a loop over primes.

/// One instruction of the machine.
#[derive(Clone, Copy)]
enum Step {
    Push(i64),
    Load(usize),
    Store(usize),
    Add,
    Multiply,
    Remainder,
    Less,
    Jump(usize),
    JumpUnless(usize),
    Count,
    End,
}

fn run(program: &[Step]) -> u64 {
    let (mut stack, mut variables) = (Vec::with_capacity(16), [0i64; 4]);
    let (mut at, mut count) = (0, 0);
    loop {
        let step = program.get(at).copied().unwrap_or(Step::End);
        at += 1;
        let mut pop = || stack.pop().unwrap_or_default();
        match step {
            Step::Push(value) => stack.push(value),
            Step::Load(index) => stack.push(variables.get(index).copied().unwrap_or_default()),
            Step::Store(index) => {
                let value = pop();
                if let Some(variable) = variables.get_mut(index) {
                    *variable = value;
                }
            }
            Step::Add => {
                let sum = pop().wrapping_add(pop());
                stack.push(sum);
            }
            Step::Multiply => {
                let product = pop().wrapping_mul(pop());
                stack.push(product);
            }
            Step::Remainder => {
                let (divisor, dividend) = (pop(), pop());
                stack.push(dividend.checked_rem(divisor).unwrap_or_default());
            }
            Step::Less => {
                let (right, left) = (pop(), pop());
                stack.push((left < right).into());
            }
            Step::Jump(target) => at = target,
            Step::JumpUnless(target) => {
                if pop() == 0 {
                    at = target;
                }
            }
            Step::Count => count += 1,
            Step::End => return count,
        }
    }
}

fn main() {
    use Step::*;
    #[rustfmt::skip]
    let program = [
        // 0: for n from 2 to 60,000
        Push(2), Store(0),
        Load(0), Push(60_000), Less, JumpUnless(30),
        // 6: for d from 2, until d * d > n
        Push(2), Store(1),
        Load(0), Load(1), Load(1), Multiply, Less, JumpUnless(16),
        // 14: n has no divisor
        Count, Jump(25),
        // 16: d divides n
        Load(0), Load(1), Remainder, JumpUnless(25),
        // 20: the next d
        Load(1), Push(1), Add, Store(1), Jump(8),
        // 25: the next n
        Load(0), Push(1), Add, Store(0), Jump(2),
        End,
    ];
    println!("{}", run(&program));
}
