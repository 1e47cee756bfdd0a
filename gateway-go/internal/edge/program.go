package edge

import (
	"log/slog"

	"bimetal.dev/gateway/internal/process"
	"bimetal.dev/gateway/internal/settings"
)

// Program is the edge as a program.
func Program() process.Program {
	return process.Program{
		Name: "bimetal-edge", Service: "edge", AdminListen: "127.0.0.1:7790",
		Load: func(arguments, environ []string) (settings.Process, process.Start, error) {
			c, err := Load(arguments, environ)
			if err != nil {
				return settings.Process{}, nil, err
			}
			return c.Process, func(log *slog.Logger) (process.Service, error) {
				e, err := Start(c, log)
				if err != nil {
					return nil, err
				}
				return e, nil
			}, nil
		},
	}
}
