package logging

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"testing"
)

func TestTheLineThatSaysWhereAProcessListensIsWrittenAtEveryLevel(t *testing.T) {
	for _, level := range []string{"debug", "info", "warn", "error"} {
		var output bytes.Buffer
		log := slog.New(NewJSON(&output, level))
		log.Log(context.Background(), Always, "listening")
		var line struct{ Level, Msg string }
		if err := json.Unmarshal(output.Bytes(), &line); err != nil || line.Level != "info" || line.Msg != "listening" {
			t.Errorf("at level %s the line is %q", level, output.String())
		}
	}
}
