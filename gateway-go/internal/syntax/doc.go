// Package syntax reads and writes the small languages of the HTTP surface: path segments, queries, entity tags,
// Cache-Control, TTLs, Request-Timeout, Accept, media types. Its functions take outside text, never panic, and say in
// one sentence what is wrong and what would be right. Each has a fuzz test.
package syntax
