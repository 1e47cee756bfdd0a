package batch

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"bimetal.dev/gateway/internal/entries"
	"bimetal.dev/gateway/internal/exchange"
	"bimetal.dev/gateway/internal/problem"
	"bimetal.dev/gateway/internal/syntax"
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
	operations := exchange.Array(maxOperations, func(text json.RawMessage, place string) error {
		it, err := parseItem(text, namespace, place)
		items = append(items, it)
		return err
	})
	err := exchange.DecodeJSON(body, exchange.Object(exchange.Members{"operations": operations}, "operations"))
	if err != nil {
		return nil, err
	}
	return items, nil
}

// parseItem reads an operation: an object with exactly one member, which names it.
func parseItem(text json.RawMessage, namespace, place string) (item, error) {
	var it item
	count := 0
	members := exchange.Members{}
	for name, parse := range map[string]func(text json.RawMessage, namespace, place string) (item, error){
		"get": parseGet, "put": parsePut, "delete": parseDelete, "increment": parseIncrement, "touch": parseTouch,
	} {
		members[name] = func(text json.RawMessage, place string) (err error) {
			count++
			it, err = parse(text, namespace, place)
			return err
		}
	}
	if err := exchange.Object(members)(text, place); err != nil {
		return item{}, err
	}
	if count != 1 {
		return item{}, problem.Invalid("", place, "must have exactly one of get, put, delete, increment, touch")
	}
	return it, nil
}

func parseGet(text json.RawMessage, namespace, place string) (item, error) {
	request := &cachev1.GetRequest{Namespace: namespace}
	err := exchange.Object(exchange.Members{"key": key(&request.Key)}, "key")(text, place)
	return item{key: request.GetKey(), operation: &cachev1.Operation{Operation: &cachev1.Operation_Get{Get: request}}}, err
}

func parsePut(text json.RawMessage, namespace, place string) (item, error) {
	request := &cachev1.PutRequest{Namespace: namespace}
	var value json.RawMessage
	var decoded []byte // nil: valueBase64 is absent
	var contentType *string
	var when conditions
	if err := exchange.Object(exchange.Members{
		"key":            key(&request.Key),
		"value":          exchange.Raw(&value),
		"valueBase64":    exchange.Text(&decoded, parseBase64),
		"contentType":    exchange.Text(&contentType, parseContentType),
		"ttl":            exchange.Text(&request.Ttl, syntax.ParseTTL),
		"ifMatch":        exchange.Text(&when.match, parseTags),
		"ifNoneMatch":    exchange.Text(&when.noneMatch, parseTags),
		"idempotencyKey": exchange.Text(&request.OperationId, syntax.OperationID),
	}, "key")(text, place); err != nil {
		return item{}, err
	}
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

func parseDelete(text json.RawMessage, namespace, place string) (item, error) {
	request := &cachev1.DeleteRequest{Namespace: namespace}
	var when conditions
	if err := exchange.Object(exchange.Members{
		"key":            key(&request.Key),
		"ifMatch":        exchange.Text(&when.match, parseTags),
		"ifNoneMatch":    exchange.Text(&when.noneMatch, parseTags),
		"idempotencyKey": exchange.Text(&request.OperationId, syntax.OperationID),
	}, "key")(text, place); err != nil {
		return item{}, err
	}
	precondition, never, err := when.forWrite(place)
	request.Precondition = precondition
	return item{request.GetKey(), &cachev1.Operation{Operation: &cachev1.Operation_Delete{Delete: request}}, never}, err
}

func parseIncrement(text json.RawMessage, namespace, place string) (item, error) {
	request := &cachev1.IncrementRequest{Namespace: namespace}
	members := entries.IncrementMembers(request)
	members["key"] = key(&request.Key)
	members["idempotencyKey"] = exchange.Text(&request.OperationId, syntax.OperationID)
	err := exchange.Object(members, "key", "delta")(text, place)
	return item{key: request.GetKey(), operation: &cachev1.Operation{Operation: &cachev1.Operation_Increment{Increment: request}}}, err
}

func parseTouch(text json.RawMessage, namespace, place string) (item, error) {
	request := &cachev1.TouchRequest{Namespace: namespace}
	members := entries.TouchMembers(request)
	members["key"] = key(&request.Key)
	members["idempotencyKey"] = exchange.Text(&request.OperationId, syntax.OperationID)
	err := exchange.Object(members, "key")(text, place)
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

func parseTags(text string) (*syntax.Tags, error) {
	tags, err := syntax.ParseTags([]string{text})
	return &tags, err
}

func (c conditions) forWrite(place string) (*cachev1.Precondition, bool, error) {
	return entries.WritePrecondition(c.match, c.noneMatch, place+"/ifMatch", place+"/ifNoneMatch")
}
