// Command load is both ends of a measurement: an upstream that is never the limit, and a load generator that checks
// every reply.
//
//	load mock --port 9000
//	load run --url http://127.0.0.1:8080/v1 --key KEY --connections 32 --seconds 5
package main

import (
	"fmt"
	"os"
)

const usage = `usage:
  load mock [flags]   an OpenAI-compatible upstream
  load run [flags]    asks one URL over and over; prints one line of JSON
Flags of either: load mock -h, load run -h`

func main() {
	command := ""
	if len(os.Args) > 1 {
		command = os.Args[1]
	}
	var err error
	switch command {
	case "mock":
		err = mock(os.Args[2:])
	case "run":
		err = run(os.Args[2:])
	default:
		err = fmt.Errorf(usage)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
