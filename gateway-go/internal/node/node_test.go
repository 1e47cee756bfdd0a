package node_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"bimetal.dev/gateway/internal/fakenode"
	"bimetal.dev/gateway/internal/node"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// connect makes a Node that talks to the fake one and waits until it is up.
func connect(t *testing.T, fake *fakenode.Node, change func(*node.Options)) *node.Node {
	t.Helper()
	options := node.Options{
		Name: fake.Name(), Address: fake.Address(), Seen: &node.Seen{},
		Metrics: node.NewMetrics(prometheus.NewRegistry()), Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&options)
	}
	n := node.Start(options)
	t.Cleanup(n.Close)
	select {
	case <-n.Connected():
	case <-time.After(5 * time.Second):
		t.Fatal("no session within 5 s")
	}
	return n
}

func waitFor(t *testing.T, what string, limit time.Duration, condition func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for !condition() {
		if time.Since(start) > limit {
			t.Fatalf("%s: not within %v", what, limit)
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(start)
}

func put(key, value string) *cachev1.Operation {
	return &cachev1.Operation{Operation: &cachev1.Operation_Put{Put: &cachev1.PutRequest{
		Namespace: "default", Key: []byte(key), Value: []byte(value),
	}}}
}

func get(key string) *cachev1.Operation {
	return &cachev1.Operation{Operation: &cachev1.Operation_Get{Get: &cachev1.GetRequest{
		Namespace: "default", Key: []byte(key),
	}}}
}

func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

func TestManyCallersGetTheirOwnAnswersInFewBatches(t *testing.T) {
	fake := fakenode.Start(t, "cache-0")
	n := connect(t, fake, nil)
	const callers, rounds = 64, 50
	var group sync.WaitGroup
	for caller := range callers {
		group.Go(func() {
			for round := range rounds {
				key, value := fmt.Sprint("k", caller), fmt.Sprint(caller, ".", round)
				if _, err := n.Do(within(t, 10*time.Second), put(key, value), round%8 == 0, ""); err != nil {
					t.Errorf("put: %v", err)
					return
				}
				result, err := n.Do(within(t, 10*time.Second), get(key), round%8 == 1, "")
				if err != nil || string(result.GetGet().GetEntry().GetValue()) != value {
					t.Errorf("get %s: %v, %v, want %s", key, result, err, value)
					return
				}
			}
		})
	}
	group.Wait()
	if fake.Operations() != callers*rounds*2 {
		t.Errorf("%d operations, want %d", fake.Operations(), callers*rounds*2)
	}
	t.Logf("%d operations in %d batches", fake.Operations(), fake.Batches())
	if fake.Batches()*2 > fake.Operations() {
		t.Errorf("%d batches for %d operations: nothing is gathered", fake.Batches(), fake.Operations())
	}
}

func TestACallerThatGivesUpBlocksNobody(t *testing.T) {
	fake := fakenode.Start(t, "cache-0")
	n := connect(t, fake, nil)
	release := fake.Hold()
	patient := make(chan *contract.Error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	impatient := make(chan *contract.Error, 1)
	go func() {
		_, err := n.Do(ctx, put("a", "1"), false, "")
		impatient <- err
	}()
	waitFor(t, "the first batch to arrive", 5*time.Second, func() bool { return fake.Batches() == 1 })
	go func() {
		result, err := n.Do(within(t, 5*time.Second), put("b", "2"), false, "")
		if err == nil && result.GetPut().GetVersion() == 0 {
			err = contract.Errorf(contract.Internal, "not the answer of a put: %v", result)
		}
		patient <- err
	}()
	cancel()
	if err := <-impatient; !contract.Is(err, contract.Cancelled) {
		t.Errorf("the impatient one got %v", err)
	}
	release()
	if err := <-patient; err != nil {
		t.Errorf("the patient one got %v", err)
	}
}

func TestABrokenConnectionEndsReadsAsNotBegunAndWritesAsUnknown(t *testing.T) {
	fake := fakenode.Start(t, "cache-0")
	n := connect(t, fake, nil)
	release := fake.Hold()
	defer release()
	results := make(chan *contract.Error, 2)
	for _, operation := range []*cachev1.Operation{put("a", "1"), get("a")} {
		go func() {
			_, err := n.Do(within(t, 5*time.Second), operation, false, "")
			results <- err
		}()
	}
	waitFor(t, "both to be written", 3*time.Second, func() bool { return n.Unanswered() == 2 })
	fake.Break()
	got := map[contract.Reason]int{}
	for range 2 {
		got[(<-results).Reason()]++
	}
	if got[contract.OutcomeUnknown] != 1 || got[contract.NodeUnavailable] != 1 {
		t.Errorf("got %v", got)
	}
	release()
	waitFor(t, "the node to be up again", 3*time.Second, n.Up)
}

func TestAStoppedNodeIsFoundWithinHalfASecondAndServedAgainWithinASecond(t *testing.T) {
	fake := fakenode.Start(t, "cache-0")
	n := connect(t, fake, nil)
	fake.Pause()
	start := time.Now()
	_, err := n.Do(within(t, 5*time.Second), put("a", "1"), false, "")
	took := time.Since(start)
	if !contract.Is(err, contract.OutcomeUnknown) || took > 2*time.Second {
		t.Errorf("after %v: %v", took, err)
	}
	start = time.Now()
	_, err = n.Do(within(t, 5*time.Second), put("a", "1"), false, "")
	if !contract.Is(err, contract.NodeUnavailable) || time.Since(start) > 500*time.Millisecond ||
		err.Detail.GetRetryAfter() == nil {
		t.Errorf("a new one, after %v: %v", time.Since(start), err)
	}
	time.Sleep(time.Until(start.Add(2 * time.Second))) // the outage's length, not a wait for something
	fake.Resume()
	took = waitFor(t, "up again", 3*time.Second, n.Up)
	if _, err := n.Do(within(t, 5*time.Second), get("a"), false, ""); err != nil {
		t.Errorf("after the return: %v", err)
	}
	t.Logf("up %v after it went on", took)
}

func TestAnIdleNodeThatStopsIsFoundToo(t *testing.T) {
	fake := fakenode.Start(t, "cache-0")
	n := connect(t, fake, nil)
	fake.Pause()
	defer fake.Resume()
	took := waitFor(t, "down", 3*time.Second, func() bool { return !n.Up() })
	t.Logf("down after %v", took)
	fake.Resume()
	waitFor(t, "up", 3*time.Second, n.Up)
}

func TestARestartedNodeIsServedWithinASecond(t *testing.T) {
	fake := fakenode.Start(t, "cache-0")
	n := connect(t, fake, nil)
	fake.Stop()
	waitFor(t, "down", 3*time.Second, func() bool { return !n.Up() })
	if _, err := n.Do(within(t, 5*time.Second), get("a"), false, ""); !contract.Is(err, contract.NodeUnavailable) {
		t.Errorf("while it is gone: %v", err)
	}
	fake.Restart()
	waitFor(t, "up", 3*time.Second, n.Up)
	if _, err := n.Do(within(t, 5*time.Second), put("a", "1"), false, ""); err != nil {
		t.Errorf("after the restart: %v", err)
	}
}

func TestAProcessOfAnotherNameIsNotTalkedTo(t *testing.T) {
	fake := fakenode.Start(t, "cache-0")
	n := node.Start(node.Options{
		Name: "cache-1", Address: fake.Address(), Seen: &node.Seen{},
		Metrics: node.NewMetrics(prometheus.NewRegistry()), Log: slog.New(slog.DiscardHandler),
	})
	defer n.Close()
	waitFor(t, "an attempt", 5*time.Second, func() bool { return fake.Connections() > 0 })
	_, err := n.Do(within(t, 5*time.Second), get("a"), false, "")
	if !contract.Is(err, contract.NodeUnavailable) || n.Up() {
		t.Errorf("got %v, up: %v", err, n.Up())
	}
}

func TestAFullQueueIsOverloaded(t *testing.T) {
	fake := fakenode.Start(t, "cache-0")
	n := connect(t, fake, func(o *node.Options) { o.Queue, o.Window = 2, 1 })
	release := fake.Hold()
	defer release()
	results := make(chan *contract.Error, 20)
	for range 20 {
		go func() {
			_, err := n.Do(within(t, 300*time.Millisecond), put("a", "1"), false, "")
			results <- err
		}()
	}
	overloaded := 0
	for range 20 {
		if err := <-results; contract.Is(err, contract.Overloaded) {
			overloaded++
		}
	}
	if overloaded == 0 {
		t.Error("nobody was told that the queue is full")
	}
}

func TestTheCallersTimeTravelsAndWhatIsOverIsNotBegun(t *testing.T) {
	fake := fakenode.Start(t, "cache-0")
	n := connect(t, fake, nil)
	if _, err := n.Do(within(t, 3*time.Second), put("a", "1"), false, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"); err != nil {
		t.Fatal(err)
	}
	if left := fake.LastTimeout(); left < 2000 || left > 3000 {
		t.Errorf("timeout_ms %d, want about 3,000", left)
	}
	if fake.Traceparent() == "" {
		t.Error("the trace context did not travel")
	}
	before := fake.Operations()
	_, err := n.Do(within(t, -time.Second), put("a", "2"), false, "")
	if !contract.Is(err, contract.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if fake.Operations() != before {
		t.Error("an operation whose time was over was begun")
	}
}

func TestTheGreatestVersionSeenTravels(t *testing.T) {
	fake := fakenode.Start(t, "cache-0")
	seen := &node.Seen{}
	seen.Note(123456789)
	n := connect(t, fake, func(o *node.Options) { o.Seen = seen })
	result, err := n.Do(within(t, 3*time.Second), put("a", "1"), false, "")
	if err != nil || result.GetPut().GetVersion() <= 123456789 {
		t.Fatalf("%v, %v", result, err)
	}
	if seen.Greatest() != result.GetPut().GetVersion() {
		t.Errorf("seen %d, want %d", seen.Greatest(), result.GetPut().GetVersion())
	}
}
