// Executes the tasks of `cases/tasks` in a browser, and compares its answers with those of
// `cases/answers`, byte by byte. Says in the page how many are the same, and which are undecided.

import { Engine } from "./engine.mjs";
import { split } from "./items.mjs";

// The first byte of an answer that is no verdict.
const CANNOT_DECIDE = 1;

const bytes = async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer());

function same(one, other) {
    return one.length === other.length && one.every((byte, index) => byte === other[index]);
}

async function run() {
    const engine = new Engine(await bytes("outlayer_js.wasm"));
    const expected = split(await bytes("cases/answers"));
    const count = { same: 0, different: 0, undecided: 0 };
    split(await bytes("cases/tasks")).forEach((task, number) => {
        const answer = engine.execute(task);
        if (same(answer, expected[number])) count.same += 1;
        else if (answer[0] === CANNOT_DECIDE) count.undecided += 1;
        else count.different += 1;
    });
    return `finished: ${JSON.stringify(count)}`;
}

const text = await run().catch((error) => `failed: ${error.stack}`);
document.getElementById("result").textContent = text;
await fetch("finished", { method: "POST", body: text });
