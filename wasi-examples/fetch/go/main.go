// Fetches the URL in its input, and then sends what it got back to the same URL. Writes the status
// and the body of both answers. See docs/languages.md.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// said is the status and the body of an answer.
func said(response *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return fmt.Sprintf("%d %s\n", response.StatusCode, body), err
}

func fetch() error {
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	url := strings.TrimSpace(string(input))
	client := http.Client{Transport: outlayer{}}
	first, err := said(client.Get(url))
	if err != nil {
		return err
	}
	second, err := said(client.Post(url, "text/plain", strings.NewReader(first)))
	if err != nil {
		return err
	}
	fmt.Print(first, second)
	return nil
}

func main() {
	if err := fetch(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
