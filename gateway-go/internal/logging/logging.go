// Package logging makes the process's logger: one JSON object a line in the shape that all services share, or readable
// lines on a terminal.
package logging

import (
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/term"
)

// Always is the level of what is written whatever the level of the log: the line that says where the process listens,
// for whoever started it waits for that. It stands in the log as info.
const Always = slog.Level(100)

// timeFormat is RFC 3339 with milliseconds; times are in UTC.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// New makes a logger. format is auto, json or pretty; auto is pretty when output is a terminal.
func New(output *os.File, format, level, service, instance string) *slog.Logger {
	var handler slog.Handler
	if format == "pretty" || format == "auto" && term.IsTerminal(int(output.Fd())) {
		handler = tint.NewTextHandler(output, &tint.Options{
			Level: Level(level), TimeFormat: "15:04:05.000", NoColor: !term.IsTerminal(int(output.Fd())), ReplaceAttr: lower,
		})
	} else {
		handler = NewJSON(output, level)
	}
	return slog.New(handler).With("service", service, "instance", instance)
}

// NewJSON makes the handler for machines.
func NewJSON(output io.Writer, level string) slog.Handler {
	return slog.NewJSONHandler(output, &slog.HandlerOptions{Level: Level(level), ReplaceAttr: shape})
}

// Level reads debug, info, warn or error; anything else is info.
func Level(name string) slog.Level {
	var level slog.Level
	if level.UnmarshalText([]byte(strings.ToUpper(name))) != nil {
		return slog.LevelInfo
	}
	return level
}

func shape(groups []string, attribute slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return attribute
	}
	attribute = lower(groups, attribute)
	switch attribute.Key {
	case slog.TimeKey:
		if t, ok := attribute.Value.Any().(time.Time); ok {
			return slog.String(slog.TimeKey, t.UTC().Format(timeFormat))
		}
	case slog.LevelKey:
		if level, ok := attribute.Value.Any().(slog.Level); ok {
			return slog.String(slog.LevelKey, strings.ToLower(level.String()))
		}
	}
	return attribute
}

// lower gives Always its place among the levels.
func lower(_ []string, attribute slog.Attr) slog.Attr {
	if attribute.Key == slog.LevelKey && attribute.Value.Any() == Always {
		return slog.Any(slog.LevelKey, slog.LevelInfo)
	}
	return attribute
}
