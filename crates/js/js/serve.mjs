// Serves the page on this machine until it says what came of it, which is printed.
//
// usage: node serve.mjs HOST CASES
//
// HOST is outlayer_js.wasm, CASES a folder with `tasks` and `answers`. The first line that is
// printed is the page's address.

import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";

const [host, cases] = process.argv.slice(2);
const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const scripts = ["browser.mjs", "engine.mjs", "items.mjs"].map((name) =>
    [`/${name}`, ["text/javascript", here(name)]]);
const files = new Map([
    ...scripts,
    ["/", ["text/html", here("page.html")]],
    ["/outlayer_js.wasm", ["application/wasm", host]],
    ["/cases/tasks", ["application/octet-stream", `${cases}/tasks`]],
    ["/cases/answers", ["application/octet-stream", `${cases}/answers`]],
]);

const server = createServer((request, response) => {
    if (request.method === "POST") {
        let text = "";
        request.on("data", (part) => { text += part; });
        request.on("end", () => {
            response.end();
            console.log(text);
            process.exit(text.startsWith("finished") && text.includes('"different":0') ? 0 : 1);
        });
        return;
    }
    const [type, path] = files.get(request.url) ?? [];
    response.writeHead(path ? 200 : 404, { "content-type": type ?? "text/plain" });
    if (path) createReadStream(path).pipe(response);
    else response.end();
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/`));
