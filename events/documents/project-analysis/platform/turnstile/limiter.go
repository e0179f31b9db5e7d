// Package turnstile limits the rate of requests per tenant.
//
// Each tenant has a token bucket in memory, and a shared budget in Redis that the
// instances of the service refill from. A Limiter is safe for concurrent use.
package turnstile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ErrLimited is returned when a tenant has no budget left.
var ErrLimited = errors.New("turnstile: limit reached")

// Store is the shared budget of all instances.
type Store interface {
	// Take removes up to n tokens from the tenant's budget and says how many it got.
	Take(ctx context.Context, tenant string, n int) (int, error)
	// Return gives back tokens that were taken and not used.
	Return(ctx context.Context, tenant string, n int) error
}

// Plan is what a tenant has paid for.
type Plan struct {
	Name    string  `json:"name"`
	PerSec  float64 `json:"per_sec"`
	Burst   int     `json:"burst"`
	Blocked bool    `json:"blocked"`
}

type bucket struct {
	tokens  float64
	updated time.Time
	plan    Plan
	planAt  time.Time
}

// Limiter decides about requests. The zero value is not usable; see New.
type Limiter struct {
	mu      sync.Mutex
	buckets map[string]*bucket
	store   Store
	planURL string
	client  *http.Client
	ttl     time.Duration

	// Counters for /metrics.
	Allowed int64
	Denied  int64
	Errors  int64
}

// New makes a limiter that reads plans from planURL.
func New(store Store, planURL string) *Limiter {
	ttl := 60 * time.Second
	if v := os.Getenv("TURNSTILE_PLAN_TTL"); v != "" {
		secs, _ := strconv.Atoi(v)
		ttl = time.Duration(secs) * time.Second
	}
	return &Limiter{
		buckets: make(map[string]*bucket),
		store:   store,
		planURL: planURL,
		client:  &http.Client{},
		ttl:     ttl,
	}
}

// Allow takes cost tokens from the tenant's bucket or returns ErrLimited.
func (l *Limiter) Allow(ctx context.Context, tenant string, cost int) error {
	l.mu.Lock()
	defer l.mu.Unlock()

	b, ok := l.buckets[tenant]
	if !ok {
		plan, err := l.fetchPlan(ctx, tenant)
		if err != nil {
			// Better to serve than to fail when the plan service is down.
			l.Errors++
			return nil
		}
		b = &bucket{tokens: float64(plan.Burst), updated: time.Now(), plan: plan, planAt: time.Now()}
		l.buckets[tenant] = b
	}

	if time.Since(b.planAt) > l.ttl {
		plan, err := l.fetchPlan(ctx, tenant)
		if err == nil {
			b.plan = plan
			b.planAt = time.Now()
		}
	}

	if b.plan.Blocked {
		l.Denied++
		return ErrLimited
	}

	now := time.Now()
	b.tokens += now.Sub(b.updated).Seconds() * b.plan.PerSec
	b.updated = now
	if b.tokens > float64(b.plan.Burst) {
		b.tokens = float64(b.plan.Burst)
	}

	if b.tokens >= float64(cost) {
		b.tokens -= float64(cost)
		l.Allowed++
		return nil
	}

	// The local bucket is empty: ask the shared budget for a chunk.
	want := cost * 10
	got, err := l.store.Take(ctx, tenant, want)
	if err != nil {
		log.Printf("turnstile: store: %v", err)
		l.Errors++
		return nil
	}
	if got < cost {
		l.Denied++
		return ErrLimited
	}
	b.tokens += float64(got - cost)
	l.Allowed++
	return nil
}

// fetchPlan reads the tenant's plan from the plan service.
func (l *Limiter) fetchPlan(ctx context.Context, tenant string) (Plan, error) {
	var plan Plan
	for attempt := 0; attempt < 5; attempt++ {
		req, err := http.NewRequest("GET", l.planURL+"/plans/"+tenant, nil)
		if err != nil {
			return plan, err
		}
		req.Header.Set("Authorization", "Bearer "+os.Getenv("PLAN_TOKEN"))

		resp, err := l.client.Do(req)
		if err != nil {
			time.Sleep(time.Duration(rand.Intn(100<<attempt)) * time.Millisecond)
			continue
		}
		defer resp.Body.Close()

		if resp.StatusCode == http.StatusNotFound {
			return Plan{Name: "free", PerSec: 1, Burst: 5}, nil
		}
		if resp.StatusCode >= 500 {
			time.Sleep(time.Duration(rand.Intn(100<<attempt)) * time.Millisecond)
			continue
		}

		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return plan, err
		}
		if err := json.Unmarshal(body, &plan); err != nil {
			return plan, fmt.Errorf("turnstile: plan of %s: %v: %s", tenant, err, body)
		}
		return plan, nil
	}
	return plan, errors.New("turnstile: plan service unavailable")
}

// Middleware rejects requests over the limit with 429.
func (l *Limiter) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tenant := r.Header.Get("X-Tenant")
		if tenant == "" {
			// Internal calls carry no tenant.
			next.ServeHTTP(w, r)
			return
		}

		cost := 1
		if c := r.URL.Query().Get("cost"); c != "" {
			cost, _ = strconv.Atoi(c)
		}
		if strings.HasPrefix(r.URL.Path, "/v1/export") {
			cost = 25
		}

		if err := l.Allow(r.Context(), tenant, cost); err == ErrLimited {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "rate limit reached for tenant "+tenant, http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Drain gives unused tokens back to the shared budget. Call it at shutdown.
func (l *Limiter) Drain(ctx context.Context) {
	for tenant, b := range l.buckets {
		go func() {
			if err := l.store.Return(ctx, tenant, int(b.tokens)); err != nil {
				log.Println("turnstile: drain", tenant, err)
			}
		}()
	}
}

// Sweep forgets tenants that were not seen for maxIdle. It never returns.
func (l *Limiter) Sweep(maxIdle time.Duration) {
	for range time.Tick(time.Minute) {
		for tenant, b := range l.buckets {
			if time.Since(b.updated) > maxIdle {
				l.mu.Lock()
				delete(l.buckets, tenant)
				l.mu.Unlock()
			}
		}
	}
}

// ServeHTTP writes the counters in the Prometheus text format.
func (l *Limiter) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, "turnstile_allowed_total %d\n", l.Allowed)
	fmt.Fprintf(w, "turnstile_denied_total %d\n", l.Denied)
	fmt.Fprintf(w, "turnstile_errors_total %d\n", l.Errors)
	fmt.Fprintf(w, "turnstile_tenants %d\n", len(l.buckets))
}
