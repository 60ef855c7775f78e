// Runs guests on this JavaScript engine. The host is outlayer-js, built to WebAssembly; this file
// gives it the guest's memory and arguments, and takes its answers. It decides nothing.

const RETURNED = 0, STOPPED = 1, TRAPPED = 2, OTHERWISE = 3;

// A host function has ended the execution.
class Stopped extends Error {}
// The host itself failed. Nothing is known of the guest.
class Broken extends Error {}

export class Engine {
    // `code`: the bytes of outlayer_js.wasm.
    constructor(code) {
        this.module = new WebAssembly.Module(code);
    }

    // Executes a task, and returns an answer; both are bytes, as outlayer-js describes them.
    // Nothing bounds its time but the task's fuel.
    execute(task) {
        // A host of its own for each execution: nothing is left of one that broke.
        let host = this.#host();
        try {
            write(host, host.task(task.length), task);
            if (host.begin() === 1) {
                const { how, text, left } = run(host, output(host));
                say(host, text);
                host.end(how, left.fuel, left.stack, left.why);
            }
        } catch (error) {
            host = this.#host();
            say(host, `the host failed: ${error}`);
            host.cannot_decide();
        }
        return output(host);
    }

    #host() {
        return new WebAssembly.Instance(this.module, {}).exports;
    }
}

function say(host, text) {
    const bytes = new TextEncoder().encode(text);
    write(host, host.text(bytes.length), bytes);
}

function write(host, at, bytes) {
    new Uint8Array(host.memory.buffer, at >>> 0, bytes.length).set(bytes);
}

function output(host) {
    return new Uint8Array(host.memory.buffer, host.output() >>> 0, host.output_bytes()).slice();
}

// Runs a module. Only what the engine does with it may tell of the guest: if the host fails, this
// throws.
function run(host, code) {
    const left = { fuel: host.supply(), stack: 0n, why: 0n };
    const imports = {};
    let guest = null;
    const compiled = attempt(() => new WebAssembly.Module(code));
    if (compiled.error) return { ...ending(compiled.error), left };
    WebAssembly.Module.imports(compiled.value).forEach((wanted, number) => {
        const bits = host.result_bits(number);
        imports[wanted.module] ??= {};
        imports[wanted.module][wanted.name] = (...values) =>
            answer(host, guest, number, bits, values);
    });
    const ended = attempt(() => {
        guest = new WebAssembly.Instance(compiled.value, imports).exports;
        guest["outlayer:fuel"].value = left.fuel;
        guest["outlayer:start"]?.();
        guest._start();
    });
    if (guest !== null) Object.assign(left, counters(guest));
    return { ...(ended.error ? ending(ended.error) : { how: RETURNED, text: "" }), left };
}

function attempt(what) {
    try {
        return { value: what() };
    } catch (error) {
        return { error };
    }
}

function counters(guest) {
    return {
        fuel: guest["outlayer:fuel"].value,
        stack: guest["outlayer:stack"].value,
        why: guest["outlayer:why"].value,
    };
}

// What an exception says. An engine whose own stack ends throws a RangeError, and so does one that
// has no memory for an instance: that is no verdict.
function ending(error) {
    if (error instanceof Broken) throw error;
    if (error instanceof Stopped) return { how: STOPPED, text: "" };
    if (error instanceof WebAssembly.RuntimeError) {
        return { how: TRAPPED, text: error.message.replace(/^WebAssembly\.Instance\(\): /, "") };
    }
    return { how: OTHERWISE, text: String(error) };
}

// Answers a call of the guest.
function answer(host, guest, number, bits, values) {
    let goesOn, result;
    try {
        const memory = new Uint8Array(guest.memory.buffer);
        const at = host.guest_memory(memory.length) >>> 0;
        write(host, at, memory);
        const words = new BigInt64Array(host.memory.buffer, host.arguments() >>> 0, values.length);
        values.forEach((value, index) => { words[index] = BigInt(value); });
        goesOn = host.call(number, guest["outlayer:fuel"].value) === 1;
        guest["outlayer:fuel"].value = host.fuel();
        memory.set(new Uint8Array(host.memory.buffer, at, memory.length));
        result = host.result();
    } catch (error) {
        throw new Broken(String(error));
    }
    if (!goesOn) throw new Stopped();
    if (bits === 64) return BigInt.asIntN(64, result);
    return Number(BigInt.asIntN(32, result));
}
