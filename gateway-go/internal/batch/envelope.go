package batch

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

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

// The JSON of an operation: an object with exactly one member, which names it.
type operationBody struct {
	Get       *getBody       `json:"get"`
	Put       *putBody       `json:"put"`
	Delete    *deleteBody    `json:"delete"`
	Increment *incrementBody `json:"increment"`
	Touch     *touchBody     `json:"touch"`
}

type getBody struct {
	Key *string `json:"key"`
}

type putBody struct {
	Key         *string         `json:"key"`
	Value       json.RawMessage `json:"value"`
	ValueBase64 *string         `json:"valueBase64"`
	ContentType *string         `json:"contentType"`
	TTL         *string         `json:"ttl"`
	conditionBody
	protectionBody
}

type deleteBody struct {
	Key *string `json:"key"`
	conditionBody
	protectionBody
}

type incrementBody struct {
	Key *string `json:"key"`
	entries.IncrementBody
	protectionBody
}

type touchBody struct {
	Key *string `json:"key"`
	entries.TouchBody
	protectionBody
}

// conditionBody are the preconditions, written as in the header fields of the same name.
type conditionBody struct {
	IfMatch     *string `json:"ifMatch"`
	IfNoneMatch *string `json:"ifNoneMatch"`
}

// protectionBody is what the header field of the same name is for one request.
type protectionBody struct {
	IdempotencyKey *string `json:"idempotencyKey"`
}

// parse reads a whole envelope. The first thing wrong with it is the error, and nothing has been done.
func parse(body []byte, namespace string) ([]item, error) {
	var envelope struct {
		Operations []json.RawMessage `json:"operations"`
	}
	if err := exchange.DecodeJSON(body, "#", &envelope); err != nil {
		return nil, err
	}
	if count := len(envelope.Operations); count == 0 || count > maxOperations {
		return nil, problem.Invalid("", "#/operations", "must have 1 to 1,000 operations, has %d", count)
	}
	items := make([]item, 0, len(envelope.Operations))
	for i, text := range envelope.Operations {
		it, err := parseItem(text, namespace, fmt.Sprintf("#/operations/%d", i))
		if err != nil {
			return nil, err
		}
		items = append(items, it)
	}
	return items, nil
}

func parseItem(text []byte, namespace, place string) (item, error) {
	var body operationBody
	if err := exchange.DecodeJSON(text, place, &body); err != nil {
		return item{}, err
	}
	count := 0
	for _, present := range []bool{body.Get != nil, body.Put != nil, body.Delete != nil, body.Increment != nil, body.Touch != nil} {
		if present {
			count++
		}
	}
	if count != 1 {
		return item{}, problem.Invalid("", place, "must have exactly one of get, put, delete, increment, touch")
	}
	switch {
	case body.Get != nil:
		return parseGet(body.Get, namespace, place+"/get")
	case body.Put != nil:
		return parsePut(body.Put, namespace, place+"/put")
	case body.Delete != nil:
		return parseDelete(body.Delete, namespace, place+"/delete")
	case body.Increment != nil:
		return parseIncrement(body.Increment, namespace, place+"/increment")
	default:
		return parseTouch(body.Touch, namespace, place+"/touch")
	}
}

func parseGet(body *getBody, namespace, place string) (item, error) {
	key, err := parseKey(body.Key, place)
	if err != nil {
		return item{}, err
	}
	return item{key: key, operation: &cachev1.Operation{Operation: &cachev1.Operation_Get{
		Get: &cachev1.GetRequest{Namespace: namespace, Key: key},
	}}}, nil
}

func parsePut(body *putBody, namespace, place string) (item, error) {
	key, err := parseKey(body.Key, place)
	if err != nil {
		return item{}, err
	}
	request := &cachev1.PutRequest{Namespace: namespace, Key: key}
	switch {
	case (body.Value == nil) == (body.ValueBase64 == nil):
		return item{}, problem.Invalid("", place, "must have exactly one of value (any JSON) and valueBase64")
	case body.Value != nil:
		request.Value, request.ContentType = body.Value, defaultJSONType
	default:
		if request.Value, err = base64.StdEncoding.DecodeString(*body.ValueBase64); err != nil {
			return item{}, problem.Invalid("", place+"/valueBase64", "is no base64 (RFC 4648, section 4, with padding)")
		}
	}
	if len(request.GetValue()) > exchange.MaxValueBytes {
		return item{}, contract.Errorf(contract.ValueTooLarge, "%s: the value has %d bytes; at most %d are stored",
			place, len(request.GetValue()), exchange.MaxValueBytes)
	}
	if body.ContentType != nil {
		if err := syntax.CheckContentType(*body.ContentType); err != nil {
			return item{}, problem.Invalid("", place+"/contentType", "%v", err)
		}
		request.ContentType = *body.ContentType
	}
	if body.TTL != nil {
		if request.Ttl, err = syntax.ParseTTL(*body.TTL); err != nil {
			return item{}, problem.Invalid("", place+"/ttl", "%v", err)
		}
	}
	if request.OperationId, err = body.operationID(place); err != nil {
		return item{}, err
	}
	precondition, never, err := body.parse(place)
	request.Precondition = precondition
	return item{key, &cachev1.Operation{Operation: &cachev1.Operation_Put{Put: request}}, never}, err
}

func parseDelete(body *deleteBody, namespace, place string) (item, error) {
	key, err := parseKey(body.Key, place)
	if err != nil {
		return item{}, err
	}
	id, err := body.operationID(place)
	if err != nil {
		return item{}, err
	}
	precondition, never, err := body.parse(place)
	return item{key, &cachev1.Operation{Operation: &cachev1.Operation_Delete{
		Delete: &cachev1.DeleteRequest{Namespace: namespace, Key: key, Precondition: precondition, OperationId: id},
	}}, never}, err
}

func parseIncrement(body *incrementBody, namespace, place string) (item, error) {
	key, err := parseKey(body.Key, place)
	if err != nil {
		return item{}, err
	}
	request, err := body.Request(namespace, key, place)
	if err != nil {
		return item{}, err
	}
	request.OperationId, err = body.operationID(place)
	return item{key: key, operation: &cachev1.Operation{Operation: &cachev1.Operation_Increment{Increment: request}}}, err
}

func parseTouch(body *touchBody, namespace, place string) (item, error) {
	key, err := parseKey(body.Key, place)
	if err != nil {
		return item{}, err
	}
	request, err := body.Request(namespace, key, place)
	if err != nil {
		return item{}, err
	}
	request.OperationId, err = body.operationID(place)
	return item{key: key, operation: &cachev1.Operation{Operation: &cachev1.Operation_Touch{Touch: request}}}, err
}

func parseKey(text *string, place string) ([]byte, error) {
	if text == nil {
		return nil, problem.Invalid("", place+"/key", "is missing")
	}
	key, err := syntax.DecodeSegment(*text)
	if err != nil {
		return nil, problem.Invalid("", place+"/key", "%v", err)
	}
	if !contract.ValidKey(key) {
		return nil, problem.Invalid("", place+"/key", "must have 1 to 1,024 bytes, has %d", len(key))
	}
	return key, nil
}

func (b *protectionBody) operationID(place string) ([]byte, error) {
	if b.IdempotencyKey == nil {
		return nil, nil
	}
	id, err := syntax.OperationID(*b.IdempotencyKey)
	if err != nil {
		return nil, problem.Invalid("", place+"/idempotencyKey", "%v", err)
	}
	return id, nil
}

func (b *conditionBody) parse(place string) (*cachev1.Precondition, bool, error) {
	var parsed [2]*syntax.Tags
	for i, field := range []struct {
		name string
		text *string
	}{{"ifMatch", b.IfMatch}, {"ifNoneMatch", b.IfNoneMatch}} {
		if field.text == nil {
			continue
		}
		tags, err := syntax.ParseTags([]string{*field.text})
		if err != nil {
			return nil, false, problem.Invalid("", place+"/"+field.name, "%v", err)
		}
		parsed[i] = &tags
	}
	return entries.WritePrecondition(parsed[0], parsed[1], place+"/ifMatch", place+"/ifNoneMatch")
}
