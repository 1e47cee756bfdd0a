// Package document serves the OpenAPI document and a page that shows it. The document is written by hand, in
// api/openapi.yaml; tests hold every exchange that they see against it.
package document

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"bimetal.dev/gateway/api"
	"bimetal.dev/gateway/internal/exchange"
	"go.yaml.in/yaml/v3"
)

//go:embed page.html
var page []byte

// Handlers are the handlers.
type Handlers struct{ text []byte }

// New converts the document to JSON once.
func New() (*Handlers, error) {
	var tree map[string]any
	if err := yaml.Unmarshal(api.OpenAPI, &tree); err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	text, err := json.Marshal(tree)
	if err != nil {
		return nil, fmt.Errorf("write the OpenAPI document as JSON: %w", err)
	}
	return &Handlers{text}, nil
}

// JSON answers /openapi.json.
func (h *Handlers) JSON(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Cache-Control", "no-cache")
	exchange.WriteJSON(w, http.StatusOK, h.text)
	return nil
}

// Page answers /docs: one file, which loads nothing but /openapi.json.
func (h *Handlers) Page(w http.ResponseWriter, _ *http.Request) error {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(len(page)))
	header.Set("Cache-Control", "no-cache")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy",
		"default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors 'none'")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(page) // who has gone cannot be told
	return nil
}
