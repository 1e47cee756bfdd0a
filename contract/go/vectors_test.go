package contract_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	_ "bimetal.dev/contract/gen/bimetal/cache/v1"
	_ "bimetal.dev/contract/gen/bimetal/control/v1"
	_ "bimetal.dev/contract/gen/bimetal/errors/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

const vectors = "../../proto/vectors"

type messageVectors struct {
	Message string
	Cases   []struct {
		Name  string
		Bytes []byte
		JSON  json.RawMessage
	}
}

func readMessageVectors(t *testing.T) map[string]messageVectors {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(vectors, "messages", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]messageVectors{}
	for _, file := range files {
		var v messageVectors
		readJSON(t, file, &v)
		all[v.Message] = v
	}
	return all
}

func readJSON(t *testing.T, file string, into any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// ownMessages are all messages of the platform's own packages, nested ones included.
func ownMessages() []protoreflect.MessageType {
	var own []protoreflect.MessageType
	protoregistry.GlobalTypes.RangeMessages(func(m protoreflect.MessageType) bool {
		full := m.Descriptor().FullName()
		if bytes.HasPrefix([]byte(full), []byte("bimetal.")) && !m.Descriptor().IsMapEntry() {
			own = append(own, m)
		}
		return true
	})
	return own
}

func TestEveryMessageHasVectors(t *testing.T) {
	all := readMessageVectors(t)
	own := ownMessages()
	if len(own) < 60 {
		t.Fatalf("only %d messages are registered: the walk is broken", len(own))
	}
	for _, m := range own {
		if len(all[string(m.Descriptor().FullName())].Cases) == 0 {
			t.Errorf("%s has no vector", m.Descriptor().FullName())
		}
	}
}

func TestBytesOfTheVectorsSurviveDecodingAndEncoding(t *testing.T) {
	for name, v := range readMessageVectors(t) {
		kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(name))
		if err != nil {
			t.Errorf("%s is in the vectors, not in the contract: %v", name, err)
			continue
		}
		for _, c := range v.Cases {
			message := kind.New().Interface()
			if err := proto.Unmarshal(c.Bytes, message); err != nil {
				t.Errorf("%s, %s: %v", name, c.Name, err)
				continue
			}
			again, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
			if err != nil || !sameEncoding(again, c.Bytes, message) {
				t.Errorf("%s, %s: encoded as %x (%v), want %x", name, c.Name, again, err, c.Bytes)
			}
		}
	}
}

// sameEncoding allows one difference: protobuf-go writes a oneof behind all other fields, the vectors hold fields by
// number. Then the length must be the same, and the bytes must decode to the same message without unknown fields.
func sameEncoding(got, want []byte, message proto.Message) bool {
	if bytes.Equal(got, want) {
		return true
	}
	decoded := message.ProtoReflect().New().Interface()
	return len(got) == len(want) && proto.Unmarshal(got, decoded) == nil && proto.Equal(decoded, message) &&
		len(message.ProtoReflect().GetUnknown()) == 0
}

func TestJSONOfTheVectorsIsCanonicalInBothDirections(t *testing.T) {
	for name, v := range readMessageVectors(t) {
		kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(name))
		if err != nil {
			continue // reported above
		}
		for _, c := range v.Cases {
			fromBytes, fromJSON := kind.New().Interface(), kind.New().Interface()
			if err := proto.Unmarshal(c.Bytes, fromBytes); err != nil {
				t.Errorf("%s, %s: %v", name, c.Name, err)
				continue
			}
			text, err := protojson.Marshal(fromBytes)
			if err != nil {
				t.Errorf("%s, %s: to JSON: %v", name, c.Name, err)
				continue
			}
			var got, want any
			if json.Unmarshal(text, &got) != nil || json.Unmarshal(c.JSON, &want) != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s, %s: as JSON %s, want %s", name, c.Name, text, c.JSON)
			}
			if err := protojson.Unmarshal(c.JSON, fromJSON); err != nil || !proto.Equal(fromJSON, fromBytes) {
				t.Errorf("%s, %s: JSON decodes to %v (%v), bytes to %v", name, c.Name, fromJSON, err, fromBytes)
			}
		}
	}
}
