// Package api holds the description of the HTTP surface.
package api

import _ "embed"

// OpenAPI is the OpenAPI 3.1 document, in YAML.
//
//go:embed openapi.yaml
var OpenAPI []byte
