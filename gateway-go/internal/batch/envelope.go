package batch

import (
	"encoding/base64"
	"errors"
	"fmt"
	"unicode/utf8"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"bimetal.dev/gateway/internal/entries"
	"bimetal.dev/gateway/internal/exchange"
	"bimetal.dev/gateway/internal/problem"
	"bimetal.dev/gateway/internal/syntax"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	// maxOperations is how many operations one request may hold.
	maxOperations = 1000
	// maxBytes is the size of the largest body.
	maxBytes = 16 << 20
	// defaultJSONType is stored with a value that was given as JSON without a content type.
	defaultJSONType = "application/json"
)

// item is one operation of an envelope, ready to be done.
type item struct {
	key       []byte
	operation *cachev1.Operation
	// impossible says that no entry can fulfil the precondition; the current version is read in place of the write.
	impossible bool
}

// parse reads a whole envelope. The first thing wrong with it is the error, and nothing has been done.
func parse(body []byte, namespace string) ([]item, error) {
	var items []item
	operations := exchange.Array(maxOperations, func(d *jsontext.Decoder) error {
		it, err := parseItem(d, namespace)
		items = append(items, it)
		return err
	})
	err := exchange.DecodeJSON(body, exchange.Object(func(name string) exchange.Reader {
		if name == "operations" {
			return operations
		}
		return nil
	}, "operations"))
	if err != nil {
		return nil, err
	}
	return items, nil
}

// parseItem reads an operation: an object with exactly one member, which names it.
func parseItem(d *jsontext.Decoder, namespace string) (item, error) {
	var it item
	count := 0
	err := exchange.Object(func(name string) exchange.Reader {
		parse := parserOf(name)
		if parse == nil {
			return nil
		}
		return func(d *jsontext.Decoder) (err error) {
			count++
			it, err = parse(d, namespace)
			return err
		}
	})(d)
	if err == nil && count != 1 {
		err = problem.Invalid("", exchange.Place(d), "must have exactly one of get, put, delete, increment, touch")
	}
	return it, err
}

func parserOf(operation string) func(d *jsontext.Decoder, namespace string) (item, error) {
	switch operation {
	case "get":
		return parseGet
	case "put":
		return parsePut
	case "delete":
		return parseDelete
	case "increment":
		return parseIncrement
	case "touch":
		return parseTouch
	}
	return nil
}

func parseGet(d *jsontext.Decoder, namespace string) (item, error) {
	request := &cachev1.GetRequest{Namespace: namespace}
	err := exchange.Object(func(name string) exchange.Reader {
		if name == "key" {
			return key(&request.Key)
		}
		return nil
	}, "key")(d)
	return item{key: request.GetKey(), operation: &cachev1.Operation{Operation: &cachev1.Operation_Get{Get: request}}}, err
}

func parsePut(d *jsontext.Decoder, namespace string) (item, error) {
	request := &cachev1.PutRequest{Namespace: namespace}
	var value, decoded []byte // nil: absent
	var contentType *string
	var when conditions
	if err := exchange.Object(func(name string) exchange.Reader {
		switch name {
		case "key":
			return key(&request.Key)
		case "value":
			return exchange.Raw(&value)
		case "valueBase64":
			return exchange.Text(&decoded, parseBase64)
		case "contentType":
			return exchange.Text(&contentType, parseContentType)
		case "ttl":
			return exchange.Text(&request.Ttl, syntax.ParseTTL)
		case "idempotencyKey":
			return exchange.Text(&request.OperationId, syntax.OperationID)
		}
		return when.member(name)
	}, "key")(d); err != nil {
		return item{}, err
	}
	place := exchange.Place(d)
	switch {
	case (value == nil) == (decoded == nil):
		return item{}, problem.Invalid("", place, "must have exactly one of value (any JSON) and valueBase64")
	case value != nil:
		request.Value, request.ContentType = value, defaultJSONType
	default:
		request.Value = decoded
	}
	if len(request.GetValue()) > exchange.MaxValueBytes {
		return item{}, contract.Errorf(contract.ValueTooLarge, "%s: the value has %d bytes; at most %d are stored",
			place, len(request.GetValue()), exchange.MaxValueBytes)
	}
	if contentType != nil {
		request.ContentType = *contentType
	}
	precondition, never, err := when.forWrite(place)
	request.Precondition = precondition
	return item{request.GetKey(), &cachev1.Operation{Operation: &cachev1.Operation_Put{Put: request}}, never}, err
}

func parseDelete(d *jsontext.Decoder, namespace string) (item, error) {
	request := &cachev1.DeleteRequest{Namespace: namespace}
	var when conditions
	if err := exchange.Object(func(name string) exchange.Reader {
		switch name {
		case "key":
			return key(&request.Key)
		case "idempotencyKey":
			return exchange.Text(&request.OperationId, syntax.OperationID)
		}
		return when.member(name)
	}, "key")(d); err != nil {
		return item{}, err
	}
	precondition, never, err := when.forWrite(exchange.Place(d))
	request.Precondition = precondition
	return item{request.GetKey(), &cachev1.Operation{Operation: &cachev1.Operation_Delete{Delete: request}}, never}, err
}

func parseIncrement(d *jsontext.Decoder, namespace string) (item, error) {
	request := &cachev1.IncrementRequest{Namespace: namespace}
	err := exchange.Object(func(name string) exchange.Reader {
		switch name {
		case "key":
			return key(&request.Key)
		case "idempotencyKey":
			return exchange.Text(&request.OperationId, syntax.OperationID)
		}
		return entries.IncrementMember(request, name)
	}, "key", "delta")(d)
	return item{key: request.GetKey(), operation: &cachev1.Operation{Operation: &cachev1.Operation_Increment{Increment: request}}}, err
}

func parseTouch(d *jsontext.Decoder, namespace string) (item, error) {
	request := &cachev1.TouchRequest{Namespace: namespace}
	err := exchange.Object(func(name string) exchange.Reader {
		switch name {
		case "key":
			return key(&request.Key)
		case "idempotencyKey":
			return exchange.Text(&request.OperationId, syntax.OperationID)
		}
		return entries.TouchMember(request, name)
	}, "key")(d)
	return item{key: request.GetKey(), operation: &cachev1.Operation{Operation: &cachev1.Operation_Touch{Touch: request}}}, err
}

// key reads a percent-encoded path segment. What is not ASCII is encoded in one; taken as it is, it could not be told
// from what a decoder puts in place of half a surrogate pair.
func key(into *[]byte) exchange.Reader {
	return exchange.Text(into, func(text string) ([]byte, error) {
		for i := range len(text) {
			if text[i] >= utf8.RuneSelf {
				return nil, fmt.Errorf("has the byte 0x%02x as it is; in a percent-encoded path segment it is %%%02X", text[i], text[i])
			}
		}
		decoded, err := syntax.DecodeSegment(text)
		if err == nil && !contract.ValidKey(decoded) {
			err = fmt.Errorf("must have 1 to 1,024 bytes, has %d", len(decoded))
		}
		return decoded, err
	})
}

func parseBase64(text string) ([]byte, error) {
	decoded, err := syntax.DecodeBase64(base64.StdEncoding, text)
	if err != nil {
		return nil, errors.New("is no base64 (RFC 4648, section 4, with padding, without line breaks)")
	}
	return decoded, nil
}

func parseContentType(text string) (*string, error) { return &text, syntax.CheckContentType(text) }

// conditions are the preconditions, written as in the header fields of the same name; nil: absent.
type conditions struct{ match, noneMatch *syntax.Tags }

func (c *conditions) member(name string) exchange.Reader {
	switch name {
	case "ifMatch":
		return exchange.Text(&c.match, parseTags)
	case "ifNoneMatch":
		return exchange.Text(&c.noneMatch, parseTags)
	}
	return nil
}

func parseTags(text string) (*syntax.Tags, error) {
	tags, err := syntax.ParseTags([]string{text})
	return &tags, err
}

func (c *conditions) forWrite(place string) (*cachev1.Precondition, bool, error) {
	return entries.WritePrecondition(c.match, c.noneMatch, place+"/ifMatch", place+"/ifNoneMatch")
}
