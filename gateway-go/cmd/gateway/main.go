// Command gateway is the public edge of the platform: HTTP and JSON outside, one Pipeline stream to each node inside.
package main

import (
	"os"

	"bimetal.dev/gateway/internal/gateway"
	"bimetal.dev/gateway/internal/process"
)

func main() { os.Exit(process.Run(gateway.Program(), os.Args[1:])) }
