package process

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"bimetal.dev/gateway/internal/config"
	"github.com/spf13/pflag"
)

// healthcheck asks a gateway's admin listener whether it is ready; container engines call it.
func healthcheck(arguments []string) int {
	flags := pflag.NewFlagSet("bimetal-gateway healthcheck", pflag.ContinueOnError)
	address := flags.String("address", "", "host:port of the admin listener (default: BIMETAL_ADMIN_LISTEN, else 127.0.0.1:8081)")
	if err := flags.Parse(arguments); err != nil {
		return exitUsage
	}
	if *address == "" {
		*address = os.Getenv(config.EnvironmentPrefix + "ADMIN_LISTEN")
	}
	if *address == "" {
		*address = "127.0.0.1:8081"
	}
	host, port, err := net.SplitHostPort(*address)
	if err != nil {
		fmt.Fprintf(os.Stderr, "bimetal-gateway: --address %q must be host:port\n", *address)
		return exitUsage
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // what it listens on is not what it is reached at
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bimetal-gateway:", err)
		return exitUsage
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bimetal-gateway: not ready:", err)
		return exitFailed
	}
	defer func() { _ = response.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
	fmt.Println(string(body))
	if response.StatusCode != http.StatusOK {
		return exitFailed
	}
	return exitDrained
}
