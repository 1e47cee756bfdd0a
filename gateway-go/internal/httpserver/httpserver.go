// Package httpserver makes the HTTP servers of the process, public and admin, with the same limits.
package httpserver

import (
	"log/slog"
	"net/http"
	"time"
)

// New sets the limits that keep slow or broken clients from holding on to anything.
func New(handler http.Handler, log *slog.Logger) *http.Server {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           handler,
		Protocols:         protocols,
		ReadHeaderTimeout: 10 * time.Second,
		// Longer than the longest Request-Timeout, so that this never cuts an answer that is in time. Event streams set
		// their own.
		WriteTimeout:   90 * time.Second,
		IdleTimeout:    2 * time.Minute,
		MaxHeaderBytes: 32 << 10,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
