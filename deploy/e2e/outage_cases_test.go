package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The five factors of an outage. All their combinations, with the devices in
// turn, are the full matrix, which E2E_OUTAGES=all runs. Otherwise a selection
// runs that has every pair of values of two factors.
var (
	// outages name what is down, in the order in which it comes back.
	outages = [][]part{
		{agentAway}, {stationAway}, {netatmoAway}, {backendAway},
		{agentAway, stationAway}, {agentAway, netatmoAway}, {agentAway, backendAway},
		{stationAway, netatmoAway}, {stationAway, backendAway}, {netatmoAway, backendAway},
	}
	ways       = []way{grpcCollector, httpCollector, httpDirect, httpsGateway}
	backends   = []backendKind{prometheusNoWindow, prometheusShipped, victoria}
	attributes = []string{"", "deployment.environment.name=home,building=7"}
	// One family at a time: at the pace of these tests, two would use all of
	// the requests that Netatmo allows, and leave none for history.
	devices = []string{"weather", "homecoach"}
)

// part is a part of the chain that can be down.
type part string

const (
	agentAway   part = "agent"
	stationAway part = "station"
	netatmoAway part = "Netatmo"
	backendAway part = "backend"
)

// way is the path of points to the backend.
type way string

const (
	grpcCollector way = "grpc+collector" // the Collector can be down
	httpCollector way = "http+collector" // the backend behind the Collector can be down
	httpDirect    way = "http"
	httpsGateway  way = "https+gateway"
)

// backendKind is the kind of backend that stores the points.
type backendKind string

const (
	prometheusNoWindow backendKind = "prometheus-0" // Prometheus' default, and Grafana Cloud's
	prometheusHour     backendKind = "prometheus-1h"
	prometheusShipped  backendKind = "prometheus-1y"
	victoria           backendKind = "victoria"
)

// setup is a case without its outage.
type setup struct {
	way        way
	backend    backendKind
	attributes string // OTEL_RESOURCE_ATTRIBUTES
	promoted   string // those that a Prometheus makes labels of
}

func (s setup) String() string {
	name := fmt.Sprintf("%s/%s", s.way, s.backend)
	if s.attributes != "" {
		name += "/attributes"
	}
	return name
}

// outageCase is one combination.
type outageCase struct {
	setup
	away    []part
	devices string // NETATMO_DEVICES
}

func (c outageCase) String() string {
	var names []string
	for _, p := range c.away {
		names = append(names, string(p))
	}
	return strings.Join(names, "+") + "/" + c.devices + "/" + c.setup.String()
}

// everything reports whether to run the full matrix.
func everything() bool { return os.Getenv("E2E_OUTAGES") == "all" }

// outageCases are the combinations to run.
func outageCases(all bool) []outageCase {
	var cases []outageCase
	for i, away := range outages {
		for j, s := range setups() {
			if all || selected(i, j) {
				cases = append(cases, outageCase{s, away, devices[(i+j/2)%len(devices)]})
			}
		}
	}
	return cases
}

// setups are all combinations of way, backend and attributes.
func setups() []setup {
	var all []setup
	for _, w := range ways {
		for _, b := range backends {
			for _, a := range attributes {
				all = append(all, setup{way: w, backend: b, attributes: a})
			}
		}
	}
	return all
}

// selected reports whether a case belongs to the selection: each outage is
// combined with each way once, with the backends and attributes in turn.
func selected(outage, setup int) bool {
	attr, backend, way := setup%2, setup/2%len(backends), setup/2/len(backends)
	return backend == (outage+way)%len(backends) && attr == (outage/2+way)%2
}

// The selection has every pair of values of any two factors.
func TestSelectionCoversAllPairs(t *testing.T) {
	pairs := func(cases []outageCase) map[[2]string]bool {
		found := map[[2]string]bool{}
		for _, c := range cases {
			values := []string{fmt.Sprint(c.away), string(c.way), string(c.backend), "attributes " + c.attributes, c.devices}
			for i, a := range values {
				for _, b := range values[:i] {
					found[[2]string{a, b}] = true
				}
			}
		}
		return found
	}
	all, some := outageCases(true), outageCases(false)
	have := pairs(some)
	for pair := range pairs(all) {
		if !have[pair] {
			t.Errorf("no case has both %s and %s", pair[0], pair[1])
		}
	}
	t.Logf("%d of %d cases are selected", len(some), len(all))
}
