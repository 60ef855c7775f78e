// Executes many tasks on Node.js.
//
// usage: node node.mjs HOST TASKS ANSWERS [STACK]
//
// HOST is outlayer_js.wasm. TASKS and ANSWERS are files of items, each behind its length in four
// bytes, little-endian. STACK is how many MiB of stack the guests run on. V8's own stack, of about
// one, ends before a guest's does.

import { readFileSync, writeFileSync } from "node:fs";
import { Worker, isMainThread, workerData } from "node:worker_threads";
import { Engine } from "./engine.mjs";
import { join, split } from "./items.mjs";

if (isMainThread) {
    const [host, tasks, answers, stack] = process.argv.slice(2);
    const stackSizeMb = Number(stack ?? 64);
    new Worker(new URL(import.meta.url), {
        workerData: { host, tasks, answers },
        resourceLimits: { stackSizeMb, maxOldGenerationSizeMb: 4096 },
    });
} else {
    const { host, tasks, answers } = workerData;
    const engine = new Engine(readFileSync(host));
    const execute = (task) => engine.execute(task);
    writeFileSync(answers, join(split(readFileSync(tasks)).map(execute)));
}
