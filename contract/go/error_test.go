package contract_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
	"time"

	"bimetal.dev/contract"
	errorsv1 "bimetal.dev/contract/gen/bimetal/errors/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"
)

func TestEveryReasonHasARowThatSurvivesGRPC(t *testing.T) {
	specs := contract.Specs()
	if want := errorsv1.ErrorReason(0).Descriptor().Values().Len() - 1; len(specs) != want {
		t.Fatalf("%d rows, want %d", len(specs), want)
	}
	for _, spec := range specs {
		if contract.ParseReason(spec.Name) != spec.Reason || contract.SpecOf(spec.Reason) != spec {
			t.Errorf("%s does not lead back to its row", spec.Name)
		}
		if spec.Retry == errorsv1.Retry_RETRY_UNSPECIFIED || spec.Title == "" || spec.HTTPStatus < 400 || spec.HTTPStatus > 599 {
			t.Errorf("%s has an incomplete row: %+v", spec.Name, spec)
		}
		back := contract.FromError(contract.Errorf(spec.Reason, "why").GRPCStatus().Err(), true)
		want := spec.Reason
		if !spec.OnGRPC {
			want = contract.Internal
		}
		if back.Reason() != want || back.Detail.GetMessage() != "why" {
			t.Errorf("%s came back from gRPC as %v", spec.Name, back)
		}
		if spec.OnGRPC && status.Code(contract.Errorf(spec.Reason, "why")) != spec.Code {
			t.Errorf("%s has code %v, want %v", spec.Name, status.Code(contract.Errorf(spec.Reason, "why")), spec.Code)
		}
	}
}

func TestTheRowsAreThoseOfTheContractsTable(t *testing.T) {
	for _, row := range []struct {
		reason contract.Reason
		name   string
		code   codes.Code
		status int
	}{
		{contract.KeyNotFound, "KEY_NOT_FOUND", codes.NotFound, 404},
		{contract.PreconditionFailed, "PRECONDITION_FAILED", codes.Aborted, 412},
		{contract.OutcomeUnknown, "OUTCOME_UNKNOWN", codes.Unknown, 504},
		{contract.Cancelled, "CANCELLED", codes.Canceled, 499},
		{contract.QuotaExceeded, "QUOTA_EXCEEDED", codes.ResourceExhausted, 507},
		{contract.WrongNode, "WRONG_NODE", codes.FailedPrecondition, 503},
	} {
		spec := contract.SpecOf(row.reason)
		if spec.Name != row.name || spec.Code != row.code || spec.HTTPStatus != row.status {
			t.Errorf("%s: %+v", row.name, spec)
		}
	}
}

func TestEverythingThatAnErrorCarriesSurvivesGRPC(t *testing.T) {
	version := uint64(1<<63 + 1)
	detail := &errorsv1.Error{
		Reason: contract.WrongNode, Message: "not here", CurrentVersion: &version, RetryAfter: durationpb.New(time.Second),
		Owner:      &errorsv1.Owner{Name: "cache-1", Epoch: 7},
		Violations: []*errorsv1.FieldViolation{{Field: "key", Description: "too long"}},
	}
	back := contract.FromError(contract.FromDetail(detail).GRPCStatus().Err(), true)
	if !proto.Equal(back.Detail, detail) {
		t.Errorf("got %v, want %v", back.Detail, detail)
	}
}

func TestStatusesWithoutErrorInfoAreMappedByTheirCode(t *testing.T) {
	for _, c := range []struct {
		code codes.Code
		sent bool
		want contract.Reason
	}{
		{codes.Unavailable, false, contract.NodeUnavailable},
		{codes.Unavailable, true, contract.OutcomeUnknown},
		{codes.ResourceExhausted, true, contract.ResponseTooLarge},
		{codes.InvalidArgument, true, contract.InvalidArgument},
		{codes.Unauthenticated, true, contract.Unauthenticated},
		{codes.PermissionDenied, true, contract.PermissionDenied},
		{codes.DeadlineExceeded, true, contract.DeadlineExceeded},
		{codes.Canceled, true, contract.Cancelled},
		{codes.Internal, true, contract.Internal},
		{codes.Unimplemented, true, contract.Internal},
		{codes.NotFound, true, contract.Internal},
		{codes.DataLoss, true, contract.Internal},
	} {
		if got := contract.FromError(status.Error(c.code, "plain"), c.sent); got.Reason() != c.want {
			t.Errorf("%v (sent: %v): %v, want %v", c.code, c.sent, got, c.want)
		}
	}
}

func TestAReasonOfALaterContractIsInternal(t *testing.T) {
	for _, reason := range []contract.Reason{0, -1, 9999} {
		if got := contract.FromDetail(&errorsv1.Error{Reason: reason, Message: "new"}); got.Reason() != contract.Internal {
			t.Errorf("reason %d: %v", reason, got)
		}
	}
	if contract.ParseReason("FROM_THE_FUTURE") != contract.Internal {
		t.Error("an unknown text must be INTERNAL")
	}
}

func TestErrorsCanBeWrappedAndFound(t *testing.T) {
	cause := context.DeadlineExceeded
	err := fmt.Errorf("outer: %w", contract.Errorf(contract.Overloaded, "full").Because(cause))
	if !contract.Is(err, contract.Overloaded) || contract.Is(err, contract.Draining) || !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
	if contract.FromError(nil, true) != nil {
		t.Error("nil must stay nil")
	}
}

func TestTheIdentityIsThatOfTheDescriptor(t *testing.T) {
	sum := sha256.Sum256(contract.DescriptorSet())
	if hex.EncodeToString(sum[:]) != contract.Digest || contract.Revision == 0 {
		t.Errorf("digest %x, want %s; revision %d", sum, contract.Digest, contract.Revision)
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(contract.DescriptorSet(), &set); err != nil || len(set.GetFile()) < 6 {
		t.Errorf("%d files, %v", len(set.GetFile()), err)
	}
}
