// Package node is the gateway's end of one cache node: how requests get there, and what they become when they do not.
//
// A [Node] keeps dialling until it has a session, and begins anew whenever one ends. A session is three TCP connections
// that live and die together: small operations, bulk (values over [BulkBytes]) and control (Watch, List, namespaces,
// Describe). The first two carry one Pipeline stream each, which is a [lane]: callers put a [call] into its queue, one
// writer gathers what waits into a batch, one reader gives the results to the calls in the order in which they were
// written. A caller that gives up leaves its call behind; the result is dropped when it comes.
//
// Nobody waits for a dead node: the session watches its connections for silence, and its end wakes every caller.
//
// Start reading at node.go, then session.go, lane.go, call.go.
package node
