package node_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"bimetal.dev/contract"
	"bimetal.dev/gateway/internal/fakenode"
	"pgregory.net/rapid"
)

// Whatever callers do (give up at any moment, on either lane) and whatever the node does (answer late), each caller that
// is answered has the answer to its own operation, and every operation ends.
func TestAnswersBelongToTheirCallersUnderCancellation(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		fake := fakenode.Start(t, "cache-0")
		n := connect(t, fake, nil)
		defer n.Close()
		defer fake.Stop()
		callers := rapid.IntRange(1, 40).Draw(r, "callers")
		seed := rapid.Uint64().Draw(r, "seed")
		fake.Delay(time.Duration(rapid.IntRange(0, 2000).Draw(r, "delay of a batch in µs")) * time.Microsecond)
		var group sync.WaitGroup
		for caller := range callers {
			random := rand.New(rand.NewPCG(seed, uint64(caller)))
			group.Go(func() {
				key := fmt.Sprint("k", caller)
				newest := ""
				certain := true // nobody gave up on a write since: newest is what must be read
				for round := range 10 {
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					if random.IntN(3) == 0 {
						time.AfterFunc(time.Duration(random.IntN(1500))*time.Microsecond, cancel)
					}
					value := fmt.Sprint(caller, ".", round)
					result, err := n.Do(ctx, put(key, value), false, "")
					switch {
					case err == nil && result.GetPut() == nil:
						t.Errorf("a put was answered by %v", result)
					case err == nil:
						newest, certain = value, true
					case contract.Is(err, contract.Cancelled):
						certain = false
					default:
						t.Errorf("put: %v", err)
					}
					cancel()
					whole, done := context.WithTimeout(t.Context(), 10*time.Second)
					result, err = n.Do(whole, get(key), false, "")
					done()
					switch got := string(result.GetGet().GetEntry().GetValue()); {
					case err != nil:
						t.Errorf("get: %v", err)
					case certain && got != newest:
						t.Errorf("caller %d read %q, want %q", caller, got, newest)
					default:
						newest, certain = got, true
					}
				}
			})
		}
		group.Wait()
		waitFor(t, "every operation to have ended", 5*time.Second, func() bool { return n.Unanswered() == 0 })
	})
}
