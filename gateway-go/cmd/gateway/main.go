// Command gateway is the public edge of the platform: HTTP and JSON outside, one Pipeline stream to each node inside.
package main

import (
	"os"

	"bimetal.dev/gateway/internal/process"
)

func main() { os.Exit(process.Run(os.Args[1:])) }
