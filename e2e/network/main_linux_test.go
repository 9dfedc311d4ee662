package network

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

var serverBinary = flag.String("binary", "", "the server; empty: bin/amphi")

func TestMain(m *testing.M) {
	if todo := os.Getenv(taskVariable); todo != "" {
		if err := bePerson(todo); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}
