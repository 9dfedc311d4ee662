//go:build !js

// Command wasm is the client in a web page; it is built with GOOS=js
// GOARCH=wasm (see main.go). Elsewhere it only says so: the same client for
// other programs is the package amphi/wasm/client.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "build with GOOS=js GOARCH=wasm: node static/build.mjs")
	os.Exit(1)
}
