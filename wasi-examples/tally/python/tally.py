"""Adds up amounts by name. See docs/languages.md."""

import json
import sys

import wit_world.exports


class Run(wit_world.exports.Run):
    def run(self) -> None:
        sums: dict[str, int] = {}
        for row in json.load(sys.stdin):
            sums[row["name"]] = sums.get(row["name"], 0) + row["amount"]
        print(json.dumps(sums, sort_keys=True, separators=(",", ":")))
