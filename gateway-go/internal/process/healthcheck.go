package process

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"bimetal.dev/gateway/internal/settings"
	"github.com/spf13/pflag"
)

// healthcheck asks a program's admin listener whether it is ready; container engines call it.
func healthcheck(program Program, arguments []string) int {
	flags := pflag.NewFlagSet(program.Name+" healthcheck", pflag.ContinueOnError)
	address := flags.String("address", "", "host:port of the admin listener (default: BIMETAL_ADMIN_LISTEN, else "+program.AdminListen+")")
	if err := flags.Parse(arguments); err != nil {
		return exitUsage
	}
	if *address == "" {
		*address = os.Getenv(settings.EnvironmentPrefix + "ADMIN_LISTEN")
	}
	if *address == "" {
		*address = program.AdminListen
	}
	host, port, err := net.SplitHostPort(*address)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: --address %q must be host:port\n", program.Name, *address)
		return exitUsage
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // what it listens on is not what it is reached at
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, program.Name+":", err)
		return exitUsage
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		fmt.Fprintln(os.Stderr, program.Name+": not ready:", err)
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
