package contract

import (
	"time"

	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Expire is a TTL from now on; the node rounds it up to 1 ms.
func Expire(after time.Duration) *cachev1.Ttl {
	return &cachev1.Ttl{Kind: &cachev1.Ttl_Relative{Relative: durationpb.New(after)}}
}

// KeepTTL leaves the TTL of a live entry as it is.
func KeepTTL() *cachev1.Ttl { return &cachev1.Ttl{Kind: &cachev1.Ttl_Keep{Keep: &emptypb.Empty{}}} }

// NeverExpire is no TTL at all.
func NeverExpire() *cachev1.Ttl {
	return &cachev1.Ttl{Kind: &cachev1.Ttl_Never{Never: &emptypb.Empty{}}}
}

// IfAbsent holds when there is no live entry.
func IfAbsent() *cachev1.Precondition {
	return &cachev1.Precondition{Kind: &cachev1.Precondition_Absent{Absent: &emptypb.Empty{}}}
}

// IfPresent holds when there is a live entry.
func IfPresent() *cachev1.Precondition {
	return &cachev1.Precondition{Kind: &cachev1.Precondition_Present{Present: &emptypb.Empty{}}}
}

// IfVersion holds when the live entry has one of the versions, 1 to 16 of them.
func IfVersion(versions ...uint64) *cachev1.Precondition {
	return &cachev1.Precondition{Kind: &cachev1.Precondition_Versions{Versions: &cachev1.VersionSet{Versions: versions}}}
}
