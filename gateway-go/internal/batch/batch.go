// Package batch serves POST /v1/cache/{namespace}: many operations in one JSON body. Once the envelope is valid the
// answer is 200 and each operation has its own result. Operations on one key are done in their order; nothing is atomic
// across keys.
package batch

import (
	"context"
	"net/http"
	"sync"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"bimetal.dev/gateway/internal/entries"
	"bimetal.dev/gateway/internal/exchange"
	"bimetal.dev/gateway/internal/problem"
	"google.golang.org/protobuf/proto"
)

// Handler serves batches.
type Handler struct {
	cluster entries.Cluster
	bodies  *exchange.Bodies
}

// New makes it.
func New(cluster entries.Cluster, bodies *exchange.Bodies) *Handler {
	return &Handler{cluster: cluster, bodies: bodies}
}

// outcome is what became of one item: result or failure.
type outcome struct {
	result  *cachev1.OperationResult
	failure *contract.Error
}

// Serve answers a batch.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request) error {
	namespace, err := exchange.Namespace(r)
	if err != nil {
		return err
	}
	if _, err := exchange.Query(r); err != nil {
		return err
	}
	if len(r.Header.Values("Idempotency-Key")) > 0 {
		return problem.Invalid(problem.InHeader, "Idempotency-Key", "each operation of a batch has its own, as idempotencyKey")
	}
	if err := exchange.NoPreconditions(r); err != nil {
		return err
	}
	if err := exchange.WantMediaType(r, "application/json"); err != nil {
		return err
	}
	body, release, err := h.bodies.Read(w, r, maxBytes)
	defer release()
	if err != nil {
		return err
	}
	items, err := parse(body, namespace)
	if err != nil {
		return err
	}
	outcomes := h.perform(r.Context(), items, exchange.From(w).Traceparent)
	w.Header().Set("Cache-Control", "no-store")
	exchange.WriteJSON(w, http.StatusOK, write(outcomes))
	return nil
}

// perform does the items: those of one key one after the other, since two connections or a retry could change their
// order; those of different keys at once, and the lanes gather them.
func (h *Handler) perform(ctx context.Context, items []item, traceparent string) []outcome {
	outcomes := make([]outcome, len(items))
	byKey := map[string][]int{}
	order := make([]string, 0, len(items))
	for i, it := range items {
		key := string(it.key)
		if _, seen := byKey[key]; !seen {
			order = append(order, key)
		}
		byKey[key] = append(byKey[key], i)
	}
	var performing sync.WaitGroup
	for _, key := range order {
		performing.Go(func() {
			for _, i := range byKey[key] {
				outcomes[i] = h.one(ctx, items[i], traceparent)
			}
		})
	}
	performing.Wait()
	return outcomes
}

func (h *Handler) one(ctx context.Context, it item, traceparent string) outcome {
	if it.impossible {
		return h.impossible(ctx, it, traceparent)
	}
	if get := it.operation.GetGet(); get != nil {
		response, _, failure := h.cluster.Get(ctx, get, traceparent)
		return outcome{&cachev1.OperationResult{Result: &cachev1.OperationResult_Get{Get: response}}, failure}
	}
	result, _, failure := h.cluster.Do(ctx, it.operation, traceparent)
	return outcome{result, failure}
}

// impossible reads the current version for the answer to a write whose tags can match nothing.
func (h *Handler) impossible(ctx context.Context, it item, traceparent string) outcome {
	namespace := it.operation.GetPut().GetNamespace()
	if namespace == "" {
		namespace = it.operation.GetDelete().GetNamespace()
	}
	request := &cachev1.GetRequest{Namespace: namespace, Key: it.key, OmitValue: true}
	response, _, failure := h.cluster.Get(ctx, request, traceparent)
	if failure != nil {
		return outcome{failure: failure}
	}
	failed := contract.Errorf(contract.PreconditionFailed, "none of the tags is a version of this cache")
	failed.Detail.CurrentVersion = proto.Uint64(response.GetEntry().GetVersion())
	return outcome{failure: failed}
}
