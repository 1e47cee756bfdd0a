package syntax

import (
	"encoding/base64"
	"errors"
	"strings"
)

// DecodeBase64 decodes without passing over line breaks, which encoding/base64 does.
func DecodeBase64(encoding *base64.Encoding, text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("has line breaks")
	}
	return encoding.DecodeString(text)
}
