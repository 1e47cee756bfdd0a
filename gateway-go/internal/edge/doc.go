// Package edge is the TCP forwarder behind whose fixed addresses instances come and go. It neither parses nor repeats
// anything: a connection leads to one target for its whole life. A target that can take open sockets over (fdpass) is
// passed the connection itself, which then costs the edge nothing; to every other one it is relayed.
//
// A [table] holds the routes and replaces them as a whole. A door is one listener; the route that it serves can be
// switched under it, so a fixed address is never unbound while it is wanted. A route has targets, which take turns. A
// relay is two copies, one in each direction, that the kernel does (splice).
//
// Start reading at edge.go, then table.go, route.go, relay.go.
package edge
