// Adds up amounts by name. See docs/languages.md.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

type row struct {
	Name   string `json:"name"`
	Amount int64  `json:"amount"`
}

func tally() error {
	var rows []row
	if err := json.NewDecoder(os.Stdin).Decode(&rows); err != nil {
		return err
	}
	sums := map[string]int64{}
	for _, row := range rows {
		sums[row.Name] += row.Amount
	}
	// Maps are written by ascending keys.
	return json.NewEncoder(os.Stdout).Encode(sums)
}

func main() {
	if err := tally(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
