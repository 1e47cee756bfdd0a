// Command reader reads entries by HTTP and by gRPC and writes the digests of their values; see ../README.md.
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"bimetal.dev/contract"
)

type input struct {
	GatewayURL string   `json:"gatewayUrl"`
	Nodes      []node   `json:"nodes"`
	Namespace  string   `json:"namespace"`
	Keys       []string `json:"keys"`
}

type node struct {
	Name    string `json:"name"`
	Address string `json:"address"`
}

type line struct {
	Key  string `json:"key"`
	HTTP string `json:"http"`
	GRPC string `json:"grpc"`
}

const none = "none"

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(from io.Reader, to io.Writer) error {
	var in input
	if err := json.NewDecoder(from).Decode(&in); err != nil {
		return fmt.Errorf("read the input: %w", err)
	}
	reader, err := newReader(in)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(to)
	encoder := json.NewEncoder(out)
	for _, key := range in.Keys {
		found, err := reader.read(key)
		if err != nil {
			return fmt.Errorf("read %q: %w", key, err)
		}
		if err := encoder.Encode(found); err != nil {
			return fmt.Errorf("write the result: %w", err)
		}
	}
	return out.Flush()
}

type reader struct {
	in      input
	names   []string
	clients []*contract.Client
}

func newReader(in input) (*reader, error) {
	r := &reader{in: in}
	for _, node := range in.Nodes {
		client, err := contract.Connect(node.Address)
		if err != nil {
			return nil, err
		}
		r.names = append(r.names, node.Name)
		r.clients = append(r.clients, client)
	}
	return r, nil
}

func (r *reader) read(key string) (line, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	byHTTP, err := r.readHTTP(ctx, key)
	if err != nil {
		return line{}, err
	}
	owner := contract.Owner(r.names, r.in.Namespace, []byte(key))
	entry, err := r.clients[owner].Get(ctx, r.in.Namespace, []byte(key))
	if err != nil {
		return line{}, err
	}
	byGRPC := none
	if entry != nil {
		byGRPC = digest(entry.GetValue())
	}
	return line{Key: key, HTTP: byHTTP, GRPC: byGRPC}, nil
}

func (r *reader) readHTTP(ctx context.Context, key string) (string, error) {
	target := r.in.GatewayURL + "/v1/cache/" + r.in.Namespace + "/" + url.PathEscape(key)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	value, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return "", err
	case response.StatusCode == http.StatusNotFound:
		return none, nil
	case response.StatusCode != http.StatusOK:
		return "", fmt.Errorf("the gateway answered %s", response.Status)
	}
	return digest(value), nil
}

func digest(value []byte) string {
	sum := sha256.Sum256(value)
	return hex.EncodeToString(sum[:])
}
