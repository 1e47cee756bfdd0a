package gateway_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bimetal.dev/contract"
	controlv1 "bimetal.dev/contract/gen/bimetal/control/v1"
	"bimetal.dev/gateway/internal/config"
	"bimetal.dev/gateway/internal/fakenode"
)

// move replaces the process of a node as the orchestrator does. Who is told of it: nobody; the gateway finds out.
func (p *platform) move(index int, hold, gap time.Duration) (former *fakenode.Node) {
	p.t.Helper()
	former = p.nodes[index]
	next := former.Successor()
	p.topology = next.Moved(p.topology)
	former.MoveTo(next, p.topology, hold, gap)
	p.nodes[index] = next
	return former
}

// adopt makes all nodes judge by the topology, as nodes do.
func (p *platform) adopt() {
	for _, n := range p.nodes {
		n.Adopt(p.topology)
	}
}

// metric is the sum of a metric's series whose line begins so.
func (p *platform) metric(prefix string) (sum float64) {
	p.t.Helper()
	for line := range strings.Lines(p.admin("/metrics").body) {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndexByte(rest, ' ')+1:]), 64)
			if err != nil {
				p.t.Fatalf("%q", line)
			}
			sum += value
		}
	}
	return sum
}

func TestWhileNodesMoveNoRequestFailsAndNothingIsLost(t *testing.T) {
	p := start(t, 2, nil)
	p.adopt()
	const clients = 16
	var done [clients]int
	var failed atomic.Int64
	stop := make(chan struct{})
	var running sync.WaitGroup
	for client := range clients {
		running.Go(func() {
			version := ""
			for {
				select {
				case <-stop:
					return
				default:
				}
				target := fmt.Sprint("/v1/cache/default/k", client)
				a, err := p.try("POST", target+"/increment", `{"delta":"1"}`, asJSON)
				if err != nil || a.status != 200 {
					t.Errorf("increment: %d %s %v", a.status, a.body, err)
					failed.Add(1)
					return
				}
				done[client]++
				got := a.json(t)
				if got["value"] != strconv.Itoa(done[client]) || len(got["version"].(string)) < len(version) || got["version"].(string) <= version {
					t.Errorf("increment %d of %d answered %v after version %s", done[client], client, got, version)
					failed.Add(1)
					return
				}
				version = got["version"].(string)
				if a, err = p.try("GET", target, ""); err != nil || a.status != 200 || a.body != strconv.Itoa(done[client]) {
					t.Errorf("get: %d %q %v, want %d", a.status, a.body, err, done[client])
					failed.Add(1)
					return
				}
			}
		})
	}
	for round := range 10 {
		former := p.move(round%2, 20*time.Millisecond, 10*time.Millisecond)
		waitFor(t, "a move that was noticed", 5*time.Second, func() bool { return p.metric("bimetal_gateway_node_moves_total") == float64(round+1) })
		former.Stop()
		if failed.Load() > 0 {
			break
		}
	}
	close(stop)
	running.Wait()
	if up := p.metric(`bimetal_gateway_node_up`); up != 2 {
		t.Errorf("%v nodes are up", up)
	}
	if p.metric("bimetal_gateway_repeats_total") == 0 {
		t.Error("no repeats were counted")
	}
}

func TestABatchKeepsTheOrderOnEachKeyWhileItsNodeMoves(t *testing.T) {
	p := start(t, 1, nil)
	var operations []string
	for i := range 50 {
		operations = append(operations, fmt.Sprintf(`{"put":{"key":"k","value":%d}},{"increment":{"key":"k","delta":"1000"}}`, i))
	}
	for range 5 {
		release := p.nodes[0].Hold()
		answered := make(chan answer, 1)
		go func() {
			a, err := p.try("POST", "/v1/cache/default", `{"operations":[`+strings.Join(operations, ",")+`]}`, asJSON)
			if err != nil {
				t.Error(err)
			}
			answered <- a
		}()
		release()
		p.move(0, 5*time.Millisecond, 5*time.Millisecond)
		a := <-answered
		results := a.json(t)["results"].([]any)
		for i := range 50 {
			put, sum := results[2*i].(map[string]any), results[2*i+1].(map[string]any)
			if put["status"] != 201.0 && put["status"] != 204.0 || sum["value"] != strconv.Itoa(i+1000) {
				t.Fatalf("operation %d: %v, %v", i, put, sum)
			}
		}
	}
}

func TestAnEventStreamFollowsItsNodeWithoutGapResetOrRepetition(t *testing.T) {
	p := start(t, 1, nil)
	w := p.watch("/v1/cache/default", "")
	want := 0
	for round := range 5 {
		for range 20 {
			p.expect("a put", p.do("PUT", fmt.Sprint("/v1/cache/default/e", want), "v"), 201, "")
			want++
		}
		former := p.move(0, 5*time.Millisecond, 5*time.Millisecond)
		if round%2 == 0 { // the orchestrator tells the gateway before it ends the old process
			if err := p.setTopology(p.topology); err != nil {
				t.Fatal(err)
			}
			former.Stop()
		}
	}
	p.expect("a put", p.do("PUT", fmt.Sprint("/v1/cache/default/e", want), "v"), 201, "")
	limit := time.After(10 * time.Second) // heartbeats come all the time
	for next := 0; next <= want; {
		select {
		case e := <-w.events:
			switch {
			case e.name == "put" && strings.Contains(e.data, fmt.Sprintf(`"key":"e%d"`, next)):
				next++
			case e.name != "":
				t.Fatalf("%+v, want the event of e%d", e, next)
			}
		case <-limit:
			t.Fatalf("no event of e%d", next)
		}
	}
}

func TestAGatewayThatNobodyTalksToLearnsWhereItsNodeIs(t *testing.T) {
	p := start(t, 1, nil)
	former := p.move(0, 0, 0)
	waitFor(t, "the move", 5*time.Second, func() bool { return p.metric("bimetal_gateway_node_moves_total") == 1 })
	former.Stop()
	p.expect("a put", p.do("PUT", entry, "v"), 201, "")
}

func TestAListingGoesOnAtTheNewProcess(t *testing.T) {
	p := start(t, 1, nil)
	for i := range 10 {
		p.do("PUT", fmt.Sprint("/v1/cache/default/k", i), "v")
	}
	seen, token := 0, ""
	for {
		a := p.do("GET", "/v1/cache/default?pageSize=3&pageToken="+token, "")
		if a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		page := a.json(t)
		seen += len(page["keys"].([]any))
		if page["nextPageToken"] == nil {
			break
		}
		token = page["nextPageToken"].(string)
		p.move(0, 0, 5*time.Millisecond)
	}
	if seen != 10 {
		t.Errorf("%d keys", seen)
	}
}

func TestNamespacesAreReadAndWrittenWhileTheirNodesMove(t *testing.T) {
	p := start(t, 2, nil)
	for i := range 6 {
		p.move(i%2, 0, 5*time.Millisecond)
		name := fmt.Sprint("/v1/namespaces/n", i)
		made := p.do("PUT", name, `{"maxValueBytes":"100"}`, asJSON)
		if made.status != 201 || !strings.Contains(made.body, `"unacknowledged":[]`) {
			t.Errorf("made: %d %s", made.status, made.body)
		}
		p.move((i+1)%2, 0, 5*time.Millisecond)
		if got := p.do("GET", name, ""); got.status != 200 {
			t.Errorf("read: %d %s", got.status, got.body)
		}
		p.move(i%2, 0, 5*time.Millisecond)
		if flushed := p.do("POST", name+"/flush", ""); flushed.status != 200 || !strings.Contains(flushed.body, `"unacknowledged":[]`) {
			t.Errorf("flushed: %d %s", flushed.status, flushed.body)
		}
	}
}

func TestAReadWhoseConnectionBrokeIsRepeatedOnce(t *testing.T) {
	p := start(t, 1, nil)
	p.do("PUT", entry, "v")
	release := p.nodes[0].Hold()
	answered := make(chan answer, 1)
	go func() {
		a, err := p.try("GET", entry, "")
		if err != nil {
			t.Error(err)
		}
		answered <- a
	}()
	waitFor(t, "the read at the node", 5*time.Second, func() bool { return p.metric("bimetal_gateway_pipeline_operations_total") == 2 })
	p.nodes[0].Break()
	release()
	if a := <-answered; a.status != 200 || a.body != "v" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if repeats := p.metric(`bimetal_gateway_repeats_total{cause="read"}`); repeats != 1 {
		t.Errorf("%v repeats of reads", repeats)
	}
}

func TestAWriteWithoutAnIdWhoseConnectionBrokeIsNotRepeated(t *testing.T) {
	p := start(t, 1, nil)
	release := p.nodes[0].Mute()
	answered := make(chan answer, 1)
	go func() {
		a, err := p.try("POST", entry+"/increment", `{"delta":"1"}`, asJSON)
		if err != nil {
			t.Error(err)
		}
		answered <- a
	}()
	waitFor(t, "the write at the node", 5*time.Second, func() bool { return p.nodes[0].Operations() == 1 })
	p.nodes[0].Break()
	release()
	p.expect("a write of unknown outcome", <-answered, 504, "OUTCOME_UNKNOWN")
	waitFor(t, "the node again", 5*time.Second, func() bool { return p.do("GET", entry, "").status == 200 })
	if got := p.do("GET", entry, ""); got.body != "1" {
		t.Errorf("it was done %s times", got.body)
	}
}

func TestAnOperationWithAnIdIsDoneOnceThoughItsConnectionBrokeAndItsNodeMoved(t *testing.T) {
	p := start(t, 1, nil)
	for round := range 6 {
		release := p.nodes[0].Mute()
		before := p.nodes[0].Operations()
		answered := make(chan answer, 1)
		go func() {
			a, err := p.try("POST", entry+"/increment", `{"delta":"1"}`, asJSON, fmt.Sprint("Idempotency-Key: round-", round))
			if err != nil {
				t.Error(err)
			}
			answered <- a
		}()
		waitFor(t, "the write at the node", 5*time.Second, func() bool { return p.nodes[0].Operations() > before })
		if round%2 == 0 {
			former := p.nodes[0]
			p.move(0, 0, 5*time.Millisecond)
			former.Break()
		} else {
			p.nodes[0].Break()
		}
		release()
		if a := <-answered; a.status != 200 || a.json(t)["value"] != strconv.Itoa(round+1) {
			t.Errorf("round %d: %d %s", round, a.status, a.body)
		}
	}
	if got := p.do("GET", entry, ""); got.body != "6" {
		t.Errorf("6 increments made %s", got.body)
	}
}

func TestIncrementsWithIdsAreExactThoughConnectionsAreCutAndNodesMove(t *testing.T) {
	p := start(t, 2, nil)
	p.adopt()
	const clients = 8
	var made [4]atomic.Int64 // by key
	var enough atomic.Bool
	var adding sync.WaitGroup
	for client := range clients {
		adding.Go(func() {
			for i := 0; !enough.Load(); i++ {
				key := fmt.Sprintf("Idempotency-Key: %d-%d", client, i)
				for begin := time.Now(); ; {
					a, err := p.try("POST", fmt.Sprint("/v1/cache/default/k", i%4, "/increment"), `{"delta":"1"}`, asJSON, key)
					if err == nil && a.status == 200 {
						made[i%4].Add(1)
						break
					}
					if err != nil || a.status != 503 && a.status != 504 || time.Since(begin) > 15*time.Second {
						t.Errorf("%s: %d %s, %v", key, a.status, a.body, err)
						return
					}
					time.Sleep(5 * time.Millisecond) // what a caller does with Retry-After, in short
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		adding.Wait()
		close(done)
	}()
	for round := 0; ; round++ {
		// Ten rounds, and more if no connection was cut under an operation yet.
		enough.Store(round >= 10 && p.metric(`bimetal_gateway_repeats_total{cause="protected"}`) > 0 || round == 500)
		select {
		case <-done:
			for i := range 4 {
				target := fmt.Sprint("/v1/cache/default/k", i)
				waitFor(t, "its node again", 5*time.Second, func() bool { return p.do("GET", target, "").status == 200 })
				if got := p.do("GET", target, ""); got.body != fmt.Sprint(made[i].Load()) {
					t.Errorf("k%d: %s, want %d", i, got.body, made[i].Load())
				}
			}
			if p.metric(`bimetal_gateway_repeats_total{cause="protected"}`) == 0 {
				t.Error("no connection was cut under an operation")
			}
			return
		case <-time.After(60 * time.Millisecond):
		}
		if round%5 == 4 {
			p.move(round/5%2, 5*time.Millisecond, 5*time.Millisecond)
		} else {
			p.nodes[round%2].Break()
		}
	}
}

func TestAnOperationWithAnIdIsNotRepeatedByAnotherIncarnation(t *testing.T) {
	p := start(t, 1, nil)
	release := p.nodes[0].Mute()
	answered := make(chan answer, 1)
	go func() {
		a, err := p.try("POST", entry+"/increment", `{"delta":"1"}`, asJSON, "Idempotency-Key: x")
		if err != nil {
			t.Error(err)
		}
		answered <- a
	}()
	waitFor(t, "the write at the node", 5*time.Second, func() bool { return p.nodes[0].Operations() == 1 })
	p.nodes[0].Stop()
	p.nodes[0].Restart()
	release()
	p.expect("after a restart", <-answered, 504, "OUTCOME_UNKNOWN")
	waitFor(t, "the node again", 5*time.Second, func() bool { return p.do("GET", entry, "").status != 503 })
	if got := p.do("GET", entry, ""); got.status != 404 {
		t.Errorf("it was done again: %d %s", got.status, got.body)
	}
}

func TestANodeThatDoesNotComeAtItsNewAddressFailsWithinTheLimit(t *testing.T) {
	p := start(t, 2, func(c *config.Config) { c.NodePatience = time.Second })
	p.adopt()
	gone := fakenode.Start(t, "cache-0")
	gone.Stop()
	if err := p.setTopology(gone.Moved(p.topology)); err != nil {
		t.Fatal(err)
	}
	owners := map[string]int{}
	var mu sync.Mutex
	var asking sync.WaitGroup
	for i := range 40 {
		asking.Go(func() {
			begin := time.Now()
			a, err := p.try("GET", fmt.Sprint("/v1/cache/default/k", i), "")
			if err != nil || a.status != 404 && (a.status != 503 || a.reason() != "NODE_UNAVAILABLE") || time.Since(begin) > 4*time.Second {
				t.Errorf("%d %s, %v after %v", a.status, a.body, err, time.Since(begin))
			}
			mu.Lock()
			owners[strconv.Itoa(a.status)]++
			mu.Unlock()
		})
	}
	asking.Wait()
	if owners["404"] == 0 || owners["503"] == 0 {
		t.Errorf("%v", owners)
	}
	waitFor(t, "failing at once", 5*time.Second, func() bool {
		begin := time.Now()
		for i := range 40 {
			p.do("GET", fmt.Sprint("/v1/cache/default/k", i), "")
		}
		return time.Since(begin) < 500*time.Millisecond
	})
}

func TestANodeThatHasNotBeenToldOfTheTopologyYetIsWaitedFor(t *testing.T) {
	p := start(t, 1, nil)
	p.adopt()
	joined := fakenode.Start(t, "cache-1")
	behind := &controlv1.Topology{Epoch: 1, Nodes: p.topology.GetNodes()}
	joined.Adopt(behind) // refuses what it is about to own
	two := &controlv1.Topology{Epoch: 2, Nodes: append([]*controlv1.Node{}, p.topology.GetNodes()...)}
	two.Nodes = append(two.Nodes, &controlv1.Node{Name: "cache-1", Tag: 2, Address: joined.Address()})
	p.nodes[0].Adopt(two)
	told := time.AfterFunc(200*time.Millisecond, func() { joined.Adopt(two) })
	defer told.Stop()
	var asking sync.WaitGroup
	for i := range 20 {
		asking.Go(func() {
			if a, err := p.try("PUT", fmt.Sprint("/v1/cache/default/k", i), "v"); err != nil || a.status != 201 {
				t.Errorf("k%d: %d %s %v", i, a.status, a.body, err)
			}
		})
	}
	asking.Wait()
}

func (p *platform) setTopology(topology *controlv1.Topology) error {
	_, err := p.control().Control.SetTopology(contract.WithRunToken(p.t.Context(), fakenode.RunToken), &controlv1.SetTopologyRequest{Topology: topology})
	return err
}
