// Command floor serves a value of -bytes bytes on every GET, by net/http and chi, with the header fields that the
// gateway sends: what HTTP in Go costs without any work behind it.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
)

func main() {
	size := flag.Int("bytes", 64, "size of the value")
	flag.Parse()
	value := bytes.Repeat([]byte("x"), *size)
	router := chi.NewRouter()
	router.Get("/v1/cache/{namespace}/{key}", func(w http.ResponseWriter, _ *http.Request) {
		header := w.Header()
		header.Set("Content-Type", "text/plain")
		header.Set("Etag", `"7654321098765432109"`)
		header.Set("Cache-Control", "private, no-cache")
		header.Set("Cache-Status", "bimetal; hit")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Content-Security-Policy", "sandbox")
		if _, err := w.Write(value); err != nil {
			log.Print(err)
		}
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	server := &http.Server{Handler: router, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.Serve(listener))
}
