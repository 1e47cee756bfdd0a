// Package fdpass passes accepted TCP connections to another process of the same machine and user, as open files over a
// Unix socket (SCM_RIGHTS, unix(7)). What then goes over the connection costs the process that accepted it nothing, and
// the other one sees the client's own address.
//
// A connection has one reader at any time. It changes hands in three steps, on a Unix connection of its own: the
// [Listener] is sent it, answers with one byte that it takes it, and reads from it only after that. Without the answer
// the sender still has it, with nothing read, and may pass it to somebody else.
//
// Addresses are "unix:@NAME": abstract names, which need no folder and go with their process. They are Linux's alone,
// and are found within one network namespace: not between containers.
package fdpass
