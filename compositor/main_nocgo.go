//go:build !cgo

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "amphi-compositor was built without cgo and cannot compose. Build it with CGO_ENABLED=1; "+
		"on Debian and Ubuntu this needs: gcc pkg-config libavcodec-dev libavutil-dev libswresample-dev libopenh264-dev libopus-dev")
	os.Exit(1)
}
