// Makes a component of tally.js.
//
// usage: node build.mjs OUTPUT

import { componentize } from "@bytecodealliance/componentize-js";
import { writeFile } from "node:fs/promises";

const { component } = await componentize({
  sourcePath: "tally.js",
  witPath: process.env.WIT,
  worldName: "tally",
  disableFeatures: ["http", "fetch-event"],
});
await writeFile(process.argv[2], component);
