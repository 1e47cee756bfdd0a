package gateway

import (
	"log/slog"

	"bimetal.dev/gateway/internal/config"
	"bimetal.dev/gateway/internal/process"
	"bimetal.dev/gateway/internal/settings"
)

// Program is the gateway as a program.
func Program() process.Program {
	return process.Program{
		Name: "bimetal-gateway", Service: "gateway", AdminListen: "127.0.0.1:8081",
		Load: func(arguments, environ []string) (settings.Process, process.Start, error) {
			c, err := config.Load(arguments, environ)
			if err != nil {
				return settings.Process{}, nil, err
			}
			return c.Process, func(log *slog.Logger) (process.Service, error) {
				g, err := Start(c, log)
				if err != nil {
					return nil, err
				}
				return g, nil
			}, nil
		},
	}
}
