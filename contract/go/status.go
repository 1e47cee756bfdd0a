package contract

import (
	"context"
	"errors"
	"strconv"

	errorsv1 "bimetal.dev/contract/gen/bimetal/errors/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
)

// Domain is google.rpc.ErrorInfo.domain of every error of the platform.
const Domain = "bimetal"

// The keys of google.rpc.ErrorInfo.metadata: what errors.v1.Error carries and no standard detail has a place for.
const (
	metadataCurrentVersion = "current_version"
	metadataOwner          = "owner"
	metadataEpoch          = "epoch"
)

// GRPCStatus lets gRPC servers return an Error as it is: ErrorInfo always, BadRequest and RetryInfo where they apply.
// Reasons that exist on HTTP only have no business on gRPC and become INTERNAL.
func (e *Error) GRPCStatus() *status.Status {
	spec := e.Spec()
	if !spec.OnGRPC {
		spec = SpecOf(Internal)
	}
	info := &errdetails.ErrorInfo{Reason: spec.Name, Domain: Domain}
	setMetadata := func(key string, value uint64) {
		if info.Metadata == nil {
			info.Metadata = map[string]string{}
		}
		info.Metadata[key] = strconv.FormatUint(value, 10)
	}
	if e.Detail.CurrentVersion != nil {
		setMetadata(metadataCurrentVersion, e.Detail.GetCurrentVersion())
	}
	if owner := e.Detail.GetOwner(); owner != nil {
		setMetadata(metadataEpoch, owner.GetEpoch())
		info.Metadata[metadataOwner] = owner.GetName()
	}
	details := []protoadapt.MessageV1{info}
	if len(e.Detail.GetViolations()) > 0 {
		bad := &errdetails.BadRequest{}
		for _, violation := range e.Detail.GetViolations() {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
				Field: violation.GetField(), Description: violation.GetDescription(),
			})
		}
		details = append(details, bad)
	}
	if e.Detail.GetRetryAfter() != nil {
		details = append(details, &errdetails.RetryInfo{RetryDelay: e.Detail.GetRetryAfter()})
	}
	plain := status.New(spec.Code, e.Detail.GetMessage())
	detailed, err := plain.WithDetails(details...)
	if err != nil {
		return plain
	}
	return detailed
}

// FromError makes an Error of what a gRPC call returned. Without ErrorInfo of the platform it maps by code; sent says
// whether the request may have reached the peer. Nil stays nil.
func FromError(err error, sent bool) *Error {
	if err == nil {
		return nil
	}
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	if st, ok := status.FromError(err); ok {
		return fromStatus(st, sent).Because(err)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return Errorf(DeadlineExceeded, "the call's time is over").Because(err)
	case errors.Is(err, context.Canceled):
		return Errorf(Cancelled, "the caller gave up").Because(err)
	default:
		return Errorf(Internal, "the call failed").Because(err)
	}
}

func fromStatus(st *status.Status, sent bool) *Error {
	detail := &errorsv1.Error{Message: st.Message()}
	found := false
	for _, any := range st.Details() {
		switch d := any.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() == Domain {
				found = true
				readInfo(detail, d)
			}
		case *errdetails.BadRequest:
			for _, violation := range d.GetFieldViolations() {
				detail.Violations = append(detail.Violations, &errorsv1.FieldViolation{
					Field: violation.GetField(), Description: violation.GetDescription(),
				})
			}
		case *errdetails.RetryInfo:
			detail.RetryAfter = d.GetRetryDelay()
		}
	}
	if !found {
		detail.Reason = reasonOfCode(st.Code(), sent)
	}
	return &Error{Detail: detail}
}

func readInfo(detail *errorsv1.Error, info *errdetails.ErrorInfo) {
	detail.Reason = ParseReason(info.GetReason())
	if text, ok := info.GetMetadata()[metadataCurrentVersion]; ok {
		if version, err := strconv.ParseUint(text, 10, 64); err == nil {
			detail.CurrentVersion = &version
		}
	}
	if name, ok := info.GetMetadata()[metadataOwner]; ok {
		epoch, _ := strconv.ParseUint(info.GetMetadata()[metadataEpoch], 10, 64) // absent or foreign: 0, unknown
		detail.Owner = &errorsv1.Owner{Name: name, Epoch: epoch}
	}
}

// reasonOfCode is the contract's mapping of statuses that carry no ErrorInfo: they come from gRPC itself.
func reasonOfCode(code codes.Code, sent bool) Reason {
	switch code {
	case codes.Unavailable:
		if sent {
			return OutcomeUnknown
		}
		return NodeUnavailable
	case codes.ResourceExhausted:
		return ResponseTooLarge
	case codes.InvalidArgument:
		return InvalidArgument
	case codes.Unauthenticated:
		return Unauthenticated
	case codes.PermissionDenied:
		return PermissionDenied
	case codes.DeadlineExceeded:
		return DeadlineExceeded
	case codes.Canceled:
		return Cancelled
	default:
		return Internal
	}
}
