package contract

import "bimetal.dev/contract/gen"

// The identity of the contract that this build was made from; all three are generated from the descriptor.
const (
	// Revision is raised by a check with every change of the descriptor.
	Revision uint32 = gen.Revision
	// Digest is the SHA-256 of the descriptor set in hexadecimal.
	Digest string = gen.Digest
)

// DescriptorSet is the serialized google.protobuf.FileDescriptorSet of the contract, imports included, without source
// positions. The bytes are shared: not to be changed.
func DescriptorSet() []byte { return gen.DescriptorSet }
