package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"unsafe"
)

//go:wasmimport outlayer http_fetch
func httpFetch(request unsafe.Pointer, length uint32) int64

//go:wasmimport outlayer http_read
func httpRead(buffer unsafe.Pointer, capacity uint32) uint32

// outlayer makes exchanges through the host's import module of that name. Requests and answers are
// in borsh: numbers are little-endian, and whatever has a length begins with it, in four bytes.
type outlayer struct{}

func (outlayer) RoundTrip(request *http.Request) (*http.Response, error) {
	var body []byte
	if request.Body != nil {
		defer request.Body.Close()
		var err error
		if body, err = io.ReadAll(request.Body); err != nil {
			return nil, err
		}
	}
	encoded := encode(request, body)
	length := httpFetch(unsafe.Pointer(&encoded[0]), uint32(len(encoded)))
	if length < 0 {
		return nil, fmt.Errorf("%s: the host refuses the request: %d", request.URL, length)
	}
	answer := make([]byte, max(length, 1))
	httpRead(unsafe.Pointer(&answer[0]), uint32(length))
	return decode(request, answer[:length])
}

func encode(request *http.Request, body []byte) []byte {
	var encoded []byte
	number := func(number int) {
		encoded = binary.LittleEndian.AppendUint32(encoded, uint32(number))
	}
	text := func(text string) {
		number(len(text))
		encoded = append(encoded, text...)
	}
	text(request.Method)
	text(request.URL.String())
	type header struct{ name, value string }
	var headers []header
	for name, values := range request.Header {
		for _, value := range values {
			headers = append(headers, header{strings.ToLower(name), value})
		}
	}
	// A map has another order each time.
	slices.SortStableFunc(headers, func(one, other header) int {
		return strings.Compare(one.name, other.name)
	})
	number(len(headers))
	for _, header := range headers {
		text(header.name)
		text(header.value)
	}
	text(string(body))
	return encoded
}

func decode(request *http.Request, answer []byte) (*http.Response, error) {
	broken := fmt.Errorf("%s: the host's answer breaks off", request.URL)
	take := func(length int) []byte {
		if length < 0 || length > len(answer) {
			return nil
		}
		taken := answer[:length]
		answer = answer[length:]
		return taken
	}
	number := func() int {
		bytes := take(4)
		if bytes == nil {
			return -1
		}
		return int(binary.LittleEndian.Uint32(bytes))
	}
	head := take(2)
	if head == nil {
		return nil, broken
	}
	if head[0] != 0 {
		return nil, fmt.Errorf("%s: there is no answer: error %d", request.URL, head[1])
	}
	high := take(1)
	if high == nil {
		return nil, broken
	}
	status := int(head[1]) | int(high[0])<<8
	headers := http.Header{}
	for count := number(); count > 0; count-- {
		name := take(number())
		value := take(number())
		if name == nil || value == nil {
			return nil, broken
		}
		headers.Add(string(name), string(value))
	}
	body := take(number())
	if body == nil {
		return nil, broken
	}
	return &http.Response{
		Status:        fmt.Sprintf("%d %s", status, http.StatusText(status)),
		StatusCode:    status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        headers,
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
		Request:       request,
	}, nil
}
