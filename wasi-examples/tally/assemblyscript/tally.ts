// Adds up amounts by name. See docs/languages.md.

import { JSON } from "json-as";

@json
class Row {
  name: string = "";
  amount: i64 = 0;
}

function readAll(): string {
  const chunk = new ArrayBuffer(65_536);
  let read = new Uint8Array(0);
  for (;;) {
    const length = process.stdin.read(chunk);
    if (length == 0) break;
    const longer = new Uint8Array(read.length + length);
    longer.set(read);
    longer.set(Uint8Array.wrap(chunk, 0, length), read.length);
    read = longer;
  }
  return String.UTF8.decode(read.buffer);
}

const rows = JSON.parse<Row[]>(readAll());
const sums = new Map<string, i64>();
for (let index = 0; index < rows.length; index++) {
  const row = rows[index];
  sums.set(row.name, (sums.has(row.name) ? sums.get(row.name) : 0) + row.amount);
}
const sorted = new Map<string, i64>();
const names = sums.keys().sort();
for (let index = 0; index < names.length; index++) {
  sorted.set(names[index], sums.get(names[index]));
}
process.stdout.write(JSON.stringify(sorted) + "\n");
