// Command edge is the TCP forwarder of the platform: fixed addresses, behind which instances come and go.
package main

import (
	"os"

	"bimetal.dev/gateway/internal/edge"
	"bimetal.dev/gateway/internal/process"
)

func main() { os.Exit(process.Run(edge.Program(), os.Args[1:])) }
