// Makes a component of a source whose name, without its ending, is that of its world.
//
// usage: WIT=FOLDER node build.mjs SOURCE OUTPUT [FEATURE...]
//
// FEATURE is `http`, for a guest that uses `fetch`.

import { componentize } from "@bytecodealliance/componentize-js";
import { writeFile } from "node:fs/promises";
import { basename } from "node:path";

const [source, output, ...features] = process.argv.slice(2);
const { component } = await componentize({
  sourcePath: source,
  witPath: process.env.WIT,
  worldName: basename(source, ".js"),
  disableFeatures: ["http", "fetch-event"].filter((feature) => !features.includes(feature)),
});
await writeFile(output, component);
